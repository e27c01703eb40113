#!/usr/bin/env python3
"""What a server's own choice of drafts (draft_loops "auto") changes: groups of requests with it and without, in turn.

  scripts/bench/drafts.py PORT MODEL [--loops 8] [--clients 1] [--pairs 50] [--prompt 4] [--new 64] [--vocab 1000] [--problems eval.jsonl]

Prompts are random token ids, or those of --problems, answered with up to --new tokens. Prints, of the pairs' times without /
with drafts, the median and quartiles, then how many drafts were accepted. Answers that differ end it with status 1.
"""
import argparse, http.client, json, random, statistics, sys, time
from concurrent.futures import ThreadPoolExecutor

p = argparse.ArgumentParser(usage=__doc__)
p.add_argument("port", type=int), p.add_argument("model"), p.add_argument("--problems")
for name, value in dict(loops=8, clients=1, pairs=50, prompt=4, new=64, vocab=1000).items():
    p.add_argument("--" + name, type=int, default=value)
o = p.parse_args()
if o.pairs < 2 or o.clients < 1 or o.vocab < 5:
    p.error("--pairs must be at least 2, --clients 1 and --vocab 5")
rng = random.Random(1)
problems = [json.loads(line)["prompt"] for line in open(o.problems)] if o.problems else None
pool = ThreadPoolExecutor(o.clients)


def ask(prompt, draft):
    c = http.client.HTTPConnection("127.0.0.1", o.port, timeout=600)
    c.request("POST", "/v1/completions", json.dumps({
        "model": o.model, "prompt": prompt, "max_tokens": o.new, "ignore_eos": problems is None, "temperature": 0, "loops": o.loops,
        "draft_loops": draft, "return_token_ids": True, "prefix_cache": False}))
    r = c.getresponse()
    answer = json.loads(r.read())
    if r.status != 200:
        raise SystemExit(answer["error"]["message"])
    return answer["choices"][0]["token_ids"], answer["timings"]


def group(prompts, draft):
    start = time.perf_counter()
    ids, timings = zip(*pool.map(lambda prompt: ask(prompt, draft), prompts))
    return ids, time.perf_counter() - start, timings


ratios, drafted, accepted = [], 0, 0
for pair in range(-1, o.pairs):  # the first doesn't count
    prompts = rng.choices(problems, k=o.clients) if problems else [[rng.randrange(4, o.vocab) for _ in range(o.prompt)] for _ in range(o.clients)]
    got = {draft: group(prompts, draft) for draft in ([0, "auto"] if pair % 2 else ["auto", 0])}
    if got[0][0] != got["auto"][0]:
        sys.exit(f"other tokens with drafts: {prompts}")
    if pair >= 0:
        ratios.append(got[0][1] / got["auto"][1])
        drafted += sum(t["drafted"] for t in got["auto"][2])
        accepted += sum(t["accepted"] for t in got["auto"][2])
low, middle, high = statistics.quantiles(ratios, n=4)
print(f"{o.model}, {o.loops} loops, {o.clients} clients: {middle:.3f} ({low:.3f}–{high:.3f}) times as fast with drafts, {o.pairs} pairs; "
      f"{accepted} of {drafted} drafts accepted")
