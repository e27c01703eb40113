#!/usr/bin/env bash
# The section of a version in CHANGELOG.md, which is a release's notes: notes.sh v1.2.3
set -euo pipefail
cd "$(dirname "$0")/../.."
notes=$(awk -v heading="## ${1:?the version, as v1.2.3}" '/^## /{ on = index($0 " ", heading " ") == 1; next } on' CHANGELOG.md)
[ -n "${notes//[[:space:]]/}" ] || { echo "CHANGELOG.md has no section \"## $1\": name Unreleased after the version before it is tagged" >&2; exit 1; }
echo "$notes"
