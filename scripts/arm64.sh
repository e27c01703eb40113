#!/usr/bin/env bash
# The tests of runtime/ort's C code for arm64, cross-built, under qemu-user: `make arm64`. As a processor with dot products,
# whose kernels must run and give the bits that x86's give, and as one without, which must fall back. Bits are what this
# proves: a simulated processor has no speed. Status 77: no cross compiler or no qemu. Left out: tests that take minutes
# under qemu, and those that call this machine's C compiler.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(uname -m)" = x86_64 ] || { echo "SKIP arm64: it is cross-built on x86_64; elsewhere go test ./runtime/ort does it"; exit 77; }
. scripts/debian.sh
. scripts/qemu.sh
from_debian gcc-aarch64-linux-gnu libc6-dev-arm64-cross libstdc++6-arm64-cross qemu-user-static >/dev/null 2>&1 || true
cc=aarch64-linux-gnu-gcc
qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64) && command -v $cc >/dev/null && [ -e /usr/aarch64-linux-gnu/lib/libstdc++.so.6 ] || {
  echo "SKIP arm64: not installed (Debian: apt install gcc-aarch64-linux-gnu libc6-dev-arm64-cross libstdc++6-arm64-cross qemu-user-static)"
  exit 77
}
make --no-print-directory ort MACHINE=aarch64 LOOPSERVE_ORT_LIB= >/dev/null
unset LOOPSERVE_ORT_LIB # this machine's
work=$PWD/.cache/arm64
arm64_root "$work/root"
CC=$cc GOARCH=arm64 CGO_ENABLED=1 ${GO:-go} test -c -o "$work/ort.test" ./runtime/ort

as() { # CPU TESTS [BUT]: runs them as that processor; a line for each of the longest, and what failed
  local status=0
  (cd runtime/ort && "$qemu" -L "$work/root" -cpu "$1" "$work/ort.test" -test.v -test.timeout 10m -test.run "$2" -test.skip "${3:-^$}") >"$work/$1.log" 2>&1 || status=$?
  [ "$status" = 0 ] || { grep -v -e '=== ' -e 'PASS: ' -e SKIP "$work/$1.log" | head -50; echo "as $1: status $status" >&2; exit 1; }
  echo "$1: $(grep -c '^--- PASS' "$work/$1.log") tests pass"
}
must() { grep -q -e "--- $2: $3 " "$work/$1.log" || { echo "as $1 $3 is not $2" >&2; exit 1; }; }
as cortex-a72 'TestProduct.*(Arithmetic|Extremes|NaN|Company|Vector)'
must cortex-a72 PASS TestProductOfExtremes/portable
must cortex-a72 SKIP TestProductOfExtremes/neon
as max 'Product|PackedLinear|Change|Attention|KV|CopyRows|Alloc|Call|Session' 'IsExactInAnyCompany|AtTheSameTime'
must max PASS TestProductOfExtremes/neon
must max PASS TestProductIsTheSameOnEveryVectorISA
must max PASS TestPackedLinearThroughONNXRuntime
