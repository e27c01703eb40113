"""Arithmetic modulo 7 over a dependency graph: "3+5=b;b*2=e;b-e=" -> "6".

A symbolic i-GSM (Ye et al., arXiv 2407.20311): each statement names the value of an operation, `+`, `-` or `*`, on two
operands, digits 1 to 6 or letters named before; the last one is the question. Behind each "=" the model is asked for
the value on its left, and behind each letter for the letter's, so a text teaches many problems. The depth of a
problem is the longest chain of operations in it.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .splitmix import chain, mix
from .task import IGNORE, Batch, Problem
from .tokenizer import CharTokenizer

LETTERS = "abcdefgh"
MODULUS = 7
SYMBOLS = "+-*"
HELD_OUT_OF = 32  # one expression in so many is never trained on
MOST_DEPTH = 6
WIDTH = 6  # tokens of a statement with its name


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

    def text(self, row: int) -> str:
        name = [LETTERS[x] for x in self.letter[row]]
        left, right = ([str(x) if x < MODULUS else name[x - MODULUS] for x in side[row]] for side in (self.left, self.right))
        lines = [f"{a}{SYMBOLS[op]}{b}=" for a, op, b in zip(left, self.op[row], right)]
        return "".join(line + f"{x};" for line, x in zip(lines[:-1], name)) + lines[-1]


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
    """The task and its curriculum: short texts first, one statement more at a time until `until` of the steps."""

    statements: int = 7  # the most
    until: float = 0.3

    tokenizer = CharTokenizer(LETTERS + "0123456" + SYMBOLS + "=;")
    answer_tokens = 2

    def groups(self) -> list[str]:
        return [f"depth {d}" for d in range(2, MOST_DEPTH + 1)]

    def most_statements(self, done: float) -> int:
        return min(self.statements, 3 + int(done / self.until * (self.statements - 2))) if self.until else self.statements

    def draw(self, rng: np.random.Generator, rows: int, done: float) -> tuple[Batch, dict]:
        """`rows` of the longest text; of shorter ones as many as make the same number of statements.

        The longer of two draws: what is late in a text is learnt late, and only at that length.
        """
        most = self.most_statements(done)
        n = int(rng.integers(max(2, most - 2), most + 1, 2).max())
        graphs = draw_graphs(rng, rows * self.statements // n, n)
        return self.batch(graphs), {"statements": n}

    def batch(self, g: Graphs) -> Batch:
        rows, n = g.op.shape
        ids = self.tokenizer.ids
        letters, digits, symbols = (np.array([ids[c] for c in s]) for s in (LETTERS, "0123456", SYMBOLS))
        names = letters[g.letter]
        told = np.where(g.held_out, IGNORE, digits[g.value])

        def operand(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            """Its tokens, and the values to be told behind letters."""
            place = np.maximum(x - MODULUS, 0)
            token = np.where(x < MODULUS, digits[np.minimum(x, MODULUS - 1)], np.take_along_axis(names, place, axis=1))
            return token, np.where(x < MODULUS, IGNORE, np.take_along_axis(told, place, axis=1))

        (left, left_told), (right, right_told) = operand(g.left), operand(g.right)
        whole, targets = np.empty((rows, n, WIDTH), np.int64), np.full((rows, n, WIDTH), IGNORE)
        for column, tokens in enumerate((left, symbols[g.op], right, ids["="], names, ids[";"])):
            whole[:, :, column] = tokens
        for column, values in ((0, left_told), (2, right_told), (3, told), (4, told)):
            targets[:, :, column] = values
        # The last statement has no name: the answer and the end stand there.
        whole, targets = whole.reshape(rows, -1)[:, :-1], targets.reshape(rows, -1)[:, :-1]
        whole[:, -1], targets[:, -1] = digits[g.value[:, -1]], self.tokenizer.EOS
        return Batch(torch.from_numpy(whole), torch.from_numpy(targets))

    def problems(self, group: str, count: int, seed: int = 1) -> list[Problem]:
        """Texts of the greatest length whose question is of the group's depth."""
        depth = int(group.split()[1])
        rng = np.random.default_rng([seed, depth])
        found: dict[str, str] = {}
        while len(found) < count:
            g = draw_graphs(rng, 4096, self.statements)
            for row in np.flatnonzero((g.held_out & (g.depth == depth))[:, -1]):
                found[g.text(row)] = str(g.value[row, -1])
        return [Problem(q, a, group) for q, a in list(found.items())[:count]]
