#!/usr/bin/env bash
# Unmodified clients against a server of this tree, which answers with the shipped adder.
# usage: run.sh libraries | actor [CLIENT...] | node | harness | aiperf | hub | guidellm
set -euo pipefail
cd "$(dirname "$0")/../.."
client=${1:-libraries}
. scripts/clients/setup.sh
bundle=models/adder
case $client in
libraries)
  from_pypi openai==3.57.0 litellm==1.110.2 langchain-openai==1.7.4
  serve --models $bundle
  "$python" scripts/clients/clients.py "$url" openai litellm langchain
  ;;
actor) # by the routes that they take by default, each in an environment of its own: some exclude each other's versions
  serve_scripted
  skipped=0
  while read -r name packages; do
    [ $# -lt 2 ] || [[ " ${*:2} " = *" $name "* ]] || continue
    # a client that is not to be had holds up no other; with_uv ends the subshell, whose trap must not end the servers
    # shellcheck disable=SC2086 # they are several
    (trap - EXIT; with_uv "$name" $packages; exec "$python" scripts/clients/actor.py "$url" "$name") || { [ $? = 77 ] && skipped=77; }
  done <<'END'
openai openai==3.57.0
agents openai-agents==0.24.0
anthropic anthropic==2.14.0
langchain-openai langchain-openai==1.7.4
langchain-anthropic langchain-anthropic==1.7.10
pydantic-ai pydantic-ai-slim[openai,anthropic]==2.68.0
dspy dspy==3.4.1
litellm litellm==1.110.2
instructor instructor==1.17.0
llama-index llama-index-llms-openai-like==0.8.1
outlines outlines==1.3.3 openai==3.57.0
guidance guidance==0.3.1 openai==3.57.0
END
  exit $skipped
  ;;
node)
  mkdir -p .cache/clients-node && cp scripts/clients/actor.mjs .cache/clients-node/
  (cd .cache/clients-node && timeout 600 npm install --silent --no-audit --no-fund openai@6.49.0 zod@4.6.7 ai@6.0.326 @ai-sdk/openai@3.0.141 @ai-sdk/openai-compatible@2.0.92) \
    >"$work/install.out" 2>&1 </dev/null || skip "not installed: $(tail -n 1 "$work/install.out")"
  serve_scripted
  (cd .cache/clients-node && node actor.mjs "$url")
  ;;
harness)
  from_pypi 'lm-eval[api]==0.4.13'
  serve --models $bundle
  "$python" scripts/clients/harness.py "$url" $bundle "${LIMIT:-100}" bin/loopserve
  ;;
aiperf)
  from_pypi aiperf==0.13.0
  serve --models $bundle
  "$python" scripts/clients/load.py aiperf "$url" $bundle "${LIMIT:-100}"
  ;;
hub) # the hub and the commands are those of the tests
  from_pypi huggingface_hub==2.4.0
  HUB_PYTHON=$python go test -count 1 -run TestScripts/python ./cmd/loopserve
  ;;
guidellm) # its data loader needs torch, which brings gigabytes of CUDA libraries: for a run by hand
  from_pypi guidellm==0.8.1
  serve --models $bundle
  "$python" scripts/clients/load.py guidellm "$url" $bundle "${LIMIT:-100}"
  ;;
*)
  sed -n 3p "$0" >&2
  exit 2
  ;;
esac
