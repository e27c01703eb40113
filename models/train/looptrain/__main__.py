"""python -m looptrain EXPERIMENT | eval | problems (run it with --help)."""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import torch

from . import checkpoint
from .evaluate import accuracy
from .experiments import EXPERIMENTS
from .train import Run, train

HERE = Path(__file__).resolve().parent.parent


def run_experiment(a: argparse.Namespace) -> None:
    e = EXPERIMENTS[a.name]
    changes = {"steps": a.steps, "optimizer": a.optimizer, "seed": a.seed}
    recipe = replace(e.recipe, **{k: v for k, v in changes.items() if v is not None})
    facts = {"experiment": a.name, "model": asdict(e.config), "recipe": asdict(recipe), "task": asdict(e.task)}
    print(json.dumps(facts | {"threads": torch.get_num_threads()}), flush=True)
    run = Run(e.config, recipe, e.task)
    folder, out = a.run or HERE / "runs" / a.name, a.out or HERE / "checkpoints" / a.name
    train(run, folder)
    checkpoint.write(run.mean, e.task.tokenizer, out, **e.hints)
    thin(folder, out / "training-log.jsonl")
    print(f"wrote {out}")


def thin(run: Path, out: Path) -> None:
    """The log for the repository: the first ten steps, each fiftieth and those with an accuracy."""
    lines = (run / "log.jsonl").read_text().splitlines()
    kept = [x for x in lines if (f := json.loads(x))["step"] <= 10 or f["step"] % 50 == 0 or "exact" in f]
    out.write_text("".join(x + "\n" for x in kept))


def evaluate(a: argparse.Namespace) -> None:
    e = EXPERIMENTS[a.name]
    model = checkpoint.read(a.checkpoint or HERE / "checkpoints" / a.name)
    loops = [int(n) for n in a.loops.split(",")] if e.looped else [1]
    table = accuracy(model, e.task, loops, a.count)
    print("| loops | " + " | ".join(table) + " |\n|" + "---:|" * (len(table) + 1))
    for n in loops:
        print(f"| {n} | " + " | ".join(f"{100 * row[str(n)]:.1f} %" for row in table.values()) + " |")


def main() -> None:
    p = argparse.ArgumentParser(prog="looptrain", description="Trains small looped transformers.")
    p.add_argument("--threads", type=int, default=1, help="sums differ in the last bits between thread counts")
    sub = p.add_subparsers(required=True, metavar="EXPERIMENT|eval|problems")
    for name, e in EXPERIMENTS.items():
        t = sub.add_parser(name, help=e.about, description=f"{e.about}. Stopped, it goes on where it was.")
        t.add_argument("--seed", type=int)
        t.add_argument("--steps", type=int, help="default: the recipe's; the schedule is spread over them")
        t.add_argument("--optimizer", choices=("muon", "adamw", "adafactor"))
        t.add_argument("--run", type=Path, help="log and state (default: runs/NAME)")
        t.add_argument("--out", type=Path, help="the Hugging Face folder (default: checkpoints/NAME)")
        t.set_defaults(do=run_experiment, name=name)
    e = sub.add_parser("eval", help="exact match by difficulty and loops on held-out problems")
    e.add_argument("name", choices=EXPERIMENTS, metavar="EXPERIMENT")
    e.add_argument("--checkpoint", type=Path)
    e.add_argument("--loops", default="1,2,3,4,6,8,12,16")
    e.add_argument("--count", type=int, default=1000, help="problems of each group")
    e.set_defaults(do=evaluate)
    q = sub.add_parser("problems", help="held-out problems as JSON lines, for `loopserve eval`")
    q.add_argument("name", choices=EXPERIMENTS, metavar="EXPERIMENT")
    q.add_argument("out", type=Path)
    q.add_argument("--count", type=int, default=1000)
    q.set_defaults(do=lambda a: checkpoint.write_problems(EXPERIMENTS[a.name].task, a.out, a.count))
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    a.do(a)


main()
