#!/usr/bin/env bash
# Property tests of the HTTP API against its own OpenAPI document, on the shipped adder: no 5xx, no answer that breaks its
# schema, no status or content type that is not documented. SECONDS_MAX bounds the run, SEED repeats one.
set -euo pipefail
cd "$(dirname "$0")/.."
client=schemathesis
. scripts/clients/setup.sh
from_pypi schemathesis==4.32.5
key=schemathesis-test-key
export LOOPSERVE_API_KEYS=$key
serve --models models/adder
config=$PWD/scripts/schemathesis.toml
cd "$work" # it leaves a folder behind where it runs
# One worker: with several, Python 3.11's parser fails inside Hypothesis.
"$python" -m schemathesis.cli --config-file "$config" run "$url/openapi.json" \
  --header "Authorization: Bearer $key" \
  --phases examples,coverage,fuzzing --max-examples "${EXAMPLES:-20}" \
  --max-time "${SECONDS_MAX:-100}" --seed "${SEED:-1}" --workers 1 --request-timeout 20 \
  --continue-on-failure --warnings off --no-color
