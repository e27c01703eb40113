#!/usr/bin/env bash
# The tests of models/train, with the versions of its requirements.lock in .cache/train (1.4 GB): torch without CUDA.
# Status 77: PyPI did not give them.
set -euo pipefail
cd "$(dirname "$0")/.."
client=train
. scripts/clients/setup.sh
lock=models/train/requirements.lock
python=$PWD/.cache/train/bin/python
if ! cmp -s $lock .cache/train/installed; then
  python3 -m venv .cache/train >"$work/install.out" 2>&1 || skip "no virtual environment: $(tail -n 1 "$work/install.out")"
  { timeout 1200 scripts/bench/torch_cpu.sh .cache/train "$(sed -n 's/^torch==//p' $lock)" &&
    timeout 600 "$python" -m pip install --quiet --disable-pip-version-check --no-compile -r $lock; } >"$work/install.out" 2>&1 </dev/null ||
    skip "not installed: $(tail -n 1 "$work/install.out")"
  cp $lock .cache/train/installed
fi
cd models/train
OMP_NUM_THREADS=2 "$python" -m pytest -q -p no:cacheprovider
