#!/usr/bin/env bash
# Faults against three replicas behind HAProxy and behind nginx (Debian's, in CI installed as root): run.sh [SECONDS], the length of
# a scenario.
set -euo pipefail
cd "$(dirname "$0")/../.."
client=fleet
. scripts/clients/setup.sh
. scripts/debian.sh
from_debian haproxy nginx-light >"$work/install.out" 2>&1 || true
make --silent build
tried=
for balancer in haproxy nginx; do
  command -v $balancer >/dev/null || { echo "$balancer is not here (Debian: haproxy, nginx-light)"; continue; }
  python3 scripts/fleet/fleet.py $balancer "${1:-5}"
  tried=yes
done
from_pypi openai
"$python" scripts/fleet/retries.py
[ -n "$tried" ] || skip "neither HAProxy nor nginx"
