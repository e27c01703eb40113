#!/usr/bin/env bash
# Fuzzes each target for a while (FUZZTIME, default 2s). A package is linked once for all of its targets: that takes
# longer than CI fuzzes one. Inputs that reach new code are kept where `go test -fuzz` keeps them.
# Go's fuzzer fails with "context deadline exceeded", and no input, where its time ends while a worker answers; such a
# target runs again, three times at most. A failing input or a panic is a failure at once.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(realpath "$(mktemp -d)")
trap 'rm -rf "$work"' EXIT
go=${GO:-go} said=$work/said
kept=$($go env GOCACHE)/fuzz
grep -rEo --include='*_test.go' --exclude-dir=.cache '^func Fuzz[A-Za-z0-9]+' . | sort | while IFS=: read -r file name; do
  name=${name#func } package=${file%/*}
  binary=$work/${package//\//-}.test
  [ -e "$binary" ] || $go test -c -vet=off -ldflags=-w -fuzz . -o "$binary" "$package" </dev/null
  fuzz=("$binary" -test.run '^$' -test.fuzz "^$name\$" -test.fuzztime "${FUZZTIME:-2s}" -test.paniconexit0)
  fuzz+=(-test.fuzzcachedir "$kept/$($go list "$package")")
  for try in 1 2 3; do
    echo "== $package $name"
    if (cd "$package" && "${fuzz[@]}") </dev/null 2>&1 | tee "$said"; then break; fi
    grep -qx ' *context deadline exceeded' "$said" && ! grep -qE 'Failing input|panic:|_test\.go:' "$said" && [ "$try" -lt 3 ] || exit 1
  done
done
