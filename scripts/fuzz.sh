#!/usr/bin/env bash
# Fuzzes each target for a while (FUZZTIME, default 2s).
# Go's fuzzer fails with "context deadline exceeded", and no input, where its time ends while a worker answers; such a
# target runs again, three times at most. A failing input or a panic is a failure at once.
set -euo pipefail
cd "$(dirname "$0")/.."
said=$(mktemp)
trap 'rm -f "$said"' EXIT
grep -rEo --include='*_test.go' --exclude-dir=.cache '^func Fuzz[A-Za-z0-9]+' . | sort | while IFS=: read -r file name; do
  name=${name#func } package=${file%/*}
  for try in 1 2 3; do
    echo "== $package $name"
    if ${GO:-go} test -run '^$' -fuzz "^$name\$" -fuzztime "${FUZZTIME:-2s}" "$package" </dev/null 2>&1 | tee "$said"; then break; fi
    grep -qx ' *context deadline exceeded' "$said" && ! grep -qE 'Failing input|panic:|_test\.go:' "$said" && [ "$try" -lt 3 ] || exit 1
  done
done
