#!/bin/sh
# bundle.sh - bench-training-pages for machines that have no fonts and other libraries: copies the program, the libraries
# that it names (libc and the loader with them, which must fit each other) and fonts into FOLDER. There
#     sh FOLDER/run.sh ARGUMENT...
# starts it, from any place and without any environment.
#     bundle.sh PROGRAM FOLDER [FONT-FILE...]
# Besides the fonts of the list below, which are taken if fontconfig knows them, FOLDER gets the font files named.
set -eu

program=$1
folder=$2
shift 2
if [ -e "$folder" ]; then
    echo "bundle.sh: $folder is there already" >&2
    exit 1
fi
mkdir -p "$folder/lib" "$folder/fonts"
cp "$program" "$folder/lib/program"
# "libm.so.6 => /lib/.../libm.so.6 (0x...)" and "/lib64/ld-linux-x86-64.so.2 (0x...)"
ldd "$program" | sed -n 's/.*=> *\(\/[^ ]*\) (.*/\1/p; s/^[[:space:]]*\(\/[^ ]*ld-linux[^ ]*\) (.*/\1/p' |
    while read -r library; do
        cp -L "$library" "$folder/lib/"
    done
loader=$(basename "$(ls "$folder"/lib/ld-linux*)")

# What the alphabet is drawn with; then scripts that are outside it.
for family in "DejaVu Sans" "DejaVu Serif" "Noto Color Emoji" "Noto Sans" "Droid Sans Fallback" "Noto Sans Thai" \
    "Noto Sans Devanagari" "Noto Sans Bengali" "Noto Sans Tamil" "Noto Sans Telugu"; do
    # width: DejaVu Sans Condensed is of the same family
    file=$(fc-list -f '%{file}\n' "$family:regular:slant=0:width=100" | sort | head -1)
    if [ -n "$file" ]; then
        cp "$file" "$folder/fonts/"
    else
        echo "bundle.sh: $family is not installed" >&2
    fi
done
for file; do
    cp "$file" "$folder/fonts/"
done

cat >"$folder/fonts.conf" <<'END'
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
<dir prefix="relative">fonts</dir>
<cachedir prefix="xdg">cache</cachedir>
</fontconfig>
END
cat >"$folder/run.sh" <<END
here=\$(cd "\$(dirname "\$0")" && pwd)
FONTCONFIG_FILE=\$here/fonts.conf XDG_CACHE_HOME=\$here LC_ALL=C
export FONTCONFIG_FILE XDG_CACHE_HOME LC_ALL
exec "\$here/lib/$loader" --library-path "\$here/lib" "\$here/lib/program" "\$@"
END
