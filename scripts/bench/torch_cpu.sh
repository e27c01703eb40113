#!/usr/bin/env bash
# Installs torch into a virtual environment without the gigabytes of CUDA: torch_cpu.sh VENV VERSION
# PyPI's wheel for Linux is the CUDA build. On a machine without a GPU only cudart and CUPTI are called, at import;
# make_cuda_stubs.py writes libraries of trap instructions for the others. Needs gcc and binutils.
set -euo pipefail
venv=$1 version=$2
install() { nice -n 10 "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "$@"; }
install --no-deps "torch==$version" nvidia-cuda-runtime==13.5.37 nvidia-cuda-cupti==13.5.25
# Or pip fetches them for whatever needs torch.
sed -i -E '/^Requires-Dist: (nvidia|cuda|triton)/d' "$venv"/lib/python3*/site-packages/torch-*.dist-info/METADATA
install typing_extensions filelock fsspec jinja2 networkx sympy numpy packaging 'setuptools>=78,<81'
"$venv/bin/python" "$(dirname "$0")/make_cuda_stubs.py" >/dev/null
"$venv/bin/python" -W ignore -c 'import torch; print("torch", torch.__version__, torch.backends.cpu.get_cpu_capability())'
