#!/usr/bin/env bash
# Property tests of the HTTP API against its own OpenAPI document, on the shipped adder: no 5xx, no answer that breaks its
# schema, no status or content type that is not documented. Needs bin/loopserve (make build) and Python 3; installs
# Schemathesis from PyPI into .cache/schemathesis. SECONDS_MAX bounds the run, SEED repeats one.
set -euo pipefail
cd "$(dirname "$0")/.."
version=4.32.5
venv=${SCHEMATHESIS_VENV:-.cache/schemathesis}
port=${PORT:-18471}
key=schemathesis-test-key
if [ ! -x "$venv/bin/schemathesis" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
fi
log=$(mktemp)
LOOPSERVE_API_KEYS=$key bin/loopserve serve --listen "127.0.0.1:$port" --models models/adder --log-level warn 2>"$log" &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true; rm -f "$log"' EXIT
for _ in $(seq 100); do
  curl -sf -o /dev/null "http://127.0.0.1:$port/readyz" && break
  kill -0 "$server" || { cat "$log"; exit 1; }
  sleep 0.2
done
status=0
# A schema cannot say what a model's context and vocabulary allow, nor which fields exclude each other: requests that fit it may
# be refused. One worker: with several, Python 3.11's parser fails inside Hypothesis.
"$venv/bin/schemathesis" --config-file scripts/schemathesis.toml run "http://127.0.0.1:$port/openapi.json" \
  --header "Authorization: Bearer $key" --checks all --exclude-checks positive_data_acceptance \
  --phases examples,coverage,fuzzing --max-examples "${EXAMPLES:-20}" \
  --max-time "${SECONDS_MAX:-100}" --seed "${SEED:-1}" --workers 1 --request-timeout 20 \
  --continue-on-failure --warnings off --no-color || status=$?
if grep -E 'panic|level=ERROR' "$log"; then
  echo "the server logged errors" >&2
  status=1
fi
exit $status
