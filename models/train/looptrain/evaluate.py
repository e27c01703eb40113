"""Exact-match accuracy by terms and loops, on held-out problems, with greedy decoding."""

import numpy as np
import torch

from . import addition
from .model import LoopedLlama


@torch.no_grad()
def answers(model: LoopedLlama, operands: np.ndarray, loops: int) -> list[str]:
    """Greedy answers to problems [n, terms], decoded token by token, without a cache."""
    tokens = addition.TOKENIZER
    ids = torch.tensor([tokens.encode(addition.text(row)) for row in operands])
    start = ids.shape[1]
    for _ in range(addition.ANSWER):
        ids = torch.cat((ids, model(ids, loops)[:, -1:].argmax(-1)), dim=1)
    return [tokens.decode(row[start:].tolist()) for row in ids]


def accuracy(model: LoopedLlama, loops, count: int, seed: int = 1) -> dict[str, dict[str, float]]:
    """{terms: {loops: share of exact answers}} over `count` held-out problems for each number of terms."""
    out: dict[str, dict[str, float]] = {}
    for terms in addition.TERMS:
        operands = addition.test_problems(terms, count, seed)
        right = [str(s) for s in operands.sum(axis=1)]
        out[str(terms)] = {
            str(n): round(float(np.mean([a == b for a, b in zip(answers(model, operands, n), right)])), 4) for n in loops
        }
    return out
