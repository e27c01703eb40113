# from_debian PACKAGE...: installs where CI runs as root, and does nothing elsewhere. Its output is apt's. To be sourced.
from_debian() {
  if [ "${CI:-}" != true ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then return 0; fi
  export DEBIAN_FRONTEND=noninteractive
  timeout 900 apt-get update </dev/null && timeout 900 apt-get install -y --no-install-recommends "$@" </dev/null
}
