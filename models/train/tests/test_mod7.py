"""Arithmetic over a graph: the answers, by a plain interpreter; and no test problem is trained on."""

import operator
import re

import numpy as np

from looptrain.mod7 import LETTERS, MOST_DEPTH, Mod7, draw_graphs, solve
from teaching import endings, taught

TASK = Mod7()
OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul}


def run(prompt):
    """(value, depth, expression) of what stands at the end: an operation and "=", or a letter.

    The expression is the question itself, free of names: letters replaced, operands of sums and products ordered.
    """
    known = {d: (int(d), 0, d) for d in "0123456"}
    for a, op, b, name in re.findall(r"(\w)([-+*])(\w)=(\w?)", prompt):
        (x, down, p), (y, side, q) = known[a], known[b]
        if op != "-":
            p, q = sorted((p, q))
        known[name] = OPERATORS[op](x, y) % 7, 1 + max(down, side), f"({p}{op}{q})"
    return known["" if prompt[-1] == "=" else prompt[-1]]


def test_values_are_those_of_an_interpreter_and_no_test_expression_has_a_loss():
    rng = np.random.default_rng(7)
    tests = {run(p.prompt)[2] for g in TASK.groups() for p in TASK.problems(g, 300)}
    assert len(tests) > 1000
    seen = 0
    for done in (0.0, 0.1, *[0.9] * 20):
        for prompt, answer in taught(TASK, TASK.draw(rng, 64, done)[0]):
            seen += 1
            value, _, expression = run(prompt)
            assert str(value) == answer, prompt
            assert expression not in tests
    assert seen > 8000


def test_problems_are_distinct_right_and_of_their_depth():
    for depth in range(2, MOST_DEPTH + 1):
        problems = TASK.problems(f"depth {depth}", 200)
        assert len({p.prompt for p in problems}) == 200
        assert problems == TASK.problems(f"depth {depth}", 200)
        for p in problems:
            value, found, _ = run(p.prompt)
            assert (str(value), depth) == (p.answer, found)


def test_the_split_ignores_names_and_the_order_of_sums_and_products():
    def key(left, right, op, letter=(0, 1)):
        return solve(np.array([letter]), np.array([left]), np.array([right]), np.array([op])).key[0, -1]

    assert key([3, 7], [5, 2], [0, 2]) == key([5, 2], [3, 7], [0, 2], letter=(4, 2))
    assert key([3, 7], [5, 2], [0, 1]) != key([3, 2], [5, 7], [0, 1])
    assert key([3, 7], [5, 2], [0, 2]) != key([3, 7], [5, 2], [2, 0])


def test_letters_are_named_once_and_before_use():
    g = draw_graphs(np.random.default_rng(2), 300, 7)
    for row in range(300):
        known = set()
        for a, _, b, name in re.findall(r"(\w)([-+*])(\w)=(\w?)", g.text(row)):
            assert all(x in "123456" or x in known for x in (a, b))
            assert name == "" or name in LETTERS and name not in known
            known.add(name)


def test_a_row_ends_in_its_answer_and_the_end():
    batch, _ = TASK.draw(np.random.default_rng(1), 4, 1.0)
    for prompt, answer, ends in endings(TASK, batch):
        assert str(run(prompt)[0]) == answer
        assert ends
