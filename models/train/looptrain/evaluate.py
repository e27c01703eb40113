"""Exact-match accuracy by difficulty and loops, on held-out problems, with greedy decoding."""

from itertools import groupby

import torch

from .model import LoopedLlama
from .task import Problem, Task


@torch.no_grad()
def answers(model: LoopedLlama, task: Task, prompts: list[str], loops: int) -> list[str]:
    """Greedy answers, decoded token by token, without a cache."""
    out = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    for length, same in groupby(order, key=lambda i: len(prompts[i])):
        same = list(same)
        ids = torch.tensor([task.tokenizer.encode(prompts[i]) for i in same])
        for _ in range(task.answer_tokens):
            ids = torch.cat((ids, model(ids, loops)[:, -1:].argmax(-1)), dim=1)
        for i, row in zip(same, ids[:, length:].tolist()):
            out[i] = task.tokenizer.decode(row)
    return out


def share_right(model: LoopedLlama, task: Task, problems: list[Problem], loops: int) -> float:
    got = answers(model, task, [p.prompt for p in problems], loops)
    return sum(a == p.answer for a, p in zip(got, problems)) / len(problems)


def accuracy(model: LoopedLlama, task: Task, loops, count: int, seed: int = 1) -> dict[str, dict[str, float]]:
    """{group: {loops: share of exact answers}} over `count` held-out problems of each group."""
    out = {}
    for group in task.groups():
        problems = task.problems(group, count, seed)
        out[group] = {str(n): round(share_right(model, task, problems, n), 4) for n in loops}
    return out
