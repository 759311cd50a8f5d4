#!/bin/sh
# Install a build. Usage: install.sh BUILD_DIR PREFIX (DESTDIR is honoured)
#
# Everything lies in PREFIX/lib/vitrine as it does in the build folder, so that each program finds the
# others, the engine and the guest beside itself; PREFIX/bin/vitrine is a link to the one for people.
set -eu
build=$1
prefix=$2
place="${DESTDIR:-}$prefix/lib/vitrine"
if grep -q '"b_sanitize", "value": "[^n]' "$build/meson-info/intro-buildoptions.json"; then
    echo "vitrine: error: $build has sanitizers and no jail; it is for tests" >&2
    exit 1
fi
mkdir -p "$place/lib" "$place/guest" "${DESTDIR:-}$prefix/bin"
for program in vitrine vitrine-cell vitrine-fetch vitrine-precompile; do
    install -m 755 "$build/$program" "$place/$program"
done
install -m 755 "$build/lib/libwasmtime.so" "$place/lib/libwasmtime.so"
(cd "$build/guest" && find . -type f) | while read -r artifact; do
    install -p -D -m 644 "$build/guest/$artifact" "$place/guest/$artifact"
done
ln -sfn ../lib/vitrine/vitrine "${DESTDIR:-}$prefix/bin/vitrine"
echo "vitrine: installed $prefix/bin/vitrine and $prefix/lib/vitrine"
