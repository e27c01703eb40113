"""Arithmetic modulo 7 over a dependency graph: "b=3+5;e=b*2;a=e-b;a?" -> "1".

A symbolic i-GSM (Ye et al., arXiv 2407.20311): each statement defines a letter by two operands, digits 1 to 6 or
letters defined before it, and `+`, `-` or `*`; the question asks for one of the letters. Behind each statement the
model is asked for the value just defined, too, so a text of n statements teaches n + 1 problems. The depth of a letter
is the longest chain of operations below it.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .splitmix import chain, mix
from .task import IGNORE, Batch, Problem
from .tokenizer import CharTokenizer

LETTERS = "abcdefghijkl"
MODULUS = 7
SYMBOLS = "+-*"
HELD_OUT_OF = 32  # one expression in so many is never trained on
MOST_DEPTH = 8
WIDTH = 6  # tokens of a statement


@dataclass(frozen=True)
class Graphs:
    """Texts of n statements each, by arrays [rows, n]."""

    letter: np.ndarray
    left: np.ndarray  # a digit as 0..6, or an earlier statement s as MODULUS + s
    right: np.ndarray
    op: np.ndarray
    value: np.ndarray
    depth: np.ndarray
    key: np.ndarray  # hash of the expression with every letter replaced by what it stands for

    @property
    def held_out(self) -> np.ndarray:
        """Two digits and a sign are the 108 facts that everything is made of: those are all taught."""
        return (self.key % np.uint64(HELD_OUT_OF) == 0) & (self.depth > 1)

    def text(self, row: int, asked: int) -> str:
        name = [LETTERS[x] for x in self.letter[row]]
        operand = lambda x: str(x) if x < MODULUS else name[x - MODULUS]  # noqa: E731
        lines = [
            f"{name[i]}={operand(self.left[row, i])}{SYMBOLS[self.op[row, i]]}{operand(self.right[row, i])};"
            for i in range(len(name))
        ]
        return "".join(lines) + f"{name[asked]}?"


def operate(op: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.choose(op, (a + b, a - b, a * b)) % MODULUS


def draw_graphs(rng: np.random.Generator, rows: int, n: int) -> Graphs:
    """Chains and bushes: each row has its own chance that a statement builds on the one before it."""
    letter = rng.permuted(np.tile(np.arange(len(LETTERS)), (rows, 1)), axis=1)[:, :n]
    op = rng.integers(0, len(SYMBOLS), (rows, n))
    follows = rng.random((rows, 1)) ** 0.5 > rng.random((rows, n))
    operands = np.empty((2, rows, n), np.int64)
    for i in range(n):
        for side in (0, 1):
            digit = rng.integers(1, MODULUS, rows)
            earlier = MODULUS + rng.integers(0, max(i, 1), rows)
            operands[side, :, i] = np.where((rng.random(rows) < 0.5) & (i > 0), earlier, digit)
        if i:
            operands[0, follows[:, i], i] = MODULUS + i - 1
    flip = rng.random((rows, n)) < 0.5
    left, right = np.where(flip, operands[1], operands[0]), np.where(flip, operands[0], operands[1])
    return solve(letter, left, right, op)


def solve(letter: np.ndarray, left: np.ndarray, right: np.ndarray, op: np.ndarray) -> Graphs:
    rows, n = op.shape
    value, depth = np.zeros((rows, MODULUS + n), np.int64), np.zeros((rows, MODULUS + n), np.int64)
    key = np.zeros((rows, MODULUS + n), np.uint64)
    value[:, :MODULUS] = np.arange(MODULUS)
    key[:, :MODULUS] = mix(np.arange(1, MODULUS + 1, dtype=np.uint64))
    every = np.arange(rows)
    for i in range(n):
        a, b = left[:, i], right[:, i]
        value[:, MODULUS + i] = operate(op[:, i], value[every, a], value[every, b])
        depth[:, MODULUS + i] = 1 + np.maximum(depth[every, a], depth[every, b])
        first, second = key[every, a], key[every, b]
        swap = (op[:, i] != 1) & (first > second)  # sums and products are the same in either order
        first, second = np.where(swap, second, first), np.where(swap, first, second)
        key[:, MODULUS + i] = chain(chain(op[:, i].astype(np.uint64), first), second)
    return Graphs(letter, left, right, op, value[:, MODULUS:], depth[:, MODULUS:], key[:, MODULUS:])


@dataclass(frozen=True)
class Mod7:
    """The task and its curriculum: short texts first, one statement more after each tenth of `until`."""

    statements: int = 10  # the most
    until: float = 0.5

    tokenizer = CharTokenizer(LETTERS + "0123456" + SYMBOLS + "=;?")
    answer_tokens = 2

    def groups(self) -> list[str]:
        return [f"depth {d}" for d in range(2, MOST_DEPTH + 1)]

    def most_statements(self, done: float) -> int:
        return min(self.statements, 2 + int(done / self.until * (self.statements - 1))) if self.until else self.statements

    def draw(self, rng: np.random.Generator, rows: int, done: float) -> tuple[Batch, dict]:
        """`rows` of the longest text; of shorter ones as many as make the same number of statements."""
        most = self.most_statements(done)
        n = int(rng.integers((most + 1) // 2, most + 1))
        graphs = draw_graphs(rng, rows * self.statements // n, n)
        return self.batch(graphs, rng.integers(0, n, len(graphs.op))), {"statements": n}

    def batch(self, g: Graphs, asked: np.ndarray) -> Batch:
        rows, n = g.op.shape
        ids = self.tokenizer.ids
        letters, digits, symbols = (np.array([ids[c] for c in s]) for s in (LETTERS, "0123456", SYMBOLS))
        names = letters[g.letter]

        def operand(x: np.ndarray) -> np.ndarray:
            name = np.take_along_axis(names, np.maximum(x - MODULUS, 0), axis=1)
            return np.where(x < MODULUS, digits[np.minimum(x, MODULUS - 1)], name)

        body = np.empty((rows, n, WIDTH), np.int64)
        columns = (names, ids["="], operand(g.left), symbols[g.op], operand(g.right), ids[";"])
        for column, tokens in enumerate(columns):
            body[:, :, column] = tokens
        every = np.arange(rows)
        answer = digits[g.value[every, asked]]
        question = np.stack((names[every, asked], np.full(rows, ids["?"]), answer), axis=1)
        whole = np.concatenate((body.reshape(rows, -1), question), axis=1)
        targets = np.full(whole.shape, IGNORE)
        targets[:, WIDTH - 1 : -3 : WIDTH] = np.where(g.held_out, IGNORE, digits[g.value])
        targets[:, -2] = np.where(g.held_out[every, asked], IGNORE, answer)
        targets[:, -1] = self.tokenizer.EOS
        return Batch(torch.from_numpy(whole), torch.from_numpy(targets))

    def problems(self, group: str, count: int, seed: int = 1) -> list[Problem]:
        """Texts of the greatest length that ask for a letter of the group's depth."""
        depth = int(group.split()[1])
        rng = np.random.default_rng([seed, depth])
        found: dict[str, str] = {}
        while len(found) < count:
            g = draw_graphs(rng, 4096, self.statements)
            for row, asked in zip(*np.nonzero(g.held_out & (g.depth == depth))):
                found[g.text(row, asked)] = str(g.value[row, asked])
        return [Problem(q, a, group) for q, a in list(found.items())[:count]]
