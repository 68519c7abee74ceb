#!/usr/bin/env bash
# Everything that needs a CUDA device, in one call: builds, checks that CUDA equals the CPU, times, says VALID or INVALID.
# VALID results go into docs/performance.md; all of them lie in $OUT. Exit status: 0 VALID, 1 INVALID, 3 not run.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ! -e /dev/nvidiactl ]]; then
  echo 'not run: no GPU'
  exit 3
fi
out=${OUT:-gpu-results}
mkdir -p "$out"
python3 -m venv --system-site-packages "$out/venv"
# shellcheck disable=SC1091
source "$out/venv/bin/activate"
pip install -q '.[test]'
pytest -q -m gpu -p no:cacheprovider --junit-xml="$out/tests.xml" || true # what failed is among the reasons
python -P benchmarks/gpu.py --out "$out" --tests "$out/tests.xml" --page docs/performance.md
