#!/usr/bin/env bash
# Builds the Dockerfile and runs the image as an orchestrator does. Where no registry of images is at hand, buildah (chroot
# isolation) builds it over stand-ins of its two bases that debootstrap makes of Debian's packages: what is proven then is each
# step of the Dockerfile and the image, not the bases. Needs root, buildah, debootstrap; in CI they come from Debian.
set -euo pipefail
cd "$(dirname "$0")/../.."
skip() { echo "SKIP container: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root, for debootstrap and chroot"
. scripts/debian.sh
from_debian buildah debootstrap >/dev/null 2>&1 || true
command -v buildah >/dev/null && command -v debootstrap >/dev/null || skip "no buildah or no debootstrap"
work=$(mktemp -d)
trap 'finish' EXIT
finish() {
  kill $(jobs -p) 2>/dev/null || true
  [ -z "${box:-}" ] || { b umount "$box"; b rm "$box"; } >/dev/null 2>&1 || true
  rm -rf "$work"
}
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=overlay
storage=(--root "$work/storage" --runroot "$work/run")
b() { buildah "${storage[@]}" "$@"; }

base() { # NAME PACKAGES: a stand-in
  debootstrap --variant=minbase --include="$2" bookworm "$work/root" >"$work/log" 2>&1 || { tail -3 "$work/log"; skip "debootstrap failed"; }
  rm -rf "$work"/root/var/{cache/apt,lib/apt/lists}/*
}
base cc ca-certificates,libstdc++6,libgcc-s1
b from --name cc scratch >/dev/null
b copy -q cc "$work/root" / >/dev/null
b commit -q --rm cc gcr.io/distroless/cc-debian12 >/dev/null
# The compiler's: the same, with what Debian calls build-essential, and this machine's Go.
chroot "$work/root" true
cp /etc/resolv.conf "$work/root/etc/" 2>/dev/null || true
cp -r /etc/apt/. "$work/root/etc/apt/"
chroot "$work/root" sh -c 'apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make git' >"$work/log" 2>&1 ||
  { tail -3 "$work/log"; skip "no compiler from Debian"; }
cp -r "$(go env GOROOT)" "$work/root/usr/local/go"
# What this machine's package clients are told (mirrors, certificates) is told to those of the build stage, which the image is not.
cp -r /etc/ssl/certs/. "$work/root/etc/ssl/certs/"
[ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$work/root/etc/"
[ -z "${PIP_FIND_LINKS:-}" ] || cp -r --parents "$PIP_FIND_LINKS" "$work/root/" 2>/dev/null || true
b from --name go scratch >/dev/null
b copy -q go "$work/root" / >/dev/null
told=()
for name in GOPROXY GOSUMDB GONOSUMDB; do told+=(--env "$name=$(go env "$name")"); done
for name in $(compgen -e PIP_ || true) $(compgen -e | grep -iE '^(https?|no)_proxy$' || true); do told+=(--env "$name=${!name}"); done
b config --env PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin --env GOPATH=/go "${told[@]}" go
b commit -q --rm go docker.io/library/golang:1.26-bookworm >/dev/null
rm -rf "$work/root"
b bud --format docker --pull-never --network host --volume "$(go env GOMODCACHE):/go/pkg/mod" --build-arg VERSION=v0.0.1 -t loopserve . >"$work/log" 2>&1 ||
  { tail -20 "$work/log"; exit 1; }

box=$(b from --pull-never loopserve)
root=$(b mount "$box")
inspect() { b inspect --type image --format "$1" loopserve; }
[ "$(inspect '{{.OCIv1.Config.User}}')" = 10001:10001 ]
[ "$(inspect '{{index .OCIv1.Config.Labels "org.opencontainers.image.version"}}')" = v0.0.1 ]
inspect '{{.Docker.Config.Healthcheck.Test}}' | grep -q 'loopserve health'
! inspect '{{.OCIv1.Config.Env}}' | grep -qE 'GOPROXY|PIP_'
echo "image: $(du -sm "$root/opt" | cut -f1) MB over its base, runs as 10001, labelled, with a health check"

# As an orchestrator runs it: PID 1 of its own namespace, user 10001, read-only root, /models and /tmp writable, a cgroup's limits.
cat >"$work/init" <<EOF
mount --bind "$root" "$root" && mount -o remount,ro,bind "$root"
mount -t proc proc "$root/proc"; mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"; mount -t tmpfs -o uid=10001,gid=10001 tmpfs "$root/models"
mkdir -p "$root/sys" 2>/dev/null; mount --rbind /sys "$root/sys"
exec chroot --userspec=10001:10001 "$root" /usr/bin/env -i PATH=/opt/loopserve/bin LOOPSERVE_LISTEN=0.0.0.0:18080 LOOPSERVE_API_KEYS=a-long-key LOOPSERVE_CACHE=/models/cache \
  /opt/loopserve/bin/loopserve serve --models /opt/loopserve/models
EOF
limits=none
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  group=(/sys/fs/cgroup/loopserve-check)
  if mkdir -p "${group[@]}" && echo 1G >"${group[0]}/memory.max" && echo "100000 100000" >"${group[0]}/cpu.max"; then limits="1 GiB, one CPU"; fi 2>/dev/null
else
  group=(/sys/fs/cgroup/{memory,cpu}/loopserve-check)
  if mkdir -p "${group[@]}" && echo 1G >"${group[0]}/memory.limit_in_bytes" && echo 100000 >"${group[1]}/cpu.cfs_quota_us"; then limits="1 GiB, one CPU"; fi 2>/dev/null
fi
(
  [ "$limits" = none ] || for g in "${group[@]}"; do echo $BASHPID >"$g/cgroup.procs"; done
  exec unshare --mount --pid --fork --kill-child sh "$work/init"
) >"$work/serve.log" 2>&1 &
for _ in $(seq 150); do chroot "$root" /opt/loopserve/bin/loopserve health --url http://127.0.0.1:18080 >/dev/null 2>&1 && break; sleep 0.2; done
chroot "$root" /opt/loopserve/bin/loopserve health --url http://127.0.0.1:18080 || { cat "$work/serve.log"; exit 1; }
ask() { curl -sS -o "$work/answer" -w '%{http_code}' "$@" 127.0.0.1:18080/v1/completions -d '{"model":"adder","prompt":"123+456+789=","max_tokens":8,"temperature":0,"loops":8}'; }
[ "$(ask)" = 401 ]
[ "$(ask -H 'Authorization: Bearer a-long-key')" = 200 ] && grep -q '"text":"1368"' "$work/answer"
[ "$limits" = none ] || grep -q 'threads=1 ' "$work/serve.log" || { echo "the cgroup's CPU quota was not honoured"; grep sizes "$work/serve.log"; exit 1; }
pid=$(pgrep -f '^/opt/loopserve/bin/loopserve serve --models /opt/loopserve/models')
[ "$(awk '/^Uid/ { print $2 }' "/proc/$pid/status")" = 10001 ]
awk '/^NSpid/ { exit $NF != 1 }' "/proc/$pid/status"
kill -TERM "$pid"
for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
! kill -0 "$pid" 2>/dev/null
grep -q 'msg=stopped' "$work/serve.log"
echo "container: read-only root, cgroup limits: $limits; 401 without a key, answers with one, PID 1 ends on SIGTERM"
