#!/usr/bin/env bash
# The packages as their users have them: two builds are the same bytes; the wheel serves in a clean virtual environment, the
# tarball in a folder, the .deb's unit is hardened; the arm64 binary runs under qemu where there is one.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/debian.sh
. scripts/qemu.sh
from_debian gcc-aarch64-linux-gnu libc6-dev-arm64-cross libstdc++6-arm64-cross qemu-user-static systemd groff-base >/dev/null 2>&1 || echo "not installed: the arm64 compiler, qemu, systemd, groff"
arches=amd64
command -v aarch64-linux-gnu-gcc >/dev/null && arches+=" arm64" || echo "arm64: not built, aarch64-linux-gnu-gcc is missing (Debian: gcc-aarch64-linux-gnu)"
[ "$(uname -m)" = x86_64 ] || { echo "the packages are checked on x86_64"; exit 77; }
go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
echo "workflows: actionlint finds nothing"
scripts/dist/notes.sh Unreleased >/dev/null
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

ARCHES=$arches scripts/dist/dist.sh v0.0.1 >/dev/null
cp dist/SHA256SUMS "$work/first"
ARCHES=$arches scripts/dist/dist.sh v0.0.1 >/dev/null
diff "$work/first" dist/SHA256SUMS
echo "two builds: the same bytes"

serves() { # NAME COMMAND...: serves a shipped model, is ready, answers, and stops
  local name=$1 socket=$work/$1.sock; shift
  "$@" serve --listen "unix:$socket" --models "$PWD/models/adder" 2>"$work/$name.log" &
  local pid=$!
  for _ in $(seq 300); do "$@" health --listen "unix:$socket" >/dev/null 2>&1 && break; sleep 0.1; done
  "$@" health --listen "unix:$socket" >/dev/null || { cat "$work/$name.log"; exit 1; }
  curl -fsS --unix-socket "$socket" localhost/v1/completions \
    -d '{"model":"adder","prompt":"123+456+789=","max_tokens":8,"temperature":0,"loops":8}' | grep -q '"text":"1368"'
  kill -TERM "$pid" && wait "$pid" && echo "$name: serves, answers, stops"
}
clean=(env -i HOME="$work") # no Go, no LOOPSERVE_*, no cache of ours

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check dist/loopserve-*x86_64.whl
serves wheel "${clean[@]}" PATH="$work/venv/bin:/usr/bin:/bin" loopserve
tar -xzf dist/loopserve_*_linux_amd64.tar.gz -C "$work"
serves tarball "${clean[@]}" "$work"/loopserve-*/bin/loopserve
dpkg-deb -x dist/loopserve_*_amd64.deb "$work/deb"
serves deb "${clean[@]}" "$work/deb/opt/loopserve/bin/loopserve"
documents() { # NAME SHARE ZSH: a page of each command, without a complaint of groff's, and what three shells load
  local said page pages=("$2"/man/man1/*.1.gz)
  [ "${#pages[@]}" -gt 15 ] || { echo "$1: ${#pages[@]} manual pages" >&2; exit 1; }
  for page in "${pages[@]}"; do
    [[ $(zcat "$page") == ".TH LOOPSERVE"* ]]
    command -v groff >/dev/null || continue
    said=$(zcat "$page" | groff -man -Tutf8 -Kutf8 -ww -z 2>&1) && [ -z "$said" ] || { echo "$1: $page: $said" >&2; exit 1; }
  done
  bash -n "$2/bash-completion/completions/loopserve"
  grep -q '^#compdef loopserve' "$2/zsh/$3/_loopserve"
  grep -q '^complete -c loopserve' "$2/fish/vendor_completions.d/loopserve.fish"
  echo "$1: ${#pages[@]} manual pages, completions for bash, zsh and fish"
}
documents wheel "$work/venv/share" site-functions
documents tarball "$work"/loopserve-*/share site-functions
documents deb "$work/deb/usr/share" vendor-completions
python3 -c 'import json, sys; b = json.load(open(sys.argv[1])); n = {c["name"] for c in b["components"]}; assert {"onnxruntime", "github.com/gin-gonic/gin"} <= n, n' dist/*amd64.cdx.json
if command -v systemd-analyze >/dev/null; then
  systemd-analyze security --offline=true --threshold=20 deploy/systemd/loopserve.service | tail -1
else
  echo "systemd-analyze: not here, the unit's exposure is not checked"
fi
if [[ $arches == *arm64* ]] && command -v qemu-aarch64-static >/dev/null; then
  dpkg-deb -x dist/loopserve_*_arm64.deb "$work/arm64"
  arm64_root "$work/root"
  arm64=("${clean[@]}" qemu-aarch64-static -L "$work/root" "$work/arm64/opt/loopserve/bin/loopserve")
  "${arm64[@]}" version | grep 'linux/arm64'
  said=$("${arm64[@]}" run '123+456+789=' --model models/adder --loops 8 --max-tokens 8)
  [[ $said == *1368* ]] || { echo "deb for arm64: says $said, not 1368" >&2; exit 1; }
  echo "deb for arm64: answers, under qemu"
elif [[ $arches == *arm64* ]]; then
  echo "deb for arm64: not run, qemu-aarch64-static is missing (Debian: qemu-user-static)"
fi
