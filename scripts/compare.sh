#!/usr/bin/env bash
# Our server beside its peers on one checkpoint, in one run: rounds in which every contender is measured once, with new prompts.
#   compare.sh [--only loopserve,llamacpp,…] [--precisions int4,int8,f32] [--shapes PROMPT+NEW:C,C,…]…
#     [--rounds 3] [--quick] [--threads N] [--out DIR] [--docs]
# Writes DIR/compare.jsonl and DIR/compare.md (default: out/compare). --docs also puts the table into docs/benchmarks.md.
# --quick: one round of small shapes, to see that everything runs: its figures mean little.
# Peers come from scripts/bench/install_peers.sh; who is not there is named in the table. PEERS= and MODELS= as there.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
typed="${PEERS:+PEERS=… }scripts/compare.sh${*:+ $*}"
usage() { sed -n '2,7s/^# \{0,1\}//p' "$0"; }

only=loopserve,loopserve-head,loopserve-f16,loopserve-engine,genai,llamacpp,llama-server,openvino,torch,vllm
all=$only,torch-compile # compiles for minutes, once for each C
precisions=int4,int8,f32 rounds=3 threads=$(nproc) out=$root/out/compare docs='' given=''
shapes=('128+64:1,4,8' '4+128:1,4,8,16,32,64')
while [ $# -gt 0 ]; do
  case $1 in
  --only) only=$2; shift ;;
  --precisions) precisions=$2; shift ;;
  --rounds) rounds=$2; shift ;;
  --threads) threads=$2; shift ;;
  --out) out=$2; shift ;;
  --shapes) [ -n "$given" ] || shapes=(); given=yes shapes+=("$2"); shift ;;
  --quick) rounds=1 shapes=('128+16:1,8' '4+16:1,8') ;;
  --docs) docs=yes ;;
  -h | --help) usage; exit ;;
  *) usage >&2; exit 2 ;;
  esac
  shift
done

PEERS=$(realpath -m "${PEERS:-$root/.cache/peers}")
BENCH_VERSION=$(git -C "$root" describe --always --dirty)
export PEERS BENCH_VERSION PRECISIONS=$precisions
make -s -C "$root" build
mkdir -p "$out" "$PEERS"
rm -rf "${MODELS:-$PEERS/models/base}"/converted/loopserve-* # the exporter may have changed

python3 "$root/scripts/bench/machine.py" "$typed" >"$out/compare.jsonl"
for who in ${all//,/ }; do
  [[ ,$only, == *,$who,* ]] || echo "{\"peer\": \"$who\", \"precision\": \"$precisions\", \"absent\": \"not asked for\"}"
done >>"$out/compare.jsonl"
for ((round = 1; round <= rounds; round++)); do
  # Every second round runs backwards, so that nobody always follows the same neighbour.
  ((round % 2)) && ONLY=$only || ONLY=$(tr , '\n' <<<"$only" | tac | paste -sd,)
  export ONLY
  "$root/scripts/bench/run_all.sh" --shapes "${shapes[@]}" --threads "$threads" --repeat 1 --seed "$round" |
    sed -u "s/^{/{\"round\": $round, /" | tee -a "$out/compare.jsonl"
done
python3 "$root/scripts/bench/table.py" "$out/compare.jsonl" | tee "$out/compare.md"
[ -z "$docs" ] || python3 "$root/scripts/bench/table.py" "$out/compare.jsonl" --into "$root/docs/benchmarks.md"
