#!/usr/bin/env python3
"""A small load client for any OpenAI-style /v1/completions server on 127.0.0.1 (standard library + common.py).

Sends C token-id prompts at once, streamed, greedy, end-of-sequence ignored; measures until each first and last
token. Used by the peer scripts, and by itself:  client_openai.py --port 8080 [--model-name M] [--pid PID]
"""
import http.client, json, os, signal, statistics, subprocess, sys, tempfile, threading, time
from common import line, peak_mib, prompts, vocab


class Server:
    """A child server; ready when GET path answers 200. Stopped (by its own pid) at the end of the with block."""
    def __init__(self, cmd, port, path, env=None, wait=600):
        self.log = open(os.path.join(tempfile.gettempdir(), f"bench-server-{port}.log"), "w")
        self.p = subprocess.Popen(cmd, stdout=self.log, stderr=self.log, env=env, start_new_session=True)
        self.pid, end = self.p.pid, time.time() + wait
        while time.time() < end:
            try:
                c = http.client.HTTPConnection("127.0.0.1", port, timeout=5); c.request("GET", path)
                if c.getresponse().status == 200:
                    return
            except OSError:
                pass
            if self.p.poll() is not None:
                break
            time.sleep(0.3)
        self.stop()
        sys.exit(f"server did not start, see {self.log.name}: " + open(self.log.name).read()[-1500:])

    def stop(self):
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGINT)
            try:
                self.p.wait(20)
            except subprocess.TimeoutExpired:
                self.p.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def one(port, body, out, i):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    times, text = [], []
    t0 = time.perf_counter()
    c.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    r = c.getresponse()
    if r.status != 200:
        out[i] = (r.status, r.read()[:500]); return
    for raw in r:
        if raw.startswith(b"data: ") and b"[DONE]" not in raw:
            d = json.loads(raw[6:])
            if d.get("choices"):
                times.append(time.perf_counter() - t0); text.append(d["choices"][0].get("text", ""))
    out[i] = (200, times, "".join(text))


def bench(a, peer, version, precision, model, port, pid, extra=None, model_name="m", **more):
    for c in a.conc:
        best = None
        for rep in range(a.repeat + 1):  # the first one warms up
            ps = prompts(c, a.prompt, vocab(a), seed=1000 * c + rep)  # new prompts each time: no prefix cache can answer
            out = [None] * c
            th = [threading.Thread(target=one, args=(port, dict(model=model_name, prompt=p, max_tokens=a.new, temperature=0,
                  stream=True, **(extra or {})), out, i)) for i, p in enumerate(ps)]
            [t.start() for t in th]; [t.join() for t in th]
            bad = [o for o in out if o is None or o[0] != 200]
            if bad:
                sys.exit(f"{peer}: {bad[0]}")
            end = max(o[1][-1] for o in out)
            if rep and (best is None or end < best[0]):
                best = (end, out)
        end, out = best
        ttft = [o[1][0] for o in out]
        dec = [o[1][a.new - 1 if len(o[1]) >= a.new else -1] - o[1][0] for o in out]
        per = statistics.median((a.new - 1) / max(d, 1e-9) for d in dec)  # a server may interleave prefill and decode:
        line(peer, version, precision, model, a, c, max(ttft), (a.new - 1) / per, a.new, peak_mib(pid), via="http",
             ttft_mean_ms=round(statistics.mean(ttft) * 1e3, 1), e2e_tok_s=round(c * a.new / end, 2),  # e2e is the fair one
             chunks=len(out[0][1]), text=out[0][2][:24], **more)


if __name__ == "__main__":
    from common import flags
    a = flags(["-"], port=dict(type=int, required=True), pid=dict(type=int, default=None), name=dict(default="server"),
              **{"model-name": dict(default="m")})
    bench(a, a.name, "", "", "", a.port, a.pid, dict(ignore_eos=True), a.model_name)
