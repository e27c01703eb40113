"""A load of held-out problems by AIPerf or guidellm, unmodified, against a running loopserve. What the client counted and
what it was answered are checked: every request done, none failed, every answer right.

usage: load.py aiperf|guidellm http://127.0.0.1:8080 BUNDLE LIMIT
"""

import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

STREAMS = 4


def run(name, *args, **env):
    """The client's own command, out of this interpreter's environment; what it prints is shown only where it fails."""
    command = [pathlib.Path(sys.executable).parent / name, *map(str, args)]
    done = subprocess.run(command, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    if done.returncode:
        raise SystemExit(f"{done.stdout[-4000:]}\n{name}: exit code {done.returncode}")


def check(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: got {got!r}, want {want!r}")
    print(f"  {what}: {got!r}")


def with_aiperf(url, bundle, models, problems, tmp):
    """Completions, streamed, the models in turn: requests of several depths are in the engine at one time."""
    (tmp / "prompts.jsonl").write_text("".join(json.dumps({"text": p["prompt"]}) + "\n" for p in problems))
    # Without HF_HUB_OFFLINE, under which it takes the tokenizer's folder for a repository's name. It fetches nothing.
    run("aiperf", "profile", "--url", url, "--endpoint-type", "completions", "--streaming", "--tokenizer", bundle.resolve(),
        "--model", ",".join(models), "--model-selection-strategy", "round_robin",
        "--input-file", tmp / "prompts.jsonl", "--custom-dataset-type", "single_turn",
        "--request-count", len(problems), "--concurrency", STREAMS, "--extra-inputs", "temperature:0", "--extra-inputs", "max_tokens:8",
        "--no-gpu-telemetry", "--no-server-metrics", "--ui", "none", "--export-level", "raw", "--output-artifact-dir", tmp / "out")
    sums = json.loads((tmp / "out/profile_export_aiperf.json").read_text())
    print("AIPerf", sums["aiperf_version"])
    check("complete, cancelled", (sums["is_complete"], sums["was_cancelled"]), (True, False))
    check("requests", sums["request_count"]["avg"], len(problems))
    check("errors", (sums["request_error_rate"]["avg"], sums["error_summary"]), (0, []))
    check("prompt tokens, the server's count less the client's", sums["total_usage_prompt_tokens"]["avg"] - sums["total_isl"]["avg"], 0)
    check("answers' tokens, the same: the end of each", sums["total_usage_completion_tokens"]["avg"] - sums["total_osl"]["avg"], len(problems))
    answers = []
    for line in (tmp / "out/profile_export_raw.jsonl").read_text().splitlines():
        record = json.loads(line)
        chunks = [p["value"] for r in record["responses"] for p in r["packets"] if p["value"] != "[DONE]"]
        text = "".join(choice["text"] for chunk in chunks for choice in json.loads(chunk)["choices"])
        answers.append((record["payload"]["model"], record["payload"]["prompt"], text))
    return answers


def with_guidellm(url, bundle, models, problems, tmp):
    """Chats, streamed."""
    (tmp / "problems.jsonl").write_text("".join(json.dumps(p) + "\n" for p in problems))
    run("guidellm", "run", "--backend", f"kind=openai_http,target={url},model={models[0]}", "--profile", f"kind=concurrent,streams={STREAMS}",
        "--constraint", f"kind=max_requests,count={len(problems)}", "--data", f"kind=json_file,path={tmp / 'problems.jsonl'}",
        "--disable-console", "--output", f"kind=json,path={tmp / 'out.json'}", HF_HUB_OFFLINE="1")
    out = json.loads((tmp / "out.json").read_text())
    [result] = out["benchmarks"]
    print("guidellm", out["metadata"]["guidellm_version"])
    check("requests", result["metrics"]["request_totals"], {"successful": len(problems), "errored": 0, "incomplete": 0, "total": len(problems)})
    bodies = [(json.loads(r["request_args"])["body"], r["output"]) for r in result["requests"]["successful"]]
    return [(body["model"], body["messages"][0]["content"][0]["text"], text) for body, text in bodies]


CLIENTS = {"aiperf": (with_aiperf, ["adder@8", "adder@12"]), "guidellm": (with_guidellm, ["adder@8"])}
(client, models), url, bundle, limit = CLIENTS[sys.argv[1]], sys.argv[2].rstrip("/"), pathlib.Path(sys.argv[3]), int(sys.argv[4])
problems = [json.loads(line) for line in (bundle / "eval.jsonl").read_text().splitlines()]
problems = problems[:: max(1, len(problems) // limit)][:limit]
right = {p["prompt"]: p["answer"] for p in problems}
with tempfile.TemporaryDirectory() as tmp:
    answers = client(url, bundle, models, problems, pathlib.Path(tmp))
check("requests by model", dict(collections.Counter(model for model, _, _ in answers)), {m: len(problems) // len(models) for m in models})
check("problems asked", len({prompt for _, prompt, _ in answers}), len(right))
check("wrong answers", [answer for answer in answers if answer[2] != right[answer[1]]], [])
