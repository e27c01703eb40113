#!/usr/bin/env bash
# The tests of runtime/ort with the C code under ASan and UBSan: `make sanitize`. Status 77: this compiler has neither.
# Go's own part of the process is the sanitizer's, too (-asan). ONNX Runtime's exceptions need libstdc++ loaded before the
# sanitizer looks for it. Leaks are not looked for: the library keeps what it has, and the tests count what is ours.
set -euo pipefail
cd "$(dirname "$0")/.."
flags="-g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"
cc=${CC:-$(${GO:-go} env CC)}
if ! echo 'int main(void) { return 0; }' | $cc $flags -x c - -o /dev/null 2>/dev/null; then
  echo "not installed: libasan and libubsan of this C compiler (Debian: apt install libgcc-12-dev)"
  exit 77
fi
# -O1 after the package's own -O3, with which each of the attention's files compiles for half a minute.
mkdir -p .cache/sanitize
printf '#!/bin/sh\nexec %s "$@" -O1\n' "$cc" >.cache/sanitize/cc
chmod +x .cache/sanitize/cc
export CC=$PWD/.cache/sanitize/cc
export ASAN_OPTIONS=detect_leaks=0 LOOPSERVE_HOSTILE=${LOOPSERVE_HOSTILE:-2000}
export CGO_CFLAGS="$flags" CGO_LDFLAGS="-fsanitize=address,undefined -Wl,--no-as-needed -lstdc++"
# What compares bits in many mixes plays the same kernels again, and would take half of the time.
exec ${GO:-go} test -asan -timeout 14m -skip 'Exact|SameInAnyMix|NotKept|LongSequences|AtTheSameTime|RowAlone' ./runtime/ort
