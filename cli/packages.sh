# shellcheck shell=sh
# packages.sh - sourced by quickstart.sh and tests/run.sh: installs Debian packages that are missing.

# What a build needs.
# shellcheck disable=SC2034 # used by those who source this
build_packages="gcc libc6-dev cmake ninja-build pkg-config libavformat-dev libavcodec-dev
    libavutil-dev libswscale-dev libswresample-dev libarchive-dev libjansson-dev libxxhash-dev
    libebur128-dev libexpat1-dev libharfbuzz-dev libfreetype-dev libfontconfig-dev libicu-dev
    libpng-dev libturbojpeg0-dev fonts-dejavu-core libdnnl-dev ocl-icd-opencl-dev liblmdb-dev
    libzstd-dev libpcre2-dev"

# install_packages NAME...: says what is missing and installs it; with sudo only if not root.
install_packages() {
    missing=
    for package in "$@"; do
        if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then
            missing="$missing $package"
        fi
    done
    if [ -z "$missing" ]; then
        return 0
    fi
    if ! command -v apt-get >/dev/null; then
        echo "This is no Debian or Ubuntu. Please install what these packages hold:$missing" >&2
        return 1
    fi
    root=
    if [ "$(id -u)" != 0 ]; then
        root=sudo
    fi
    echo "Installing:$missing"
    # shellcheck disable=SC2086 # lists of words on purpose
    $root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq \
        --no-install-recommends $missing >/dev/null
}
