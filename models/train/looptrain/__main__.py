"""python -m looptrain adder | eval | problems (run it with --help)."""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import torch

from . import addition, checkpoint
from .config import ModelConfig
from .evaluate import accuracy
from .recipe import Recipe
from .train import Run, train

HERE = Path(__file__).resolve().parent.parent


def adder(a: argparse.Namespace) -> None:
    recipe = replace(Recipe(), seed=a.seed, **({"steps": a.steps} if a.steps else {}))
    config = ModelConfig(vocab_size=len(addition.TOKENIZER), num_loop_layers=a.layers, hidden_size=a.hidden)
    print(json.dumps({"model": asdict(config), "recipe": asdict(recipe), "threads": torch.get_num_threads()}), flush=True)
    run = Run(config, recipe)
    train(run, a.run)
    checkpoint.write(run.mean, a.out, trained_loops=recipe.loops[1], max_loops=16)
    print(f"wrote {a.out}")


def evaluate(a: argparse.Namespace) -> None:
    loops = [int(n) for n in a.loops.split(",")]
    table = accuracy(checkpoint.read(a.checkpoint), loops, a.count)
    print("| loops | " + " | ".join(f"{t} terms" for t in table) + " |\n|" + "---:|" * (len(table) + 1))
    for n in loops:
        print(f"| {n} | " + " | ".join(f"{100 * table[t][str(n)]:.1f} %" for t in table) + " |")


def main() -> None:
    p = argparse.ArgumentParser(prog="looptrain", description="Trains small looped transformers.")
    p.add_argument("--threads", type=int, default=1, help="sums differ in the last bits between thread counts")
    sub = p.add_subparsers(required=True)
    t = sub.add_parser("adder", help="sums of two to four 3-digit numbers; goes on where an earlier run stopped")
    t.add_argument("--seed", type=int, default=0)
    t.add_argument("--steps", type=int, help="default: the recipe's; the schedule is spread over them")
    t.add_argument("--layers", type=int, default=1, help="k of (k⊗L)")
    t.add_argument("--hidden", type=int, default=128)
    t.add_argument("--run", type=Path, default=HERE / "runs" / "adder", help="log and state")
    t.add_argument("--out", type=Path, default=HERE / "checkpoints" / "adder", help="the Hugging Face folder")
    t.set_defaults(do=adder)
    e = sub.add_parser("eval", help="exact match by terms and loops on held-out problems")
    e.add_argument("--checkpoint", type=Path, default=HERE / "checkpoints" / "adder")
    e.add_argument("--loops", default="1,2,3,4,6,8,12,16")
    e.add_argument("--count", type=int, default=1000, help="problems for each number of terms")
    e.set_defaults(do=evaluate)
    q = sub.add_parser("problems", help="held-out problems as JSON lines, for `loopserve eval`")
    q.add_argument("out", type=Path)
    q.add_argument("--count", type=int, default=1000)
    q.set_defaults(do=lambda a: checkpoint.write_problems(a.out, a.count))
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    a.do(a)


main()
