#!/bin/sh
# Install the system packages that are missing, and only those. Usage: system_packages.sh run|test
#
# Each line of the table says how to see that something is there (a command, a pkg-config module, a
# Python module or a file), so a machine that has it from elsewhere is left alone. Only apt is used;
# where there is no apt, the message names what to install.
set -eu

table() {
    cat <<'EOF'
run  command  cc              gcc
run  file     stdio.h         libc6-dev
run  command  meson           meson
run  command  ninja           ninja-build
run  command  pkg-config      pkg-config
run  command  python3         python3
run  pip      pip             python3-pip
run  module   libuv           libuv1-dev
run  module   libseccomp      libseccomp-dev
run  module   libcurl         libcurl4-openssl-dev
run  roots    certificates    ca-certificates
run  module   zlib            zlib1g-dev
run  module   libcrypto       libssl-dev
run  file     http_parser.h   libhttp-parser-dev
run  module   libzstd         libzstd-dev
test module   cmocka          libcmocka-dev
test module   jansson         libjansson-dev
test python   ensurepip       python3-venv
test command  clang           clang
test runtime  fuzzer          libclang-rt-dev
test command  clang-format    clang-format
test command  clang-tidy      clang-tidy
test command  cppcheck        cppcheck
test command  strace          strace
test command  tmux            tmux
EOF
}

has() { # KIND NAME
    case $1 in
    command) command -v "$2" >/dev/null 2>&1 ;;
    file) echo "#include <$2>" | cc -E -x c - >/dev/null 2>&1 ;;
    module) pkg-config --exists "$2" 2>/dev/null ;;
    pip) python3 -m pip --version >/dev/null 2>&1 ;;
    roots) python3 -c 'if 1:
        import os, ssl
        paths = ssl.get_default_verify_paths()
        assert paths.cafile or paths.capath and os.listdir(paths.capath)' 2>/dev/null ;;
    python) python3 -c "import $2" >/dev/null 2>&1 ;;
    runtime) [ -e "$(clang -print-file-name="libclang_rt.$2.a" 2>/dev/null)" ] ||
        [ -e "$(clang -print-file-name="libclang_rt.$2-$(uname -m).a" 2>/dev/null)" ] ;;
    esac
}

missing() { # WANTED
    table | while read -r set kind name package; do
        if [ "$set" = run ] || [ "$set" = "$1" ]; then
            has "$kind" "$name" || echo "$package"
        fi
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        echo "vitrine: error: root is needed to install $packages, and there is no sudo." >&2
        exit 1
    fi
}

has_candidates() { # PACKAGE...
    for package; do
        apt-cache policy "$package" 2>/dev/null | grep -q 'Candidate: [^(]' || return 1
    done
}

install() {
    # On a terminal apt draws its progress; in a log it would write a line for each step.
    if [ -t 1 ]; then quiet=--quiet=0; else quiet=--quiet=2; fi
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes $quiet --option=Dpkg::Use-Pty=0 --no-install-recommends "$@"
}

wanted=${1:?usage: system_packages.sh run|test}
packages=$(missing "$wanted" | tr '\n' ' ')
if [ -n "$packages" ]; then
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "vitrine: error: this system has no apt. Install what these Debian packages hold," >&2
        echo "  then run make again: $packages" >&2
        exit 1
    fi
    echo "vitrine: installing system packages: $packages" >&2
    # The package lists are fetched only when they lack a package or are out of date.
    # shellcheck disable=SC2086
    { has_candidates $packages && install $packages; } || {
        as_root apt-get update --quiet
        install $packages
    }
    packages=$(missing "$wanted" | tr '\n' ' ')
    if [ -n "$packages" ]; then
        echo "vitrine: error: apt installed these, yet they are not to be found: $packages" >&2
        exit 1
    fi
fi
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "vitrine: error: Python 3.11 or newer is needed; python3 is $(python3 --version)." >&2
    exit 1
fi
