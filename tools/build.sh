#!/bin/sh
# Configure and compile a build folder. Usage: build.sh BUILD_DIR [MESON_OPTION...]
#
# An existing folder keeps its options; those given are changed in it. The guest is not made here.
set -eu
cd "$(dirname "$0")/.."
build=$1
shift
wasmtime=$(python3 tools/parts.py path wasmtime)
if [ -f "$build/build.ninja" ]; then
    meson configure "$build" "-Dwasmtime_dir=$wasmtime" "$@"
else
    # Meson's report is long; it is shown when something is wrong.
    if ! report=$(meson setup "$build" "-Dwasmtime_dir=$wasmtime" "$@" 2>&1); then
        echo "$report" >&2
        exit 1
    fi
fi
echo "vitrine: compiling into $build" >&2
ninja -C "$build"
