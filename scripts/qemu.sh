# arm64_root DIR: fills it with what an arm64 program sees under `qemu-aarch64 -L DIR` on a machine that is none: the
# libraries of Debian's cross packages, and processors in /proc/cpuinfo. ONNX Runtime's cpuinfo reads them, and crashes on
# those of another kind. To be sourced.
arm64_root() {
  mkdir -p "$1/proc"
  ln -sfn /usr/aarch64-linux-gnu/lib "$1/lib"
  for i in $(seq 0 $(($(nproc) - 1))); do
    printf 'processor\t: %d\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n' "$i"
  done >"$1/proc/cpuinfo"
}
