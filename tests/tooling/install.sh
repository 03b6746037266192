#!/usr/bin/env bash
# Installed, moved and called from another folder it trains; uninstalling leaves no file.
#   install.sh BUILD_DIR (the build folder of the tree: .ci/install knows no other)
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
[ "$(cd "$1" && pwd)" = "$top/build" ] && [ ! -e "${LIBTORCH:-$top/.deps/torch/torch}/lib/libtorch_cuda.so" ] ||
    { echo "only the shipped build on a CPU libtorch is installed"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
PREFIX=/first DESTDIR=$dir "$top/.ci/install"
mv "$dir/first" "$dir/moved"
mkdir "$dir/elsewhere"
cd "$dir/elsewhere"
ldd "$dir/moved/bin/sweep-worker" | grep libtorch_cpu | grep -q "$dir/moved" || { echo "another libtorch is loaded"; exit 1; }
printf '%s\n' 'name: tiny' 'data: {root: synthetic, pairs: 8}' 'model: {arch: unet, backbone: resnet18}' 'train: {epochs: 1}' >a.yaml
"$dir/moved/bin/sweep" run a.yaml --set data.size=64 --no-report --no-tty >log 2>&1 || { cat log; exit 1; }
PREFIX=/moved DESTDIR=$dir "$top/.ci/install" remove
left=$(find "$dir/moved" -type f)
[ -z "$left" ] || { echo "uninstalling left $left"; exit 1; }
