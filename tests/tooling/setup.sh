#!/usr/bin/env bash
# The set-up script says what is wrong with what it is given, and a second call changes nothing.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fails() { # fails PART COMMAND...: exits non-zero and says PART
    local part=$1 out
    shift
    if out=$(env "$@" 2>&1); then
        echo "$*: expected a failure"
        exit 1
    fi
    [[ $out == *"$part"* ]] || { echo "$*: expected a message with \"$part\", got: $out"; exit 1; }
}

fails 'LIBTORCH=/nowhere: expected include' APT=no LIBTORCH=/nowhere .ci/setup
fails 'ORT_LIB=/nowhere.so: no such file' APT=no LIBTORCH="$1" ORT_LIB=/nowhere.so .ci/setup
fails 'usage' .ci/setup all

state() { ls -ld --time-style=full-iso .deps .deps/*; }
before=$(state)
APT=no LIBTORCH="$1" .ci/setup || exit 1
[ "$(state)" = "$before" ] || { echo "a second call changed .deps"; exit 1; }
