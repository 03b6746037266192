#!/usr/bin/env bash
# The coordinator and the bench program load no tensor library; the worker does (which shows that the check can see).
#   links.sh BUILD_DIR
set -euo pipefail

tensor_library='libtorch|libc10|libonnxruntime'
for program in sweep sweep-bench; do
    linked=$(ldd "$1/$program")
    if grep -E "$tensor_library" <<<"$linked"; then
        echo "$program: links a tensor library; it must start without one"
        exit 1
    fi
done
linked=$(ldd "$1/sweep-worker")
grep -qE 'libtorch' <<<"$linked" || { echo "sweep-worker: links no libtorch, or ldd says nothing"; exit 1; }
