"""Sums of two to four 3-digit numbers: "123+456+789=" -> "1368".

A training row is a tree: the operands once, and behind each prefix of at least two operands a branch "=answer".
A branch sees its own operands and itself only, at the positions that it would have in a text of its own, so a row of
four operands teaches three problems at the cost of thirty tokens instead of fifty-one, with the same mathematics.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .splitmix import mix
from .task import IGNORE, Batch, Layout, Problem
from .tokenizer import CharTokenizer

TOKENIZER = CharTokenizer("0123456789+=")
PLUS, EQUALS, ZERO = (TOKENIZER.ids[c] for c in "+=0")
TERMS = (2, 3, 4)
ANSWER = 5  # predictions of a branch: at most four digits and the end
HELD_OUT_OF = 64  # one problem in so many is never trained on
README_PROBLEM = (123, 456, 789)  # the documented example: held out, too


def text(operands) -> str:
    return "+".join(str(int(x)) for x in operands) + "="


def held_out(operands: np.ndarray) -> np.ndarray:
    """Which problems [n, terms] belong to the test split; the order of the operands does not matter."""
    ordered = np.sort(operands, axis=1).astype(np.uint64)
    key = np.zeros(len(ordered), np.uint64)
    for column in ordered.T:
        key = key * np.uint64(1000) + column
    test = mix(key) % np.uint64(HELD_OUT_OF) == 0
    if operands.shape[1] == len(README_PROBLEM):
        test |= (ordered == np.array(sorted(README_PROBLEM), np.uint64)).all(axis=1)
    return test


def draw_operands(rng: np.random.Generator, rows: int, terms: int, hard: float) -> np.ndarray:
    """Operands 100..999, [rows, terms]; in a `hard` share of the rows, carries ripple more often than by chance.

    There, one operand's middle or leading digit is set so that its column's running sum ends in 7, 8 or 9: whether
    the column carries then hangs on the carry that comes in.
    """
    digits = rng.integers(0, 10, (rows, terms, 3))
    digits[:, :, 0] = rng.integers(1, 10, (rows, terms))
    pick = rng.integers(1, terms, rows)
    for column in (0, 1):
        chosen = np.flatnonzero(rng.random(rows) < hard)
        upto = pick[chosen]
        running = digits[chosen, :, column].cumsum(axis=1)[np.arange(len(chosen)), upto - 1]
        wanted = (rng.integers(7, 10, len(chosen)) - running) % 10
        digits[chosen, upto, column] = np.where((wanted == 0) & (column == 0), 1, wanted)
    return digits @ np.array([100, 10, 1])


def tree(terms: int) -> Layout:
    """The layout of a row of so many operands; slots [branches, ANSWER]: "=" and the answer's tokens."""
    stem = 4 * terms - 1
    branches = terms - 1
    length = stem + branches * ANSWER
    positions = torch.arange(length)
    mask = torch.zeros(length, length, dtype=torch.bool)
    mask[:stem, :stem] = torch.ones(stem, stem, dtype=torch.bool).tril()
    slots = torch.empty(branches, ANSWER, dtype=torch.long)
    for b in range(branches):
        sees = 4 * (b + 2) - 1
        start = stem + b * ANSWER
        here = slice(start, start + ANSWER)
        slots[b] = torch.arange(start, start + ANSWER)
        positions[here] = torch.arange(sees, sees + ANSWER)
        mask[here, :sees] = True
        mask[here, here] = torch.ones(ANSWER, ANSWER, dtype=torch.bool).tril()
    return Layout(positions, mask, slots)


TREES = {terms: tree(terms) for terms in TERMS}


def answer_tokens(sums: np.ndarray) -> np.ndarray:
    """Digits, most significant first, then <eos>, then padding: [n, ANSWER]."""
    out = np.full((len(sums), ANSWER), TOKENIZER.PAD)
    digits = ZERO + sums[:, None] // np.array([1000, 100, 10, 1]) % 10
    long = sums >= 1000
    out[long, :4], out[long, 4] = digits[long], TOKENIZER.EOS
    out[~long, :3], out[~long, 3] = digits[~long, 1:], TOKENIZER.EOS
    return out


def make_batch(rng: np.random.Generator, rows: int, terms: int, hard: float = 0.0) -> Batch:
    operands = draw_operands(rng, rows, terms, hard)
    stem = np.full((rows, terms, 4), PLUS)
    stem[:, :, :3] = ZERO + operands[:, :, None] // np.array([100, 10, 1]) % 10
    parts, targets = [stem.reshape(rows, -1)[:, :-1]], []
    for n in range(2, terms + 1):
        answer = answer_tokens(operands[:, :n].sum(axis=1))
        parts += [np.full((rows, 1), EQUALS), answer[:, :-1]]
        target = np.where(answer == TOKENIZER.PAD, IGNORE, answer)
        target[held_out(operands[:, :n])] = IGNORE
        targets.append(target)
    ids = np.concatenate(parts, axis=1)
    return Batch(torch.from_numpy(ids), torch.from_numpy(np.stack(targets, axis=1)), TREES[terms])


def test_operands(terms: int, count: int, seed: int = 1) -> np.ndarray:
    """`count` distinct held-out problems [count, terms], the same for the same seed."""
    rng = np.random.default_rng([seed, terms])
    found: dict[tuple, None] = {}
    while len(found) < count:
        drawn = draw_operands(rng, 4096, terms, hard=0.0)
        found.update(dict.fromkeys(map(tuple, drawn[held_out(drawn)].tolist())))
    return np.array(list(found)[:count])


@dataclass(frozen=True)
class Addition:
    """The task and its curriculum: first mostly what is easy."""

    hard: float = 0.3  # share of rows with rippling carries
    # Chances of a batch with two, three and four terms.
    early_terms: tuple[float, float, float] = (0.5, 0.3, 0.2)
    terms: tuple[float, float, float] = (0.1, 0.2, 0.7)
    until: float = 0.1

    tokenizer = TOKENIZER
    answer_tokens = ANSWER

    def groups(self) -> list[str]:
        return [f"{terms} terms" for terms in TERMS]

    def draw(self, rng: np.random.Generator, rows: int, done: float) -> tuple[Batch, dict]:
        terms = int(rng.choice(TERMS, p=self.early_terms if done < self.until else self.terms))
        return make_batch(rng, rows, terms, self.hard), {"terms": terms}

    def problems(self, group: str, count: int, seed: int = 1) -> list[Problem]:
        operands = test_operands(int(group.split()[0]), count, seed)
        return [Problem(text(row), str(int(row.sum())), group) for row in operands]
