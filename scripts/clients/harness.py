"""lm-evaluation-harness, unmodified, against a running loopserve: a generate and a log-likelihood task at several loop
counts through model aliases, held against `loopserve eval`.

usage: harness.py http://127.0.0.1:8080 BUNDLE LIMIT LOOPSERVE
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

url, bundle, limit, loopserve = sys.argv[1].rstrip("/"), pathlib.Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
here = pathlib.Path(__file__).parent
with tempfile.TemporaryDirectory() as tmp:
    tmp = pathlib.Path(tmp)
    lines = (bundle / "eval.jsonl").read_text().splitlines()
    lines = lines[:: max(1, len(lines) // limit)][:limit]
    (tmp / "problems.jsonl").write_text("\n".join(lines) + "\n")
    for task in (here / "lm_eval").glob("*.yaml"):
        text = task.read_text().replace("problems.jsonl", str(tmp / "problems.jsonl"))
        (tmp / task.name).write_text(text)
    bad = 0
    print(f"{len(lines)} problems\n\n| loops | loopserve eval | harness, generate | harness, greedy by log-likelihood | perplexity of the answer |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for loops in (1, 4, 12):
        out = tmp / f"out{loops}"
        done = subprocess.run([sys.executable, "-m", "lm_eval", "--model", "local-completions", "--tasks", "adder_generate,adder_loglikelihood",
                               "--include_path", str(tmp), "--output_path", str(out), "--batch_size", "8", "--model_args",
                               f"model=adder@{loops},base_url={url}/v1/completions,tokenizer_backend=remote,num_concurrent=4,max_retries=1"],
                              env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            sys.exit(f"{done.stdout[-4000:]}\nlm_eval at {loops} loops: exit code {done.returncode}")
        results = json.loads(next(out.rglob("results*.json")).read_text())["results"]
        ours = subprocess.run([loopserve, "eval", "--url", url, "--model", "adder", "--problems", str(tmp / "problems.jsonl"),
                               "--loops", str(loops), "--timed", "1", "--json", str(tmp / "ours.json")], check=True, capture_output=True, text=True)
        mine = json.loads((tmp / "ours.json").read_text())["points"][0]["accuracy"] / 100
        generate, greedy = results["adder_generate"]["exact_match,none"], results["adder_loglikelihood"]["acc,none"]
        print(f"| {loops} | {100 * mine:.1f} % | {100 * generate:.1f} % | {100 * greedy:.1f} % | {results['adder_loglikelihood']['perplexity,none']:.4g} |", flush=True)
        # Where the two best tokens are close, one problem may fall differently when its answer comes in one call.
        bad += abs(mine - generate) > 1e-9 or abs(greedy - generate) > 1.1 / len(lines)
    if bad or mine < 0.95:  # at the last depth, the trained one; else all could agree on nothing
        sys.exit("the harness and loopserve eval disagree, or the model does not do what it was trained for")
