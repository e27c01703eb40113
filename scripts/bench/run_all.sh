#!/usr/bin/env bash
# One round: every contender on the same checkpoint, one after another; one JSON line per (peer, precision, shape, C) on
# stdout, and one that says why for each that gave none. All of one precision run close together: they are compared.
#   run_all.sh [--shapes 128+64:1,4,8 4+128:1,8 --threads 2 --repeat 3 --seed 1] > results.jsonl
# PEERS: where install_peers.sh put them.  MODELS: where make_models.py wrote (made if missing).  LIMIT: seconds for each.
# ONLY=loopserve,llamacpp,...  PRECISIONS=int4,int8,f32
set -uo pipefail
HERE=$(cd "$(dirname "$0")" && pwd); PEERS=$(realpath -m "${PEERS:-$HERE/../../.cache/peers}"); MODELS=${MODELS:-$PEERS/models/base}
ONLY=${ONLY:-loopserve,loopserve-head,loopserve-f16,loopserve-engine,genai,llamacpp,llama-server,openvino,torch,torch-compile,vllm}
PRECISIONS=${PRECISIONS:-int4,int8,f32} LIMIT=${LIMIT:-1200}
export PEERS LLAMA_BIN=${LLAMA_BIN:-$PEERS/llama.cpp-build/bin} BENCH_TORCH_PY=$PEERS/torch/bin/python BENCH_OV_PY=$PEERS/openvino/bin/python
cd "$HERE" || exit
args=("$@")

absent() { printf '{"peer": "%s", "precision": "%s", "absent": "%s"}\n' "$who" "$precision" "$1"; }

go() { # environment (- is none), script, its flags
  local python=$PEERS/$1/bin/python
  [ "$1" != - ] || python=python3
  [ -n "$(command -v "$python")" ] || { absent "not installed"; return; }
  timeout --foreground "$LIMIT" "$python" -W ignore "${@:2}" --models "$MODELS" "${args[@]}" 2>>"$PEERS/run_all.err" | grep --line-buffered '^{'
  local status=${PIPESTATUS[0]}
  [ "$status" = 0 ] || absent "failed with exit status $status, see run_all.err"
}

if [ ! -f "$MODELS/unrolled/config.json" ]; then
  for venv in torch llama openvino; do # those that have numpy and safetensors
    [ ! -x "$PEERS/$venv/bin/python" ] || { "$PEERS/$venv/bin/python" make_models.py --out "$MODELS" >&2; break; }
  done
  [ -f "$MODELS/unrolled/config.json" ] || { echo "no checkpoint in $MODELS: install_peers.sh torch makes it possible" >&2; exit 1; }
fi

declare -A word=([int4]=int4 [int8]=int8 [f32]=fp32) ggml=([int4]=Q4_0 [int8]=Q8_0 [f32]=F32)
for precision in ${PRECISIONS//,/ }; do
  for who in ${ONLY//,/ }; do
    case $who.$precision in
    loopserve.*)               go - peer_loopserve.py --precision "$precision" ;;
    loopserve-f16.*)           go - peer_loopserve.py --precision "$precision" --kv f16 ;;
    loopserve-head.int4)       go - peer_loopserve.py --precision int4 --head int4 ;;
    loopserve-engine.*)        go - peer_loopserve.py --precision "$precision" --via engine ;;
    genai.*)                   go ort peer_genai.py --precision "${word[$precision]}" ;;
    llamacpp.*)                go llama peer_llamacpp.py --precision "${ggml[$precision]}" --model looped ;;
    llama-server.*)            go llama peer_llamacpp.py --precision "${ggml[$precision]}" --model looped --via server ;;
    openvino.*)                go openvino peer_openvino.py --precision "${word[$precision]}" ;;
    torch.f32 | torch.int8)    go torch peer_torch.py --precision "${word[$precision]}" ;;
    torch-compile.f32)         go torch peer_torch.py --compile ;;
    vllm.f32)                  go vllm peer_vllm.py --precision fp32 ;;
    loopserve-head.* | torch.* | torch-compile.* | vllm.*) absent "has no such precision" ;;
    *) echo "unknown contender or precision $who $precision" >&2; exit 2 ;;
    esac
  done
done
