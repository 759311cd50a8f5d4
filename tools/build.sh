#!/bin/sh
# Configure and compile a build folder. Usage: build.sh BUILD_DIR [MESON_OPTION...]
#
# An existing folder keeps its options; those given are changed in it. The guest is not made here.
set -eu
cd "$(dirname "$0")/.."
build=$1
shift
wasmtime=$(python3 tools/parts.py path wasmtime)

# Whether every option given has its value already; meson itself would configure all anew.
is_configured() {
    python3 - "$build/meson-info/intro-buildoptions.json" "$@" <<'EOF'
import json, sys

with open(sys.argv[1], encoding="utf-8") as file:
    values = {option["name"]: option["value"] for option in json.load(file)}
for argument in sys.argv[2:]:
    name, value = argument.removeprefix("-D").split("=", 1)
    now = values.get(name)
    if isinstance(now, bool):
        now = str(now).lower()
    elif isinstance(now, list):
        now = ",".join(now)
    if value != now:
        sys.exit(1)
EOF
}

if [ -f "$build/build.ninja" ]; then
    is_configured "-Dwasmtime_dir=$wasmtime" "$@" ||
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
