#!/usr/bin/env bash
# corpus.sh - the texts for the benches of the renderer: Debian's fortunes (2.5 MB of English) and
# fortunes-zh (1.2 MB of Chinese, Tang poems and prose), a paragraph a line. The packages are
# downloaded once into a cache folder and unpacked there, not installed. To be sourced.

corpus_folder=${XDG_CACHE_HOME:-$HOME/.cache}/occ-bench/text

# A saying a paragraph; without a space between lines for Chinese (nospace=1).
corpus_fold() {
    tr -d '\r' | sed -e 's/\x1b\[[0-9;]*m//g' | awk "$@" '
        /^%/ || /^[ \t]*$/ { if (line != "") print line; line = ""; next }
        {
            gsub(/[ \t]+/, " "); sub(/^ /, ""); sub(/ $/, "")
            line = line (line == "" || nospace ? "" : " ") $0
        }
        END { if (line != "") print line }'
}

corpus_make() {
    mkdir -p "$corpus_folder/unpacked"
    (
        cd "$corpus_folder" || exit 1
        apt-get download -qq fortunes fortunes-min fortunes-zh >&2 || exit 1
        for package in *.deb; do
            dpkg-deb -x "$package" unpacked
        done
        cd unpacked/usr/share/games/fortunes || exit 1
        for file in *; do
            case $file in
            *.dat | *.u8 | ascii-art | translate-me | chinese | tang300 | song100) ;;
            *) cat "$file" && echo % ;;
            esac
        done | corpus_fold >"$corpus_folder/en"
        # Lines that are Chinese for the most part: forty such characters at least.
        cat chinese tang300 song100 | corpus_fold -v nospace=1 |
            LC_ALL=C awk '{ line = $0; if (gsub(/[\344-\351]/, "") >= 40) print line }' \
                >"$corpus_folder/zh"
    )
    rm -rf "$corpus_folder"/unpacked "$corpus_folder"/*.deb
}

# Makes them unless they are there; en and zh are then files in $corpus_folder.
corpus_need() {
    if [ ! -s "$corpus_folder/en" ] || [ ! -s "$corpus_folder/zh" ]; then
        corpus_make
    fi
}
