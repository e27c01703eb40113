#!/usr/bin/env python3
"""loopserve itself: behind its HTTP server, or with --via engine in `loopserve bench`, which has no HTTP.

  peer_loopserve.py --precision f32|int8|int4 [--via server|engine]
First use exports a bundle from make_models.py's looped checkpoint. BENCH_LOOPSERVE: the binary (default: bin/loopserve).
Standard library only.
"""
import json, os, resource, shutil, subprocess, tempfile
import client_openai
from common import each_shape, flags, line

HERE = os.path.dirname(os.path.abspath(__file__))
a = flags(["f32", "int8", "int4"], via=dict(default="server", choices=["server", "engine"]),
          port=dict(type=int, default=18082), kv=dict(default="auto", help="--kv-precision"), head=dict(default="", help="--head of the export"))
BIN = os.environ.get("BENCH_LOOPSERVE", os.path.join(HERE, "../../bin/loopserve"))
VERSION = os.environ.get("BENCH_VERSION", "")
source = json.load(open(os.path.join(a.models, "looped/config.json")))
bundle = os.path.join(a.cache, "loopserve-" + a.precision + (a.head and "-head-" + a.head))
if not os.path.exists(bundle + "/manifest.json"):
    with tempfile.TemporaryDirectory(dir=a.cache) as src:  # the checkpoint calls itself a Llama, for transformers
        config = dict(source, model_type="looped_llama", num_loop_layers=source["num_hidden_layers"])
        json.dump(config, open(src + "/config.json", "w"))
        for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json"):
            shutil.copyfile(os.path.join(a.models, "looped", name), os.path.join(src, name))
        subprocess.run([BIN, "export", src, "-o", bundle, "--weights", a.precision, "--name", "m"] + (["--head", a.head] if a.head else []), check=True,
                       stdout=subprocess.DEVNULL)

PAGE = 16
stored = max((p + n + PAGE) * max(c) for p, n, c in a.shapes)  # tokens whose keys and values are kept at one time
bytes_a_token = 8 * source["hidden_size"] * source["num_hidden_layers"] * source["num_loops"]
longest = max(p + n + PAGE for p, n, _ in a.shapes)
engine = ["--threads", str(a.threads), "--max-context", str(longest), "--kv-precision", a.kv,
          "--kv-memory", str(stored * bytes_a_token + (64 << 20))]


def measure_engine():
    # A first run costs as much as a measured one, and matters to the time of a prompt only.
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run([BIN, "bench", bundle, "--loops", str(source["num_loops"]), "--concurrency", ",".join(map(str, a.conc)),
                        "--prompt-tokens", str(a.prompt), "--max-tokens", str(a.new), "--runs", str(a.repeat),
                        "--warmup", str(int(a.prompt > PAGE)), "--seed", str(1 + a.seed), "--json", out.name] + engine, check=True, stdout=subprocess.DEVNULL)
        points = json.load(out)["points"]
    rss = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    for p in points:
        # It runs short points more often than it is asked to: medians over all of it, not the best.
        line("loopserve engine", VERSION, "looped", a, p["concurrency"], p["ttft_ms"]["p50"] / 1e3,
             p["tpot_ms"]["p50"] / 1e3 * (a.new - 1), rss, via="engine",
             e2e_tok_s=round(p["tokens_per_second"]["p50"], 2))


def measure_server():
    # Hashed and read before it is ready, as its peers are: not beside the first measurement.
    with client_openai.Server([BIN, "serve", "--models", bundle, "--verify", "start", "--listen", f"127.0.0.1:{a.port}"] + engine,
                              a.port, "/readyz") as s:
        client_openai.bench(a, "loopserve" + (f", {a.kv} pages" if a.kv != "auto" else "") + (a.head and f", {a.head} head"), VERSION, "looped", s.pid)


for _ in each_shape(a):
    measure_engine() if a.via == "engine" else measure_server()
