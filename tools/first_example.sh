#!/bin/sh
# Run the first example in a build folder and say what happened. Usage: first_example.sh BUILD_DIR
set -eu
cd "$(dirname "$0")/.."
build=$1
echo "vitrine: running examples/days.py behind the glass: days from 2000-01-01 to 2025-03-18"
answer=$("$build/vitrine" run examples/days.py)
echo "$answer"
if [ "$answer" != 9208 ]; then
    echo "vitrine: error: the example should have printed 9208" >&2
    exit 1
fi
cat <<EOF
vitrine: computed by CPython in a WebAssembly sandbox, in a process of its own ($build/vitrine-cell).
  programs          $(cd "$build" && pwd)/vitrine, vitrine-cell
  the guest         $(readlink -f "$build/guest")
  cache             ${VITRINE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vitrine}
  next              $build/vitrine run -c 'print("hello")'; $build/vitrine --help; README.md
EOF
