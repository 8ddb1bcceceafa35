# shellcheck shell=bash disable=SC2154 # variables of lib.sh
# lib-smollm2.sh - real language models, as train/get-smollm2.sh has them, and text to measure them with. They are kept in a
# cache folder ($cache): SmolLM2-135M-Instruct, 538 MB; where neither PyPI nor that can be had, all of a test is skipped.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/occ-smollm2

case $(df -Pk "$(dirname "${cache%/*}")" | awk 'END {print $4}') in
? | ?? | ??? | ???? | ????? | ??????) skip_all "no 1 GB of disk for $cache" ;;
esac
mkdir -p "$cache"

get_model() { # ARGUMENT...: of get-smollm2.sh
    exec 9>"$cache/lock" # another test may be getting it
    flock 9
    sh "$test_folder/../train/get-smollm2.sh" "$@" >"$scratch/get" 2>&1
    case $? in
    0) ;;
    75) skip_all "SmolLM2 cannot be had: $(tail -1 "$scratch/get")" ;;
    *) echo "Bail out! $(tail -1 "$scratch/get")" && exit 1 ;;
    esac
    exec 9>&-
}

# Debian's fortunes, whose file `wisdom` is measured: $text, which is not there where they cannot be had.
text=$cache/wisdom
get_text() {
    [ ! -s "$text" ] || return 0
    (
        cd "$scratch" || exit 1
        cp /usr/share/games/fortunes/wisdom wisdom 2>/dev/null || {
            apt-get download -qq fortunes && dpkg-deb -x fortunes_*.deb . && cp usr/share/games/fortunes/wisdom wisdom
        }
        [ "$(sha256sum <wisdom | cut -c 1-16)" = 9b0bd6b9331a68c9 ] && mv wisdom "$text"
    ) >/dev/null 2>&1 || true
}
