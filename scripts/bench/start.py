#!/usr/bin/env python3
"""Times a server's start: from exec until the port is open, /readyz is 200, and the first token is there.

  scripts/bench/start.py BUNDLE [--loops N] [--runs N] [--pause SECONDS] [-- further flags of loopserve serve]
"""
import argparse, http.client, json, os, re, signal, socket, statistics, subprocess, sys, tempfile, time


def port_of():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ask(port, method, path, body=None):
    try:
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        c.request(method, path, body and json.dumps(body))
        r = c.getresponse()
        return r.status, r.read()
    except ConnectionError:  # not there yet
        return 0, b""


def until(port, path, good, p, log):
    while not good(ask(port, "GET", path)[0]):
        if p.poll() is not None:
            sys.exit(f"the server ended with {p.returncode}: {open(log).read()}")
        time.sleep(0.002)


def once(o, log):
    time.sleep(o.pause)
    port = port_of()
    with open(log, "w") as err:
        start = time.perf_counter()
        p = subprocess.Popen([o.binary, "serve", o.bundle, "--listen", f"127.0.0.1:{port}", *o.flags], stderr=err)
        try:
            marks = []
            for path, good in (("/livez", bool), ("/readyz", lambda s: s == 200)):
                until(port, path, good, p, log)
                marks.append(time.perf_counter() - start)
            body = {"prompt": [1], "max_tokens": 1, "temperature": 0, "ignore_eos": True}
            for _ in range(2):  # the first token, and what a token takes once all is warm
                status, answer = ask(port, "POST", "/v1/completions", body | ({"loops": o.loops} if o.loops else {}))
                marks.append(time.perf_counter() - start)
                if status != 200:
                    sys.exit(f"the server answered {status}: {answer.decode()}")
            status = open(f"/proc/{p.pid}/status").read()
            return marks, [int(re.search(name + r":\s+(\d+)", status)[1]) / 1024 for name in ("VmRSS", "VmHWM")]
        finally:
            p.send_signal(signal.SIGINT)
            p.wait()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("bundle")
    a.add_argument("--binary", default=os.path.join(os.path.dirname(__file__), "../../bin/loopserve"))
    a.add_argument("--loops", type=int, default=0, help="of the token; 0: the model's default")
    a.add_argument("--runs", type=int, default=5, help="after one that is not counted, which reads the files into the page cache")
    a.add_argument("--pause", type=float, default=0, help="seconds between runs, in which a virtual machine gives memory back to its host")
    a.add_argument("--log", help="where the server's log of the last run goes")
    cut = (sys.argv + ["--"]).index("--")
    o = a.parse_args(sys.argv[1:cut])
    o.flags = sys.argv[cut + 1:]
    with tempfile.NamedTemporaryFile() as temp:
        runs = [once(o, o.log or temp.name) for _ in range(o.runs + 1)][1:]
    for i, name in enumerate(("port open", "ready", "first token", "second token")):
        each = sorted(r[0][i] for r in runs)
        print(f"{name:12}  median {statistics.median(each):.3f} s  ({each[0]:.3f} to {each[-1]:.3f})")
    print(f"resident {max(r[1][0] for r in runs):.0f} MiB, at most {max(r[1][1] for r in runs):.0f} MiB")


if __name__ == "__main__":
    main()
