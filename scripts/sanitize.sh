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
# -O1 after the package's own -O3, with which they would compile for minutes.
mkdir -p .cache/sanitize
printf '#!/bin/sh\nexec %s "$@" -O1\n' "$cc" >.cache/sanitize/sanitizing-cc
chmod +x .cache/sanitize/sanitizing-cc
export CC=sanitizing-cc PATH=$PWD/.cache/sanitize:$PATH # Go takes a blank in a path for the next argument
export ASAN_OPTIONS=detect_leaks=0 LOOPSERVE_HOSTILE=${LOOPSERVE_HOSTILE:-2000}
export CGO_CFLAGS="$flags" CGO_LDFLAGS="-fsanitize=address,undefined -Wl,--no-as-needed -lstdc++"
# What touches memory in new ways: tests that compare numbers and bits over many mixes play the same kernels again, for minutes.
exec ${GO:-go} test -asan -timeout 14m -run 'Hostile|Malformed|Refuses|WritesOnlyItsOwn|ThroughONNXRuntime|OfExtremes|KeepsNaN|CopyRows|FilesInPlace' ./runtime/ort
