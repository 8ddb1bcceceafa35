#!/bin/sh
# gpu_bundle.sh - what tests/gpu.sh runs, for a machine with a GPU that has none of our libraries and no network: the
# programs of a built release preset (WITH_BENCHES=ON), the shared libraries that they name, the bundled encoder, sample
# pages, fonts and text.
#
#     gpu_bundle.sh [--parts LIST] [--without-model] [--text FOLDER] [--font FILE]... BUILD OUT.tar.xz
#
# There
#
#     tar xJf OUT.tar.xz && sh occ-gpu/gpu.sh --build occ-gpu --minutes 10 results
#
# --parts: of gpu.sh; what no other needs is left out, of `train` the most. --without-model: where gpu.sh is in the tree,
# which has the encoder. --text: *.txt to train on, instead of tests/golden/texts. libc, libm, libstdc++ and libgcc_s are
# not taken: those of that machine must be as new as the ones here.
set -eu

tests=$(cd "$(dirname "$0")/.." && pwd)
parts=tests,parity,bench,sanitize,steps,train
text=$tests/golden/texts
model=yes
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
to=$work/occ-gpu
mkdir -p "$to/bin" "$to/tests" "$to/lib" "$to/share/occ"

while [ $# -gt 2 ]; do
    case $1 in
    --parts) parts=$2 ;;
    --text) text=$2 ;;
    --font) mkdir -p "$to/fonts" && cp "$2" "$to/fonts/" ;;
    --without-model)
        model=no
        shift
        continue
        ;;
    *) break ;;
    esac
    shift 2
done
if [ $# != 2 ]; then
    sed -n 's/^#     gpu_bundle/usage: gpu_bundle/p' "$0" >&2
    exit 2
fi
build=$1
out=$2

has() { # PART
    case ",$parts," in
    *",$1,"*) ;;
    *) return 1 ;;
    esac
}

take() { # PROGRAM...
    for program; do
        cp "$build/bin/$program" "$to/bin/"
    done
}

cp "$tests/gpu.sh" "$to/"
take occ
if has tests || has sanitize; then
    cp "$build"/tests/op_*_test "$to/tests/"
fi
if has parity; then
    take occ-compress occ-store
    cp "$build/tests/tokens_compare" "$to/tests/"
    "$build/bin/bench-samples" 6 "$tests/golden/texts/en.txt" | "$build/bin/occ-render" -q --mode base >"$to/pages.tar"
fi
if has bench; then
    take occ-model bench-gpu
fi
if has steps; then
    take bench-train bench-step
fi
if has train; then
    take occ-train
    mkdir -p "$to/text" "$to/fonts"
    find "$text" -name '*.txt' -exec cp {} "$to/text/" \;
    for family in "DejaVu Sans" "DejaVu Serif"; do
        cp "$(fc-list -f '%{file}\n' "$family:regular:slant=0:width=100" | sort | head -1)" "$to/fonts/"
    done
    cat >"$to/fonts.conf" <<'END'
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
<dir prefix="relative">fonts</dir>
<cachedir prefix="xdg">cache</cachedir>
</fontconfig>
END
fi
if [ $model = yes ]; then
    cp "$build/share/occ/nano.safetensors" "$to/share/occ/"
fi
find "$to/bin" "$to/tests" -type f -exec strip {} +
# "libz.so.1 => /lib/.../libz.so.1 (0x...)"
find "$to/bin" "$to/tests" -type f -exec ldd {} + | sed -n 's/.*=> *\(\/[^ ]*\) (.*/\1/p' | sort -u |
    grep -vE '/(libc|libm|libdl|librt|libpthread|libstdc\+\+|libgcc_s)\.so' |
    while read -r library; do
        cp -L "$library" "$to/lib/"
    done
# All tests hold the same kernels: in the order of their names each finds the one before in the compressor's window.
tar -C "$work" --sort=name --owner=0 --group=0 -cf - occ-gpu | xz --lzma2=preset=2,dict=192MiB >"$out"
ls -l "$out"
