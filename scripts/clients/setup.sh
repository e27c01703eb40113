# What the scripts of the clients share: an environment to install into and a server of this tree. To be sourced, from the
# root of the repository, with $client set.
# Status 77 says that a client could not be installed: a registry that is down must not look like a broken server.
work=$(mktemp -d)
servers=()
trap finish EXIT

skip() { # WHY
  echo "SKIP $client: $*"
  exit 77
}

# from_pypi PACKAGE...: from PyPI into .cache/$client ($CLIENTS_VENV instead, if set); $python is its interpreter.
from_pypi() {
  local venv=${CLIENTS_VENV:-.cache/$client}
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv" >"$work/install.out" 2>&1 || skip "no virtual environment: $(tail -n 1 "$work/install.out")"
  python=$(cd "$venv" && pwd)/bin/python
  timeout 900 "$python" -m pip install --quiet --disable-pip-version-check --no-compile "$@" >"$work/install.out" 2>&1 </dev/null ||
    skip "not installed: $(tail -n 1 "$work/install.out")"
}

# with_uv NAME PACKAGE...: the same into .cache/clients-NAME by uv, which finds versions that fit in seconds where pip takes minutes.
with_uv() {
  local client=$1 into=.cache/clients-$1
  shift
  CLIENTS_VENV=.cache/uv from_pypi uv==0.13.9
  [ -x "$into/bin/python" ] || "$python" -m uv venv --quiet "$into" >"$work/install.out" 2>&1 || skip "no virtual environment: $(tail -n 1 "$work/install.out")"
  timeout 600 "$python" -m uv pip install --quiet --python "$into/bin/python" "$@" >"$work/install.out" 2>&1 </dev/null ||
    skip "not installed: $(head -n 1 "$work/install.out")"
  python=$(pwd)/$into/bin/python
}

# serve FLAG...: a server on a free port until the script ends; $url is its address.
serve() {
  make --silent build
  begin bin/loopserve serve --log-level warn "$@" --listen
}

# serve_scripted: the same of the scripted model of the server's tests, which thinks, calls and fills in forms.
serve_scripted() {
  go test -c -o "$work/scripted" ./server
  begin "$work/scripted" -test.run TestServeScripted -test.timeout 0 -scripted
}

begin() { # COMMAND..., which the address follows
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  url=http://127.0.0.1:$port
  "$@" "127.0.0.1:$port" >/dev/null 2>>"$work/server.log" &
  servers+=($!)
  for _ in $(seq 150); do
    curl -sf -o /dev/null "$url/readyz" && return
    kill -0 $! || break
    sleep 0.2
  done
  cat "$work/server.log" >&2
  return 1
}

# finish ends the servers on any way out: a crash, or an error in their log, is a failure even where no client noticed.
finish() {
  local status=$? pid
  for pid in "${servers[@]}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" || { echo "the server's exit code is $?" >&2; status=1; }
  done
  if grep -sE 'panic|level=ERROR' "$work/server.log"; then
    echo "the server logged errors" >&2
    status=1
  fi
  rm -rf "$work"
  exit "$status"
}
