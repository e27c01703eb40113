"""What training and evaluation ask of a task: batches without test problems, and the test problems."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from .tokenizer import CharTokenizer

IGNORE = -100  # a target without a loss


@dataclass(frozen=True)
class Layout:
    """Where the tokens of a row stand and what they see, where that is not a plain causal text."""

    positions: Tensor  # [length]
    mask: Tensor  # [length, length], True = may attend
    slots: Tensor  # the places, of any shape, where a next token is predicted


@dataclass(frozen=True)
class Batch:
    ids: Tensor  # [rows, length]
    targets: Tensor  # [rows, *slots]; [rows, length] without a layout; IGNORE where there is no loss
    layout: Layout | None = None


@dataclass(frozen=True)
class Problem:
    prompt: str
    answer: str
    group: str  # how hard it is


class Task(Protocol):
    tokenizer: CharTokenizer
    answer_tokens: int  # the most tokens that an answer takes, its end included

    def groups(self) -> list[str]:
        """The degrees of difficulty, the easiest first."""

    def draw(self, rng: np.random.Generator, rows: int, done: float) -> tuple[Batch, dict]:
        """A batch for the moment when `done` of the steps lie behind, and what the log should say of it."""

    def problems(self, group: str, count: int, seed: int = 1) -> list[Problem]:
        """`count` distinct held-out problems, the same for the same seed."""
