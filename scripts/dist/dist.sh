#!/usr/bin/env bash
# Packages of one version, into dist/: for each architecture a tarball, a .deb, a Python wheel and an SBOM (CycloneDX), and the
# checksums of all. Two builds of one commit give the same bytes. The library of ONNX Runtime is in the tarball and the .deb;
# the wheel depends on onnxruntime, which brings it.
#   scripts/dist/dist.sh [VERSION]      VERSION: v1.2.3 (default: the tag of this commit, else v0.0.0)
#   ARCHES="amd64 arm64"                which; arm64 on another machine needs aarch64-linux-gnu-gcc (Debian: gcc-aarch64-linux-gnu)
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${1:-$(git describe --tags --exact-match 2>/dev/null || echo v0.0.0)}
[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9a-z.]+)?$ ]] || { echo "VERSION is $version: write it as v1.2.3 or v1.2.3-rc1" >&2; exit 2; }
number=${version#v}
debian=${number/-/\~}                                                        # 1.2.3~rc1 sorts before 1.2.3
python=$(sed -E 's/-(a|b|rc)\.?([0-9]+)$/\1\2/; s/-/.dev0+/' <<<"$number")   # PEP 440
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export LC_ALL=C TZ=UTC CGO_ENABLED=1 GOFLAGS=-tags=nomsgpack
umask 022
out=$PWD/dist
rm -rf "$out" && mkdir -p "$out"
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
ort=$(sed -n 's/.*"version": "\(.*\)".*/\1/p' runtime/ort/pin.json)

wheel=.cache/dist/wheel
[ -d "$wheel" ] || PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --require-hashes \
  --requirement scripts/dist/requirements.txt --target "$wheel"

pack() { # FOLDER TARBALL: the same bytes for the same files
  tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -C "$(dirname "$1")" -cf - "$(basename "$1")" | gzip -9n >"$2"
}

# What shells and man know of the commands and their flags, from the commands themselves; where each looks below a prefix.
share=$work/share
mkdir -p "$share"/{man/man1,bash-completion/completions,zsh/site-functions,fish/vendor_completions.d}
go build -trimpath -buildvcs=false -ldflags "-X main.version=$version" -o "$work/loopserve" ./cmd/loopserve
"$work/loopserve" man "$share/man/man1" && gzip -9n "$share"/man/man1/*.1
"$work/loopserve" completion bash >"$share/bash-completion/completions/loopserve"
"$work/loopserve" completion zsh >"$share/zsh/site-functions/_loopserve"
"$work/loopserve" completion fish >"$share/fish/vendor_completions.d/loopserve.fish"

for arch in ${ARCHES:-amd64 arm64}; do
  case $arch in amd64) machine=x86_64 ;; arm64) machine=aarch64 ;; *) echo "no packages are made for $arch" >&2; exit 2 ;; esac
  cc=gcc
  [ "$machine" = "$(uname -m)" ] || cc=$machine-linux-gnu-gcc
  command -v "$cc" >/dev/null || { echo "missing: $cc, the C compiler for $arch" >&2; exit 1; }
  make --no-print-directory ort MACHINE="$machine" >/dev/null

  home=$work/$arch/opt/loopserve
  mkdir -p "$home"/{bin,lib,models}
  CC=$cc GOARCH=$arch go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.version=$version" -o "$home/bin/loopserve" ./cmd/loopserve
  cp ".cache/ort/$ort/$machine/onnxruntime/capi/libonnxruntime.so.$ort" "$home/lib/"
  for m in models/*/manifest.json; do cp -r "$(dirname "$m")" "$home/models/"; done
  cp LICENSE README.md CHANGELOG.md "$home/"
  cp -r "$share" "$home/share"
  cp -r deploy/systemd "$home/share/systemd"
  chmod -R u=rwX,go=rX "$home"

  # The oldest glibc whose symbols the binary needs is what the wheel's tag and the .deb's dependency promise.
  glibc=$(objdump -T "$home/bin/loopserve" 2>/dev/null | grep -oE 'GLIBC_2\.[0-9]+' | sort -Vu | tail -1 | cut -d. -f2 || true)
  glibc=${glibc:-34}
  [ "$glibc" -le 36 ] || { echo "the binary needs glibc 2.$glibc, but Debian 12 has 2.36" >&2; exit 1; }

  cp -r "$home" "$work/loopserve-$number"
  pack "$work/loopserve-$number" "$out/loopserve_${number}_linux_$arch.tar.gz"
  rm -r "$work/loopserve-$number"

  deb=$work/$arch
  mkdir -p "$deb"/{DEBIAN,usr/bin,usr/lib/systemd/system,usr/share/{doc/loopserve,zsh},etc/loopserve}
  ln -s /opt/loopserve/bin/loopserve "$deb/usr/bin/loopserve"
  ln -s /opt/loopserve/LICENSE "$deb/usr/share/doc/loopserve/copyright"
  mv "$home/share/systemd/loopserve."* "$deb/usr/lib/systemd/system/"
  mv "$home"/share/{man,bash-completion,fish} "$deb/usr/share/"
  mv "$home/share/zsh/site-functions" "$deb/usr/share/zsh/vendor-completions"
  rm -r "$home/share"
  install -m 644 deploy/systemd/loopserve.yaml "$deb/etc/loopserve/loopserve.yaml"
  echo /etc/loopserve/loopserve.yaml >"$deb/DEBIAN/conffiles"
  size=$(find "$deb" -type f -printf "%s\n" | awk '{ kib += int(($1 + 1023) / 1024) } END { print kib }') # not du: blocks differ by file system
  sed -e "s/@version@/$debian/; s/@arch@/$arch/; s/@glibc@/2.$glibc/; s/@size@/$size/" deploy/debian/control >"$deb/DEBIAN/control"
  dpkg-deb --root-owner-group -Zxz --build "$deb" "$out/loopserve_${debian}_$arch.deb" >/dev/null

  tree=$work/wheel-$arch
  mkdir -p "$tree/loopserve-$python.data"/{scripts,data} "$tree/loopserve-$python.dist-info/licenses"
  cp -r "$share" "$tree/loopserve-$python.data/data/share"
  cp "$home/bin/loopserve" "$tree/loopserve-$python.data/scripts/"
  cp LICENSE "$tree/loopserve-$python.dist-info/licenses/"
  { sed "s/@version@/$python/; s/@ort@/$ort/" scripts/dist/METADATA; sed -e '/<img/d' README.md; } >"$tree/loopserve-$python.dist-info/METADATA"
  printf 'Wheel-Version: 1.0\nGenerator: loopserve dist.sh\nRoot-Is-Purelib: false\nTag: py3-none-manylinux_2_%s_%s\n' "$glibc" "$machine" \
    >"$tree/loopserve-$python.dist-info/WHEEL"
  PYTHONPATH=$wheel python3 -m wheel pack --dest-dir "$out" "$tree" >/dev/null

  # What the binary says of itself, and the library beside it.
  go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0 bin -json -noserial -notimestamp -std -version "$version" \
    -output "$work/bom.json" "$home/bin/loopserve" 2>/dev/null
  python3 scripts/dist/sbom.py "$work/bom.json" "$machine" >"$out/loopserve_${number}_linux_$arch.cdx.json"
done
(cd "$out" && sha256sum -- * >SHA256SUMS && cat SHA256SUMS)
