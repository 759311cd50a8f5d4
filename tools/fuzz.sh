#!/bin/bash
# Run every fuzzer for a while. Usage: fuzz.sh BUILD_DIR SECONDS
#
# New inputs are kept in BUILD_DIR/corpus/NAME; the seeds in fuzz/NAME/ are only read.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
seconds=$2
status=0
for program in "$build"/fuzz/fuzz_*; do
    [ -f "$program" ] && [ -x "$program" ] || continue
    name=${program##*/fuzz_}
    corpus="$build/corpus/$name"
    mkdir -p "$corpus"
    echo "=== fuzz $name for $seconds s"
    set --
    [ -d "fuzz/$name/seeds" ] && set -- "fuzz/$name/seeds"
    log="$corpus.log"
    if "$program" "-max_total_time=$seconds" -timeout=10 -rss_limit_mb=2048 \
        "-artifact_prefix=$corpus-" "$corpus" "$@" >"$log" 2>&1; then
        grep '^Done ' "$log"
    else
        tail -n 60 "$log"
        status=1
    fi
done
exit $status
