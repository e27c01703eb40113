"""Hit rate of the prefix caches of three replicas behind HAProxy: with requests spread by load, and with X-Prefix-Key hashed.

Conversations of five turns, each turn's prompt the one before with more behind it; 60 of them, eight at a time. Needs haproxy.
"""
import http.client
import json
import random
import sys
import tempfile
import threading

sys.argv = [sys.argv[0], "haproxy"]
from fleet import Replica, balancer  # noqa: E402


def counters(replicas):
    hits = queries = 0
    for r in replicas:
        c = http.client.HTTPConnection("127.0.0.1", r.port)
        c.request("GET", "/metrics")
        for line in c.getresponse().read().decode().splitlines():
            if line.startswith("loopserve_prefix_cache_hits_total{"):
                hits += float(line.split()[-1])
            if line.startswith("loopserve_prefix_cache_queries_total{"):
                queries += float(line.split()[-1])
    return hits, queries


def conversation(port, seed, keyed):
    r = random.Random(seed)
    prompt, headers = "".join(r.choice("0123456789") for _ in range(12)), {"Content-Type": "application/json"}
    if keyed:
        headers["X-Prefix-Key"] = f"conversation-{seed}"
    for _ in range(5):
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        c.request("POST", "/v1/completions", json.dumps({"model": "adder", "prompt": prompt, "max_tokens": 1, "loops": 8}), headers)
        answer = c.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
        prompt += "+" + "".join(r.choice("0123456789") for _ in range(8))


def main():
    print("| requests | prompt tokens found in a cache |\n|---|---|")
    for keyed in (False, True):
        with tempfile.TemporaryDirectory() as folder, open(f"{folder}/log", "w") as log:
            replicas = [Replica(log, "--page-size", "4") for _ in range(3)]
            for r in replicas:
                r.ready()
            process, port = balancer("haproxy", replicas, folder)
            seeds = list(range(60))
            lock = threading.Lock()

            def work():
                while True:
                    with lock:
                        if not seeds:
                            return
                        seed = seeds.pop()
                    conversation(port, seed, keyed)

            threads = [threading.Thread(target=work) for _ in range(8)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            hits, queries = counters(replicas)
            print(f"| {'by X-Prefix-Key' if keyed else 'by load'} | {100 * hits / queries:.0f} % |", flush=True)
            process.terminate()
            for r in replicas:
                r.stop()


main()
