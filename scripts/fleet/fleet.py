"""Three replicas of the shipped models behind a real balancer, and faults under load: fleet.py haproxy|nginx [SECONDS].

Prints a table of scenarios: requests, those lost before their first byte, streams cut after it, and latencies. Exits with 1 where
a request was lost, or a stream was cut by anything but a kill.
"""
import collections
import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 5
WORKERS = 8
HANG = 2 * SECONDS  # a replica stands still for so long; balancers here give it a second


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Replica:
    def __init__(self, log, *flags):
        self.port, self.log, self.flags = free_port(), log, flags
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [ROOT / "bin/loopserve", "serve", "--listen", f"127.0.0.1:{self.port}", "--models", ROOT / "models", "--threads", "1",
             "--drain-delay", "2s", "--drain-timeout", "10s", "--log-level", "warn", *self.flags], stdout=self.log, stderr=self.log)

    def ready(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
                c.request("GET", "/readyz")
                if c.getresponse().status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise SystemExit("a replica did not get ready")

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(20)


class Load:
    """Workers that ask without a pause: streams of 40 tokens and short answers, 1 to 32 loops."""

    def __init__(self, port):
        self.port, self.on, self.results = port, True, []
        self.threads = [threading.Thread(target=self.work, args=(i,)) for i in range(WORKERS)]
        for t in self.threads:
            t.start()

    def end(self):
        self.on = False
        for t in self.threads:
            t.join()
        return self.results

    def work(self, seed):
        r = random.Random(seed)
        while self.on:
            self.results.append(self.ask(r))

    def ask(self, r):
        a, b = r.randrange(1000), r.randrange(1000)
        stream = r.random() < 0.5
        body = {"model": "adder", "prompt": f"{a:03}+{b:03}=", "temperature": 0, "loops": r.choice([1, 2, 4, 8, 16, 32]),
                "max_tokens": 40 if stream else 8, "stream": stream, "ignore_eos": stream}
        began, first, text = time.monotonic(), None, b""
        try:
            c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            c.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
            answer = c.getresponse()
            while chunk := answer.read1(65536):
                first = first or time.monotonic()
                text += chunk
            c.close()
            if answer.status != 200:
                outcome = f"lost: status {answer.status}"
            elif not stream and not json.loads(text)["choices"]:
                outcome = "lost: no choice"
            elif stream and not text.rstrip().endswith(b"data: [DONE]"):
                outcome = "cut: no [DONE]" if b"error" not in text else "cut: error event"
            else:
                outcome = "ok"
        except (OSError, http.client.HTTPException, ValueError) as e:
            outcome = f"{'cut' if first else 'lost'}: {type(e).__name__}"
        return outcome, time.monotonic() - began


def balancer(kind, replicas, folder):
    """Starts it with the configuration of deploy/balancer, with the ports of this run and a patience of a second."""
    port = free_port()
    text = (ROOT / "deploy/balancer" / {"haproxy": "haproxy.cfg", "nginx": "nginx.conf"}[kind]).read_text()
    for i, r in enumerate(replicas, 1):
        text = text.replace(f"replica-{i}:8080", f"127.0.0.1:{r.port}")
    file = pathlib.Path(folder) / "balancer.conf"
    if kind == "haproxy":
        text = text.replace("bind :8080", f"bind 127.0.0.1:{port}").replace("timeout server 10m", "timeout server 1s")
        command = ["haproxy", "-db", "-f", file]
    else:
        text = text.replace("listen 8080", f"listen 127.0.0.1:{port}").replace("proxy_read_timeout 10m", "proxy_read_timeout 1s")
        text = f"daemon off; pid {folder}/pid; error_log {folder}/nginx.log;\n" + text
        for kind_of in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]:
            text = text.replace("access_log off;", f"access_log off; {kind_of}_temp_path {folder}/{kind_of};", 1)
        command = ["nginx", "-c", file]
    file.write_text(text)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(f"{folder}/balancer.log", "w"))
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process, port
        except OSError:
            time.sleep(0.1)
    raise SystemExit(pathlib.Path(f"{folder}/balancer.log").read_text())


def calm(_):
    time.sleep(SECONDS)


def roll(replicas):
    for r in replicas:
        time.sleep(SECONDS / 3)
        assert r.stop() == 0, "a drained replica failed"
        r.start()
        r.ready()
    time.sleep(SECONDS / 3)


def kill(replicas):
    time.sleep(SECONDS / 3)
    replicas[0].stop(signal.SIGKILL)
    time.sleep(SECONDS)
    replicas[0].start()
    replicas[0].ready()
    time.sleep(SECONDS / 3)


def hang(replicas):
    time.sleep(SECONDS / 3)
    replicas[1].process.send_signal(signal.SIGSTOP)
    time.sleep(HANG)
    replicas[1].process.send_signal(signal.SIGCONT)
    time.sleep(SECONDS / 3)


def slow(replicas):
    until = time.monotonic() + 2 * SECONDS
    while time.monotonic() < until:  # a tenth of a processor
        replicas[2].process.send_signal(signal.SIGSTOP)
        time.sleep(0.09)
        replicas[2].process.send_signal(signal.SIGCONT)
        time.sleep(0.01)


# What may cut a stream after its first byte: who is killed, and who stands still for longer than a balancer waits.
SCENARIOS = [("before", calm, False), ("rolling restart", roll, False), ("kill -9 of a replica", kill, True),
             ("a replica hangs", hang, True), ("a replica is slow", slow, False)]


def main(kind):
    failed = False
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/replicas.log", "w+") as log:
        os.chmod(folder, 0o755)
        replicas = [Replica(log) for _ in range(3)]
        for r in replicas:
            r.ready()
        process, port = balancer(kind, replicas, folder)
        print(f"| {kind} | requests | lost before the first byte | streams cut | p50 ms | p99 ms |\n|---|---|---|---|---|---|")
        try:
            for name, play, may_cut in SCENARIOS:
                load = Load(port)
                play(replicas)
                results = load.end()
                outcomes = collections.Counter(o for o, _ in results)
                lost = {o: n for o, n in outcomes.items() if o.startswith("lost")}
                cut = {o: n for o, n in outcomes.items() if o.startswith("cut")}
                times = sorted(t * 1000 for _, t in results)
                print(f"| {name} | {len(results)} | {sum(lost.values())} | {sum(cut.values())} | {times[len(times) // 2]:.0f} | {times[len(times) * 99 // 100]:.0f} |", flush=True)
                if lost or cut and not may_cut:
                    failed = True
                    print("FAIL", name, lost, cut)
        finally:
            process.terminate()
            for r in replicas:
                r.process.send_signal(signal.SIGCONT)
                if r.stop() != 0:
                    failed = True
            log.seek(0)
            if noise := re.findall(r".*(?:panic|level=ERROR).*", log.read()):
                failed = True
                print(*noise, sep="\n")
    sys.exit(failed)


if __name__ == "__main__":
    main(sys.argv[1])
