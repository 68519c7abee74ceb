#!/usr/bin/env bash
# Everything that needs a CUDA device, in one call: builds, checks that CUDA equals the CPU, times, says VALID or INVALID.
# Takes the torch and onnxruntime-gpu that are installed, for they must fit the driver; without these, what pip finds.
# VALID results go into docs/performance.md; all of them lie in $OUT. Exit status: 0 VALID, 1 INVALID, 3 not run.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ! -e /dev/nvidiactl ]]; then
  echo 'not run: no GPU'
  exit 3
fi
out=${OUT:-gpu-results}
mkdir -p "$out"
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
if python3 -c 'import onnxruntime, torch' 2>/dev/null; then
  # Without an index, if what builds the kernel is there too.
  python3 -m pip install -q --no-deps --no-build-isolation --target "$site" . \
    || python3 -m pip install -q --no-deps --target "$site" .
else
  python3 -m pip install -q --target "$site" '.[test]'
fi
export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
python3 -P -m pytest -q -m gpu -p no:cacheprovider --junit-xml="$out/tests.xml" tests/test_gpu.py \
  || true # what failed is among the reasons
python3 -P benchmarks/gpu.py --out "$out" --tests "$out/tests.xml" --page docs/performance.md
