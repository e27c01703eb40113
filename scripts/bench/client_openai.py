#!/usr/bin/env python3
"""A small load client for any OpenAI-style /v1/completions server on 127.0.0.1 (standard library + common.py).

Sends C token-id prompts at once, streamed, greedy, end-of-sequence ignored; measures until each first and last
token. Used by the peer scripts, and by itself:  client_openai.py --port 8080 [--model-name M] [--pid PID]
"""
import bisect, http.client, json, os, selectors, signal, socket, statistics, subprocess, sys, tempfile, time
from common import each_shape, flags, line, peak_mib, prompts


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


class Answer:
    """What came on one connection, and when. It is read only after the run: parsing takes no time from the server."""
    def __init__(self, port, body):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=600)
        self.raw, self.ends, self.times = bytearray(), [], []
        data = json.dumps(body).encode()
        self.request = (f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
                        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n").encode() + data

    def receive(self, start):
        """Takes what is there; False at the end of the answer."""
        part = self.sock.recv(1 << 16)
        self.raw += part
        self.ends.append(len(self.raw)); self.times.append(time.perf_counter() - start)
        return bool(part)

    def tokens(self):
        """(seconds, text) of each event with text. An event lies in one HTTP chunk in every server measured here."""
        head = bytes(self.raw[:self.raw.find(b"\r\n\r\n")])
        if b" 200 " not in head.split(b"\r\n")[0] + b" ":
            sys.exit(f"the server answered {bytes(self.raw[:600])!r}")
        out, at = [], len(head)
        while (at := self.raw.find(b"data: {", at)) >= 0:
            end = self.raw.index(b"\n", at)
            choices = json.loads(self.raw[at + 6:end]).get("choices")
            if choices:
                out.append((self.times[bisect.bisect_left(self.ends, end)], choices[0].get("text", "")))
            at = end
        if not out:
            sys.exit(f"an answer without tokens: {bytes(self.raw[:600])!r}")
        return out


def run(port, bodies):
    """Sends all at once; for each (seconds until the answer's events, its text)."""
    answers = [Answer(port, b) for b in bodies]
    with selectors.DefaultSelector() as ready:
        start = time.perf_counter()
        for a in answers:
            a.sock.sendall(a.request)
            ready.register(a.sock, selectors.EVENT_READ, a)
        while ready.get_map():
            for key, _ in ready.select():
                if not key.data.receive(start):
                    ready.unregister(key.fileobj); key.fileobj.close()
    return [tuple(zip(*a.tokens())) for a in answers]


def bench(a, peer, version, model, pid, model_name="m", **extra):
    """A line for each C of the server at a.port; extra are more fields of the body."""
    for c in a.conc:
        best = None
        for rep in range(a.repeat + 1):  # the first one warms up: memory that was never written costs a virtual machine a lot
            out = run(a.port, [dict(model=model_name, prompt=p, max_tokens=a.new, temperature=0, stream=True, ignore_eos=True, **extra)
                               for p in prompts(a, c, rep)])
            end = max(times[-1] for times, _ in out)
            if rep and (best is None or end < best[0]):
                best = (end, out)
        end, out = best
        ttft = [times[0] for times, _ in out]
        # A server may send several tokens in one event, or an event without a token at the end.
        dec = [times[a.new - 1 if len(times) >= a.new else -1] - times[0] for times, _ in out]
        per = statistics.median((a.new - 1) / max(d, 1e-9) for d in dec)  # a server may interleave prefill and decode:
        line(peer, version, model, a, c, max(ttft), (a.new - 1) / per, peak_mib(pid), via="http",
             ttft_mean_ms=round(statistics.mean(ttft) * 1e3, 1), e2e_tok_s=round(c * a.new / end, 2),  # e2e is the fair one
             chunks=len(out[0][0]), text="".join(out[0][1])[:24])


if __name__ == "__main__":
    a = flags([""], port=dict(type=int, required=True), pid=dict(type=int, default=None), name=dict(default="server"),
              **{"model-name": dict(default="m")})
    for _ in each_shape(a):
        bench(a, a.name, "", "", a.pid, a.model_name)
