"""The checkpoint that ships: what its card says of it holds."""

import hashlib
import re
from pathlib import Path

import numpy as np

from looptrain import addition, checkpoint
from looptrain.evaluate import answers

ADDER = Path(__file__).parents[1] / "checkpoints" / "adder"


def test_depth_decides_the_readme_problem():
    model, problem = checkpoint.read(ADDER), np.array([addition.README_PROBLEM])
    assert answers(model, problem, 8) == ["1368"]
    assert answers(model, problem, 1) != ["1368"]


def test_accuracy_on_held_out_problems():
    model = checkpoint.read(ADDER)
    right = shallow = count = 0
    for terms in addition.TERMS:
        problems = addition.test_problems(terms, 40, seed=2)
        want = [str(s) for s in problems.sum(axis=1)]
        right += sum(a == b for a, b in zip(answers(model, problems, 8), want))
        shallow += sum(a == b for a, b in zip(answers(model, problems, 1), want))
        count += len(want)
    assert right >= 0.99 * count
    assert shallow <= 0.4 * count


def test_card_names_these_weights():
    digest = hashlib.sha256((ADDER / "model.safetensors").read_bytes()).hexdigest()
    assert re.search(digest, (ADDER / "README.md").read_text())
