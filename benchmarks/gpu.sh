#!/usr/bin/env bash
# Everything that needs a CUDA device, in one call: builds, checks that CUDA equals the CPU, times, prints a short table.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-gpu-results}
mkdir -p "$out"
python3 -m venv --system-site-packages "$out/venv"
# shellcheck disable=SC1091
source "$out/venv/bin/activate"
pip install -q '.[test]'
pytest -q -m gpu -p no:cacheprovider | tee "$out/tests.txt"
python -P benchmarks/gpu.py --json "$out/gpu.json" | tee "$out/table.txt"
