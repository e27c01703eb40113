"""p-hop induction: "4:abcadbcabdacbdab" -> "C", the letter four hops back from the last one, in upper case.

A hop goes from a letter to its last earlier occurrence and from there one place on, to what followed it. No letter
stands twice in a row, so that each hop moves back. Where there is no earlier occurrence the answer is "-".
After every letter of a text the model is asked for the answer of the text so far, so a row of n letters teaches n
problems.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .splitmix import chain
from .task import IGNORE, Batch, Problem
from .tokenizer import CharTokenizer

LETTERS = "abcd"
MOST_HOPS = 8
DIGITS = "12345678"
HELD_OUT_OF = 64  # one problem in so many is never trained on
NONE = "-"
README_PROBLEM = "4:abcadbcabdacbdab"


def draw_letters(rng: np.random.Generator, rows: int, length: int) -> np.ndarray:
    """Texts [rows, length] of letters 0.., never the same twice in a row."""
    steps = rng.integers(1, len(LETTERS), (rows, length))
    steps[:, 0] = rng.integers(0, len(LETTERS), rows)
    return steps.cumsum(axis=1) % len(LETTERS)


def hop_targets(letters: np.ndarray) -> np.ndarray:
    """Where one hop from each place leads [rows, length]; -1 where the letter stands for the first time."""
    rows, length = letters.shape
    last = np.full((rows, len(LETTERS)), -1)
    out = np.full((rows, length), -1)
    every = np.arange(rows)
    for i in range(length):
        before = last[every, letters[:, i]]
        out[:, i] = np.where(before >= 0, before + 1, -1)
        last[every, letters[:, i]] = i
    return out


def answers(letters: np.ndarray, hops: np.ndarray) -> np.ndarray:
    """The letter `hops` [rows] hops back from each place [rows, length]; len(LETTERS) where there is none."""
    target = hop_targets(letters)
    place = np.broadcast_to(np.arange(letters.shape[1]), letters.shape).copy()
    for done in range(int(hops.max())):
        moved = np.where(place >= 0, np.take_along_axis(target, np.maximum(place, 0), axis=1), -1)
        place = np.where(hops[:, None] > done, moved, place)
    found = np.take_along_axis(letters, np.maximum(place, 0), axis=1)
    return np.where(place >= 0, found, len(LETTERS))


def held_out(letters: np.ndarray, hops: np.ndarray) -> np.ndarray:
    """Which of the problems that end at each place [rows, length] belong to the test split."""
    key = hops.astype(np.uint64)
    out = np.empty(letters.shape, bool)
    for i in range(letters.shape[1]):
        key = chain(key, letters[:, i])
        out[:, i] = key % np.uint64(HELD_OUT_OF) == 0
    hop, text = README_PROBLEM.split(":")
    if letters.shape[1] >= len(text):
        same = (letters[:, : len(text)] == [LETTERS.index(c) for c in text]).all(axis=1) & (hops == int(hop))
        out[:, len(text) - 1] |= same
    return out


def text(letters: np.ndarray, hops: int) -> str:
    return f"{hops}:" + "".join(LETTERS[x] for x in letters)


@dataclass(frozen=True)
class Hops:
    """The task and its curriculum: few hops first, one more after each `until / MOST_HOPS` of the steps."""

    lengths: tuple[int, int] = (24, 45)
    until: float = 0.4

    tokenizer = CharTokenizer(LETTERS + LETTERS.upper() + NONE + DIGITS + ":")
    answer_tokens = 2

    def groups(self) -> list[str]:
        return [f"{p} hop{'s' * (p > 1)}" for p in range(1, MOST_HOPS + 1)]

    def most_hops(self, done: float) -> int:
        return min(MOST_HOPS, 1 + int(done / self.until * MOST_HOPS)) if self.until else MOST_HOPS

    def draw(self, rng: np.random.Generator, rows: int, done: float) -> tuple[Batch, dict]:
        most = self.most_hops(done)
        length = int(rng.integers(self.lengths[0], self.lengths[1] + 1))
        # Half of the rows ask for the two largest numbers of hops.
        hops = np.where(rng.random(rows) < 0.5, rng.integers(1, most + 1, rows), rng.integers(max(1, most - 1), most + 1, rows))
        return self.batch(draw_letters(rng, rows, length), hops), {"hops": most, "length": length}

    def batch(self, letters: np.ndarray, hops: np.ndarray) -> Batch:
        ids, rows = self.tokenizer.ids, len(letters)
        small = np.array([ids[c] for c in LETTERS])
        large = np.array([ids[c] for c in LETTERS.upper() + NONE])
        answer = large[answers(letters, hops)]
        digits = np.array([ids[c] for c in DIGITS])[hops - 1]
        colon = np.full(rows, ids[":"])
        whole = np.concatenate((digits[:, None], colon[:, None], small[letters], answer[:, -1:]), axis=1)
        targets = np.full(whole.shape, IGNORE)
        targets[:, 2:-1] = np.where(held_out(letters, hops), IGNORE, answer)
        targets[:, -1] = self.tokenizer.EOS
        return Batch(torch.from_numpy(whole), torch.from_numpy(targets))

    def problems(self, group: str, count: int, seed: int = 1) -> list[Problem]:
        """Of the longest texts, and only such as have an answer."""
        p = int(group.split()[0])
        rng = np.random.default_rng([seed, p])
        found: dict[str, str] = {}
        while len(found) < count:
            letters = draw_letters(rng, 4096, self.lengths[1])
            hops = np.full(len(letters), p)
            last = answers(letters, hops)[:, -1]
            for i in np.flatnonzero(held_out(letters, hops)[:, -1] & (last < len(LETTERS))):
                found[text(letters[i], p)] = LETTERS[last[i]].upper()
        return [Problem(q, a, group) for q, a in list(found.items())[:count]]
