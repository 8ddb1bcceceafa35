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

forget() { # ARGUMENT...
    "$OCC_BIN/occ" forget -q "$@"
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

# A stream of COUNT samples of one tiny page each, of ACCOUNT, a day apart.
make_days() { # COUNT [ACCOUNT]: days.tar
    local account=${2:-kiwi} i
    stream_begin
    for ((i = 0; i < $1; i++)); do
        put_clip "$account/$i" $((1700000000 + i * 86400)) "Day $i" "What happened on day $i was this." \
            'And then some more of it.'
    done
    stream_end | render -q --mode tiny >days.tar
}

# What a store holds, but for how LMDB keeps it: keys, JSON, text and every byte of the tokens.
content_of() { # STORE
    store export -q --format tar "$1" | tar -xO | sha256sum
}
