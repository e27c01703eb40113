#!/usr/bin/env bash
# `make doctor`: says what a build lacks before anything is compiled: Go, a C compiler with its headers, and pip where ONNX
# Runtime's library must be fetched. With -q it is quiet when nothing is missing. ORT is where the Makefile has the library.
set -euo pipefail
cd "$(dirname "$0")/.."
quiet=${1:-}
missing=0
say() { [ "$quiet" = -q ] || echo "doctor: $*"; }
lacks() { # WHAT REMEDY
  echo "doctor: $1" >&2
  echo "        $2" >&2
  missing=1
}

need=$(sed -n 's/^go //p' go.mod)
oldest() { printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1; }
if ! command -v "${GO:-go}" >/dev/null; then
  lacks "Go is not installed, version $need is needed" "install it from https://go.dev/dl/"
elif ! have=$("${GO:-go}" env GOVERSION 2>&1); then # from 1.21 on it fetches the version that go.mod asks for
  lacks "Go does not start: ${have%%$'\n'*}" "install version $need from https://go.dev/dl/"
elif [ "$(oldest "${have#go}" "$need")" != "$need" ]; then
  lacks "Go is version ${have#go}, $need is needed" "install it from https://go.dev/dl/"
else
  say "Go ${have#go}"
  read -ra cc <<<"${CC:-$("${GO:-go}" env CC)}"
  if ! command -v "${cc[0]}" >/dev/null; then
    lacks "the C compiler ${cc[0]} is not installed" "install gcc (on Debian: apt install gcc libc6-dev), or set CC"
  elif ! out=$(printf '#include <math.h>\n#include <pthread.h>\nint main(void) { return 0; }\n' | "${cc[@]}" -std=gnu11 -x c -fsyntax-only - 2>&1); then
    lacks "${cc[*]} does not compile C11: ${out%%$'\n'*}" "install its headers (on Debian: apt install libc6-dev), or set CC"
  else
    say "$("${cc[@]}" --version | head -n 1)"
  fi
fi

library=${ORT:-} # empty: none is pinned for this machine
if [ -n "${LOOPSERVE_ORT_LIB:-}" ]; then
  if [ -e "$LOOPSERVE_ORT_LIB" ]; then
    say "ONNX Runtime: $LOOPSERVE_ORT_LIB"
  else
    lacks "LOOPSERVE_ORT_LIB is $LOOPSERVE_ORT_LIB, which is not there" "correct it, or unset it: then make fetches the pinned library"
  fi
elif [ -n "$library" ] && [ -e "$library" ]; then
  say "ONNX Runtime: $library"
elif [ -z "$library" ]; then
  lacks "ONNX Runtime is not pinned for $(uname -s) $(uname -m)" "set LOOPSERVE_ORT_LIB to a libonnxruntime.so of that machine"
elif ! command -v python3 >/dev/null; then
  lacks "Python 3 is not installed, and its pip fetches ONNX Runtime's library" "install it (on Debian: apt install python3-pip), or set LOOPSERVE_ORT_LIB to a libonnxruntime.so"
elif ! python3 -m pip --version >/dev/null 2>&1; then
  lacks "python3 has no pip, which fetches ONNX Runtime's library" "install it (on Debian: apt install python3-pip), or set LOOPSERVE_ORT_LIB to a libonnxruntime.so"
else
  say "ONNX Runtime: make fetches it with $(python3 -m pip --version | cut -d' ' -f1-2)"
fi
exit $missing
