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
    "$program" "-max_total_time=$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        "-artifact_prefix=$build/corpus/$name-" "$corpus" "$@" 2>&1 | tail -n 12 || status=1
done
exit $status
