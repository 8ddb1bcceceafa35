# shellcheck shell=bash
# lib-render.sh - lib.sh and, for tests of `occ render`, streams made by hand:
#
#     stream_begin
#     put_clip kiwi/1 1700000000 'A title' 'First sentence.' 'Second one.'
#     echo '[]' | put kiwi/1.comments.json
#     stream_end >in.tar
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
command -v jq >/dev/null || skip_all 'no jq'
archive=$test_folder/archive
export archive

render() { # ARGUMENT...
    "$OCC_BIN/occ" render "$@"
}

stream_begin() {
    rm -rf stream
    mkdir stream
    : >stream.names
    stream_samples=0
    echo '{"format": "occ-stream", "version": 1, "tool": "a test", "options": {}}' | put __stream__
}

put() { # MEMBER: its content comes from standard input
    mkdir -p "stream/$(dirname "$1")"
    cat >"stream/$1"
    echo "$1" >>stream.names
}

put_clip() { # KEY CREATED TITLE [SENTENCE...]
    local key=$1 created=$2 title=$3
    shift 3
    stream_samples=$((stream_samples + 1))
    jq -nc --arg id "${key#*/}" --arg account "${key%/*}" --argjson created "$created" \
        --arg title "$title" '{id: $id, account: $account, account_name: ("Name of " + $account),
            title: $title, created: $created, status: "ok"}' | put "$key.json"
    [ $# -eq 0 ] || jq -nc '[$ARGS.positional[] | {start_ms: 0, end_ms: 1000, text: .}]' \
        --args "$@" | put "$key.script.json"
}

stream_tar() { # what was put in so far, as a stream that lacks its end
    tar --format=pax --blocking-factor=1 --no-recursion -C stream -cf - -T stream.names
}

stream_end() { # the whole stream to standard output
    stream_end_with 'skipped: 0'
}
stream_end_with() { # JSON-MEMBERS-OF-__end__
    jq -nc --argjson samples "$stream_samples" "{samples: \$samples, $1}" | put __end__
    stream_tar
}

# A text of COUNT sentences, of which each says which it is.
sentences() { # COUNT
    seq -f 'This is sentence number %.0f, and it says no more than that.' "$1"
}

keys_of() { # TAR
    tar -tf "$1" | sed -n 's/^\([^.]*\)\.json$/\1/p'
}
member() { # TAR NAME
    tar -xOf "$1" -- "$2"
}

expect_json() { # FILTER FILE: jq's filter is true
    jq -e "$1" "$2" >/dev/null || complain "not so in $2: $1" "$(jq -c . "$2" | head -c 2000)"
}

expect_words() { # TEXT FILE: in it, wherever its lines are broken
    tr -s '\n ' '  ' <"$2" >words
    grep -qF -e "$1" words || complain "'$1' is not in $2:" "$(head -c 4000 "$2")"
}
