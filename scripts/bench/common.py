"""Shared by the peer_*.py scripts: flags, prompts, peak RSS, the one JSON line per run."""
import argparse, json, os, resource
import numpy as np

PEERS = os.environ.get("PEERS") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.cache/peers")


def flags(precisions, **more):
    ap = argparse.ArgumentParser()
    ap.add_argument("--models", default=os.environ.get("BENCH_MODELS", os.path.join(PEERS, "models/base")),
                    help="a folder that make_models.py wrote")
    ap.add_argument("--cache", default=None, help="where converted models go (default: MODELS/converted)")
    ap.add_argument("--precision", default=precisions[0], choices=precisions)
    ap.add_argument("--prompt", type=int, default=128)
    ap.add_argument("--new", type=int, default=64)
    ap.add_argument("--conc", type=lambda s: [int(x) for x in s.split(",")], default=[1, 4, 8])
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--repeat", type=int, default=2, help="timed repeats; the best is printed")
    for k, v in more.items():
        ap.add_argument("--" + k, **v)
    a = ap.parse_args()
    a.cache = a.cache or os.path.join(a.models, "converted")
    os.makedirs(a.cache, exist_ok=True)
    for v in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[v] = str(a.threads)
    return a


def prompts(n, length, vocab, seed=7):
    """n different token-id prompts, no specials; the same for each peer."""
    return np.random.default_rng(seed).integers(3, vocab, size=(n, length)).tolist()


def vocab(a, which="unrolled"):
    return json.load(open(os.path.join(a.models, which, "config.json")))["vocab_size"]


def peak_mib(pid=None):
    """Peak resident memory of this process, or of pid and its children."""
    if pid is None:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    import psutil
    total = 0
    for p in [psutil.Process(pid)] + psutil.Process(pid).children(recursive=True):
        try:
            total += next(int(l.split()[1]) for l in open(f"/proc/{p.pid}/status") if l.startswith("VmHWM"))
        except (OSError, StopIteration):
            pass
    return total // 1024


def line(peer, version, precision, model, a, conc, ttft, decode_s, new, rss, **more):
    """ttft: seconds until all of the batch's first tokens; decode_s: seconds for the other new-1 tokens."""
    per = (new - 1) / decode_s
    print(json.dumps(dict(peer=peer, version=version, precision=precision, model=model, prompt=a.prompt, new=new,
                          conc=conc, threads=a.threads, ttft_ms=round(ttft * 1e3, 1),
                          prefill_tok_s=round(a.prompt * conc / ttft, 1), decode_tok_s_stream=round(per, 2),
                          decode_tok_s_total=round(per * conc, 2), peak_rss_mib=rss, **more)), flush=True)
