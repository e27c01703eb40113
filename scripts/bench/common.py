"""Shared by the peer_*.py scripts: flags, prompts, peak memory, the one JSON line per point."""
import argparse, glob, json, os, random, resource, signal, sys

PEERS = os.environ.get("PEERS") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.cache/peers")


def numbers(text):
    return [int(x) for x in text.split(",")]


def shape(text):
    """128+64:1,4,8 is prompts of 128 tokens, 64 new ones, and 1, 4 and 8 sequences at one time."""
    tokens, conc = text.split(":")
    prompt, new = tokens.split("+")
    return int(prompt), int(new), numbers(conc)


def flags(precisions, **more):
    ap = argparse.ArgumentParser()
    ap.add_argument("--models", default=os.environ.get("BENCH_MODELS", os.path.join(PEERS, "models/base")),
                    help="a folder that make_models.py wrote")
    ap.add_argument("--cache", default=None, help="where converted models go (default: MODELS/converted)")
    ap.add_argument("--precision", default=precisions[0], choices=precisions)
    ap.add_argument("--prompt", type=int, default=128)
    ap.add_argument("--new", type=int, default=64)
    ap.add_argument("--conc", type=numbers, default=[1, 4, 8])
    ap.add_argument("--shapes", type=shape, nargs="+", help="several of them: PROMPT+NEW:C,C,… (default: the three above)")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--repeat", type=int, default=2, help="timed repeats; the best is printed")
    ap.add_argument("--seed", type=int, default=0, help="of the prompts: another one in every round")
    for k, v in more.items():
        ap.add_argument("--" + k, **v)
    a = ap.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or a child server would outlive a script that is cut off
    a.shapes = a.shapes or [(a.prompt, a.new, a.conc)]
    a.cache = a.cache or os.path.join(a.models, "converted")
    os.makedirs(a.cache, exist_ok=True)
    for v in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[v] = str(a.threads)
    return a


def each_shape(a):
    """Sets a.prompt, a.new and a.conc to one shape after the other."""
    for a.prompt, a.new, a.conc in a.shapes:
        yield a


def prompts(a, conc, repeat):
    """conc different prompts of token ids, no specials: the same for each peer, others in each repeat and round."""
    r, below = random.Random(f"{a.seed} {a.prompt} {conc} {repeat}"), vocab(a)
    return [[r.randrange(3, below) for _ in range(a.prompt)] for _ in range(conc)]


def vocab(a):
    return json.load(open(os.path.join(a.models, "unrolled/config.json")))["vocab_size"]


def family(pid):
    """pid, its children and theirs."""
    children = [c for f in glob.glob(f"/proc/{pid}/task/*/children") for c in open(f).read().split()]
    return [pid] + [p for c in children for p in family(c)]


def peak_mib(pid=None):
    """Peak resident memory of this process, or of pid and its children."""
    if pid is None:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    total = 0
    for p in family(pid):
        try:
            total += next(int(l.split()[1]) for l in open(f"/proc/{p}/status") if l.startswith("VmHWM"))
        except (OSError, StopIteration):
            pass
    return total // 1024


def line(peer, version, model, a, conc, ttft, decode_s, rss, **more):
    """ttft: seconds until all of the batch's first tokens; decode_s: seconds for the other new-1 tokens."""
    per = (a.new - 1) / decode_s
    more.setdefault("e2e_tok_s", round(conc * a.new / (ttft + decode_s), 2))
    print(json.dumps(dict(peer=peer, version=version, precision=a.precision, model=model, prompt=a.prompt, new=a.new,
                          conc=conc, threads=a.threads, ttft_ms=round(ttft * 1e3, 1),
                          prefill_tok_s=round(a.prompt * conc / ttft, 1), decode_tok_s_stream=round(per, 2),
                          decode_tok_s_total=round(per * conc, 2), peak_rss_mib=rss, **more)), flush=True)


def in_process(peer, version, model, a, run):
    """A line for each shape and C: the fastest times of a.repeat runs after one that warms up. run(prompts, new) is (TTFT,
    decode seconds, ids)."""
    for _ in each_shape(a):
        for c in a.conc:
            run(prompts(a, c, 0), 4)
            done = [run(prompts(a, c, 1 + i), a.new) for i in range(a.repeat)]
            line(peer, version, model, a, c, min(d[0] for d in done), min(d[1] for d in done), peak_mib(), head=done[0][2][0][:12])
