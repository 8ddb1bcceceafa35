#!/bin/sh
# run.sh - installs what the tests need, builds twice (clang with sanitizers, then gcc optimised; warnings are errors in
# both), runs all tests, ends with ctest's summary. Arguments go to ctest, as in: sh tests/run.sh -R pool
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=cli/packages.sh
. cli/packages.sh
# shellcheck disable=SC2086 # a list of words
install_packages $build_packages g++ ffmpeg jq shellcheck clang-format-14 clang clang-tidy-14 libclang-rt-14-dev llvm-14 \
    python3 python3-venv python3-numpy python3-lmdb python3-zstandard man-db groff procps util-linux \
    fontconfig fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji tesseract-ocr tesseract-ocr-eng tesseract-ocr-rus tesseract-ocr-ell

# Stores sync what they write, thousands of times. Memory does for that, where there is enough of it.
if [ -z "${TMPDIR:-}" ] && [ "$(df -Pk /dev/shm 2>/dev/null | awk 'END {print $4}')" -gt 4000000 ] 2>/dev/null; then
    export TMPDIR=/dev/shm
fi

failed=0
for preset in dev release; do
    echo "== $preset: build"
    # Afresh: a folder that another compiler was configured for would lose its flags.
    cmake --fresh --preset "$preset" -DWITH_TESTS=ON -DCMAKE_COMPILE_WARNING_AS_ERROR=ON >/dev/null
    cmake --build --preset "$preset" | grep -vE '^\[|^ninja: no work' || true
    cmake --build --preset "$preset" >/dev/null # the status that grep hid
    echo "== $preset: tests"
    # One more than there are cores: some tests wait for signals and clocks.
    (cd "build/$preset" && ctest -j "$(($(nproc) + 1))" --output-on-failure "$@") || failed=1
done
exit "$failed"
