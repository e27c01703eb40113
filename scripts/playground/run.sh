#!/usr/bin/env bash
# The browser test of the playground against two servers of this tree, one of them with an API key. playwright-core comes
# from npm into .cache/playground; in CI as root Chromium comes from Debian. SHOTS=DIR keeps the screenshots.
set -euo pipefail
cd "$(dirname "$0")/../.."
client=playground
. scripts/clients/setup.sh
. scripts/debian.sh
command -v node >/dev/null && command -v npm >/dev/null || skip "no node or no npm"
browser() { [ -n "${CHROMIUM:-}" ] || command -v chromium chromium-browser google-chrome google-chrome-stable >/dev/null; }
browser || from_debian chromium fonts-dejavu-core >"$work/install.out" 2>&1 || skip "Chromium not installed: $(tail -n 1 "$work/install.out")"
browser || skip "no Chromium: install the package chromium, or set CHROMIUM to its path"
dir=.cache/playground
mkdir -p $dir
cp scripts/playground/{package.json,*.mjs} $dir
timeout 600 npm install --prefix $dir --no-package-lock --no-audit --no-fund >"$work/install.out" 2>&1 </dev/null ||
  skip "playwright-core not installed: $(head -n 1 "$work/install.out")"
key=playground-test-key
LOOPSERVE_API_KEYS=$key serve --models models/adder
keyed=$url
serve --models models
node $dir/test.mjs --url "$url" --keyed "$keyed" --key "$key" ${SHOTS:+--shots "$SHOTS"}
