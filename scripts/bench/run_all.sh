#!/usr/bin/env bash
# Every peer on the same checkpoint, one after another; one JSON line per (peer, precision, C) on stdout.
#   run_all.sh [--prompt 128 --new 64 --conc 1,4,8 --threads 2 --repeat 3] > results.jsonl
# PEERS: where install_peers.sh put them.  MODELS: where make_models.py wrote (made if missing).  ONLY=torch,llamacpp,...
set -uo pipefail
HERE=$(cd "$(dirname "$0")" && pwd); PEERS=$(realpath "${PEERS:-$HERE/../../.cache/peers}"); MODELS=${MODELS:-$PEERS/models/base}
export PEERS
ONLY=${ONLY:-torch,genai,llamacpp,openvino,vllm}; cd "$HERE"
export LLAMA_BIN=${LLAMA_BIN:-$PEERS/llama.cpp-build/bin} BENCH_TORCH_PY=$PEERS/torch/bin/python BENCH_OV_PY=$PEERS/openvino/bin/python
[ -f "$MODELS/unrolled/config.json" ] || "$PEERS/torch/bin/python" make_models.py --out "$MODELS" >&2
has() { case ",$ONLY," in *,$1,*) [ -x "$PEERS/$2/bin/python" ];; *) false;; esac; }
go() { "$@" --models "$MODELS" "${ARGS[@]}" 2>>"$PEERS/run_all.err" | grep --line-buffered '^{'; }
ARGS=("$@")
has torch torch && { for p in fp32 int8; do go "$PEERS/torch/bin/python" -W ignore peer_torch.py --precision $p; done
                     go "$PEERS/torch/bin/python" -W ignore peer_torch.py --compile; }
has genai ort && for p in fp32 int8 int4; do go "$PEERS/ort/bin/python" peer_genai.py --precision $p; done
has llamacpp llama && { for p in F32 Q8_0 Q4_0; do for m in unrolled looped; do go "$PEERS/llama/bin/python" peer_llamacpp.py --precision $p --model $m; done; done
                        for p in F32 Q4_0; do go "$PEERS/llama/bin/python" peer_llamacpp.py --precision $p --model looped --via server; done; }
has openvino openvino && for p in fp32 int8 int4; do go "$PEERS/openvino/bin/python" peer_openvino.py --precision $p; done
has vllm vllm && go "$PEERS/vllm/bin/python" peer_vllm.py --precision fp32
true
