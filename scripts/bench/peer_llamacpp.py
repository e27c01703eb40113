#!/usr/bin/env python3
"""llama.cpp: llama-batched-bench (engine alone) or, with --via server, llama-server over HTTP.

  peer_llamacpp.py --precision F32|F16|Q8_0|Q4_0 [--model unrolled|looped] [--via engine|server]
unrolled = arch llama, k*L layers; looped = arch nanbeige, in which llama.cpp loops k layers itself.
--loops N overrides L at load time (--override-kv), looped only.
LLAMA_BIN: the folder with the binaries. Run with a python that has gguf, safetensors, numpy, psutil.
"""
import json, os, resource, subprocess, sys
import client_openai
from common import PEERS, each_shape, flags, line

a = flags(["F32", "F16", "Q8_0", "Q4_0"], model=dict(default="unrolled", choices=["unrolled", "looped"]),
          via=dict(default="engine", choices=["engine", "server"]), loops=dict(type=int, default=0),
          port=dict(type=int, default=18080))
BIN = os.environ.get("LLAMA_BIN", os.path.join(PEERS, "llama.cpp-build/bin"))
path = os.path.join(a.cache, "gguf", f"{a.model}-{a.precision}.gguf")
if not os.path.exists(path):
    subprocess.run([sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "make_gguf.py"), a.models,
                    os.path.join(a.cache, "gguf"), "--types", a.precision], check=True, stdout=subprocess.DEVNULL)
extra = ["--override-kv", f"nanbeige.num_loops=int:{a.loops}"] if a.loops else []
name = a.model + (f" L={a.loops}" if a.loops else "")
r = subprocess.run([BIN + "/llama-batched-bench", "--version"], capture_output=True, text=True)
ver = next(l for l in (r.stdout + r.stderr).splitlines() if l.startswith("version")).removeprefix("version: ")


def engine():
    best, seen = {}, dict.fromkeys(a.conc, 0)
    for _ in range(a.repeat * 4):  # its log thread sometimes loses the last line at exit: run until each C has its repeats
        if min(seen.values()) >= a.repeat:
            break
        r = subprocess.run([BIN + "/llama-batched-bench", "-b", "2048", "-ub", "512", "-npp", str(a.prompt), "-ntg", str(a.new),
                            "-npl", ",".join(map(str, a.conc)), "--output-format", "jsonl"] + model, capture_output=True, text=True)
        rows = [json.loads(l) for l in r.stdout.splitlines() if l.startswith("{")]
        if r.returncode:
            sys.exit(r.stderr[-2000:])
        for w in rows:
            seen[w["pl"]] += 1
            b = best.setdefault(w["pl"], [w["t_pp"], w["t_tg"]])
            b[0], b[1] = min(b[0], w["t_pp"]), min(b[1], w["t_tg"])
    rss = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    for c, (pp, tg) in sorted(best.items()):  # it decodes `new` tokens after the prompt; line() wants new-1
        line("llama.cpp", ver, name, a, c, pp, tg * (a.new - 1) / a.new, rss, via="engine")


def server():
    # cache-ram 0 and cache_prompt false: no repeat may reuse a prompt
    with client_openai.Server([BIN + "/llama-server", "-np", str(max(a.conc)), "--host", "127.0.0.1", "--port", str(a.port),
                               "--no-ui", "--cache-ram", "0"] + model, a.port, "/health") as s:
        client_openai.bench(a, "llama-server", ver, name, s.pid, cache_prompt=False)


for _ in each_shape(a):
    model = ["-m", path, "-c", str((a.prompt + a.new + 8) * max(a.conc)), "-t", str(a.threads), "-tb", str(a.threads)] + extra
    engine() if a.via == "engine" else server()
