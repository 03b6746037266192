#!/usr/bin/env bash
# Every page of the manual is roff that mandoc and man read, and says what --help says.
#   man.sh BUILD_DIR
set -euo pipefail

sweep=$(cd "$1" && pwd)/sweep
command -v mandoc >/dev/null && command -v man >/dev/null || { echo "mandoc or man is not installed"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mapfile -t commands < <("$sweep" complete -- "" | cut -f1)
[ ${#commands[@]} -gt 20 ] || { echo "got ${#commands[@]} commands, expected those of the table"; exit 1; }
for command in "" "${commands[@]}"; do
    page=$dir/sweep${command:+-$command}.1
    "$sweep" man ${command:+"$command"} >"$page"
    mandoc -T lint -W warning "$page" || { echo "sweep man $command: mandoc warns"; exit 1; }
    man -l "$page" 2>"$dir/errors" | tr -d '\b' >"$dir/shown"
    [ ! -s "$dir/errors" ] || { cat "$dir/errors"; exit 1; }
    [ -z "$command" ] || grep -q "^EXAMPLES" "$dir/shown" || { echo "man -l shows no examples of $command"; exit 1; }
done
mandoc -T ascii "$dir/sweep-run.1" | sed 's/.\x08//g' >"$dir/run"
grep -q -e '--fail-fast' "$dir/run" || { echo "sweep-run(1) does not show --fail-fast"; exit 1; }
