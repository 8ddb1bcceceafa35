#!/bin/sh
# run.sh - installs what the tests need, builds twice (sanitizers, then optimised), runs all tests, ends with
# ctest's summary. Arguments go to ctest, as in: sh tests/run.sh -R pool
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=cli/packages.sh
. cli/packages.sh
# shellcheck disable=SC2086 # a list of words
install_packages $build_packages ffmpeg jq shellcheck clang-format-14 python3 python3-venv python3-numpy python3-lmdb python3-zstandard man-db groff procps util-linux \
    fontconfig fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji tesseract-ocr tesseract-ocr-eng tesseract-ocr-rus tesseract-ocr-ell

failed=0
for preset in dev release; do
    echo "== $preset: build"
    cmake --preset "$preset" -DWITH_TESTS=ON >/dev/null # quickstart.sh leaves them out
    cmake --build --preset "$preset" | grep -vE '^\[|^ninja: no work' || true
    cmake --build --preset "$preset" >/dev/null # the status that grep hid
    echo "== $preset: tests"
    (cd "build/$preset" && ctest -j 2 --output-on-failure "$@") || failed=1
done
exit "$failed"
