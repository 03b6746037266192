#!/usr/bin/env bash
# tests/zoo/against_smp.sh BUILD [BACKBONE...]: runs against_smp.py where segmentation_models_pytorch is; else exit 77.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$1
shift
python=$top/.deps/rival/bin/python shared=${SWEEP_SHARED:-$top/../shared}
if [ ! -x "$python" ] || [ ! -d "$shared/parity" ]; then
    echo "segmentation_models_pytorch (.ci/setup rival) or the fixtures (SWEEP_SHARED=DIR) are not here"
    exit 77
fi
PYTHONPATH=$top/tests/weights "$python" "$top/tests/zoo/against_smp.py" "$build/sweep" "$build/sweep-worker" "$shared" "$@"
