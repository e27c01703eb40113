#!/usr/bin/env bash
# Unmodified clients against a server of this tree, which answers with the shipped adder.
# usage: run.sh libraries | harness | aiperf | guidellm
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
