#!/usr/bin/env bash
# The format of the C files, with the clang-format that made it: another version formats differently. Debian 12's package is
# the same one. Status 77: PyPI did not give it.
set -euo pipefail
cd "$(dirname "$0")/.."
client=clang-format
. scripts/clients/setup.sh
from_pypi clang-format==14.0.6
make lint-c
