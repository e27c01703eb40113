#!/usr/bin/env python3
"""SmolLM2-135M looped without training, through the server: perplexity of the reference text and a task of 200 items, beside the
reference's figures (internal/golden/testdata/golden/smollm2/quality.json), as a table of Markdown. looping.py GGUF [WINDOW ...]
exports each bundle with bin/loopserve into a temporary folder, serves it, asks, and removes it. It fails where a perplexity is off by
more than 0.002 or a task by more than one item."""
import json, math, pathlib, subprocess, sys, tempfile, time, urllib.error, urllib.request
from concurrent.futures import ThreadPoolExecutor

root = pathlib.Path(__file__).resolve().parents[2]
quality = json.loads((root / "internal/golden/testdata/golden/smollm2/quality.json").read_text())
task = quality["task"]
gguf, windows = sys.argv[1], sys.argv[2:] or ["13-16", "14-17", "12-15"]
address = "127.0.0.1:18135"


def post(body):
    request = urllib.request.Request(f"http://{address}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.load(answer)["choices"][0]


def perplexity(loops):
    given = post({"model": "m", "prompt": quality["ids"], "max_tokens": 0, "echo": True, "logprobs": 0, "loops": loops})
    logprobs = given["logprobs"]["token_logprobs"][1:]
    assert len(logprobs) == quality["scored"], len(logprobs)
    return math.exp(-sum(logprobs) / len(logprobs))


def right(loops):
    def ask(item):
        kind, question, answer = item
        prompt = task["heads"][kind] + question
        given = post({"model": "m", "prompt": prompt, "max_tokens": 32, "temperature": 0, "ignore_eos": True, "stop": ["\n"], "loops": loops})
        return given["text"] == answer and given["finish_reason"] == "stop"

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(ask, task["items"]))


def of(rows, window, strategy, loops):
    for row in rows:
        if row["K"] == loops and (loops == 1 or row["window"] == window and row["strategy"] == strategy):
            return row


variants = {"anchored": [], "euler": ["--loop-beta", "0"], "naive": ["--loop-naive"]}
names = {"anchored": "β 0.5", "euler": "β 0", "naive": "naive"}
wrong = False
print("| layers | | loops | perplexity | reference | right of 200 | reference |\n|---|---|---:|---:|---:|---:|---:|", flush=True)
for at, window in enumerate(windows):
    span = [int(n) for n in window.split("-")]
    for strategy, flags in variants.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [root / "bin/loopserve", "export", gguf, "-o", f"{folder}/m", "--weights", "f32", "--loop", window, *flags]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            server = subprocess.Popen([root / "bin/loopserve", "serve", "--models", folder, "--listen", address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                for _ in range(600):
                    try:
                        urllib.request.urlopen(f"http://{address}/readyz", timeout=5).close()
                        break
                    except (urllib.error.URLError, OSError):
                        time.sleep(0.2)
                for loops in [1, 2, 3, 4, 6]:
                    row = of(quality["rows"], span, strategy, loops)
                    if row is None or loops == 1 and (at > 0 or strategy != "anchored"):
                        continue
                    got, known = perplexity(loops), of(task["rows"] + task["other_windows"], span, strategy, loops)
                    wrong |= abs(got - row["ppl"]) > 0.002
                    count = reference = ""
                    if known:
                        count, reference = right(loops), known["right"]
                        wrong |= abs(count - reference) > 1
                    print(f"| {window} | {'plain' if loops == 1 else names[strategy]} | {loops} | {got:.4f} | {row['ppl']:.4f} | {count} | {reference} |", flush=True)
            finally:
                server.terminate()
                server.wait()
sys.exit(wrong)
