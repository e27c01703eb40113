#!/usr/bin/env bash
# Unmodified clients against a server of this tree: openai-python, LiteLLM, LangChain, lm-evaluation-harness, guidellm.
# usage: run.sh [quick]    quick: without the harness and the load generator (what CI runs)
# Makes a virtual environment of its own in $CLIENTS_VENV (default .cache/clients).
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=${CLIENTS_VENV:-.cache/clients}
packages="openai litellm langchain-openai"
[ "${1:-}" = quick ] || packages="$packages lm-eval[api] guidellm"
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check $packages
make build
port=$("$venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
bin/loopserve serve --listen "127.0.0.1:$port" --models models/adder --log-level warn &
trap 'kill %1; wait' EXIT
url=http://127.0.0.1:$port
for _ in $(seq 100); do curl -sf "$url/readyz" >/dev/null && break; sleep 0.1; done
"$venv/bin/python" scripts/clients/clients.py "$url"
[ "${1:-}" = quick ] && exit
export HF_HUB_OFFLINE=1
"$venv/bin/python" scripts/clients/harness.py "$url" models/adder "${LIMIT:-100}" bin/loopserve
"$venv/bin/guidellm" run --backend "kind=openai_http,target=$url,model=adder" --profile kind=concurrent,streams=4 \
  --constraint kind=max_requests,count=100 --data kind=json_file,path=models/adder/eval.jsonl --disable-progress \
  --output kind=console
