# shellcheck shell=bash
# lib-store.sh - lib-render.sh and, for tests of stores, an encoder with random weights and pages:
#
#     make_pages base             # pages.tar of the sample archive
#     compress --store s <pages.tar
# shellcheck source=tests/lib-render.sh
. "$(dirname "$0")/lib-render.sh"

# One for the whole file: tests only read it.
model=$scratch/nano.safetensors
"$OCC_BIN/occ" model init --config nano --seed 1 -o "$model" || exit 1
export OCC_MODEL=$model

compress() { # ARGUMENT...
    "$OCC_BIN/occ" compress -q "$@"
}

store() { # COMMAND STORE...
    "$OCC_BIN/occ" store "$@"
}

weekly=(--tau 7d --buckets 7) # pages of a week are halved

forget() { # ARGUMENT...
    "$OCC_BIN/occ" forget -q "${weekly[@]}" "$@"
}

pool() { # ARGUMENT...: `occ forget` where the encoder has no maps for merging
    forget --operator pool "$@"
}

take_in() { # ARGUMENT...: `occ ingest` of the archive, in which a clip is damaged
    "$OCC_BIN/occ" ingest -q "$@" || [ $? -eq 3 ]
}

make_pages() { # MODE [RENDER-OPTION...]: pages.tar
    take_in "$archive" >samples.tar
    render -q --mode "$@" samples.tar >pages.tar
}

# For tests that want tokens, whatever they are, of hundreds of pages.
small_encoder() {
    export OCC_MODEL=$scratch/small.safetensors
    "$OCC_BIN/../tests/small_encoder" "$OCC_MODEL" || exit 1
}

# Such an encoder with texts in its metadata, as that of nested tokens.
told_encoder() { # KEY TEXT...
    export OCC_MODEL=$scratch/told.safetensors
    "$OCC_BIN/../tests/small_encoder" "$OCC_MODEL" "$@" || exit 1
}

# A stream of COUNT samples of one tiny page each, of ACCOUNT (letters), a day apart.
make_days() { # COUNT [ACCOUNT [RENDER-OPTION...]]: days.tar
    local account=${2:-kiwi} i
    stream_begin
    mkdir -p "stream/$account"
    for ((i = 0; i < $1; i++)); do # without jq, of which each call takes longer than a page
        printf '{"id":"%d","account":"%s","account_name":"Name of %s","title":"Day %d","created":%d,"status":"ok"}\n' \
            $i "$account" "$account" $i $((1700000000 + i * 86400)) >"stream/$account/$i.json"
        printf '[{"start_ms":0,"end_ms":1000,"text":"What happened on day %d was this."},%s]\n' $i \
            '{"start_ms":0,"end_ms":1000,"text":"And then some more of it."}' >"stream/$account/$i.script.json"
        printf '%s\n' "$account/$i.json" "$account/$i.script.json" >>stream.names
    done
    stream_samples=$1
    stream_end | render -q --mode tiny "${@:3}" >days.tar
}

# A model whose file says something of itself, as text.
with_metadata() { # MODEL KEY VALUE
    local length size
    length=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    dd if="$1" bs=1 skip=8 count="$length" status=none |
        jq -c --arg key "$2" --arg value "$3" '.__metadata__[$key] = $value' >header
    while size=$(stat -c %s header) && [ $((size % 8)) -ne 0 ]; do printf ' ' >>header; done
    # shellcheck disable=SC2059 # the bytes are the format
    printf "$(printf '\\%03o' $((size & 255)) $((size >> 8 & 255)) $((size >> 16)) 0 0 0 0 0)"
    cat header
    tail -c +$((9 + length)) "$1"
}

# What a store holds, but for how LMDB keeps it: keys, JSON, text and every byte of the tokens.
content_of() { # STORE
    store export -q --format tar "$1" | tar -xO | sha256sum
}
