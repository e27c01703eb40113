"""p-hop induction: the answers, by a plain walk; and no test problem is trained on."""

import numpy as np

from looptrain import hops
from looptrain.hops import LETTERS, NONE, Hops
from teaching import endings, taught

TASK = Hops()


def walk(prompt):
    """The answer, as the definition reads."""
    p, text = prompt.split(":")
    place = len(text) - 1
    for _ in range(int(p)):
        earlier = text.rfind(text[place], 0, place)
        if earlier < 0:
            return NONE
        place = earlier + 1
    return text[place].upper()


def test_answers_are_those_of_a_plain_walk_and_no_test_problem_has_a_loss():
    rng = np.random.default_rng(7)
    tests = {p.prompt for g in TASK.groups() for p in TASK.problems(g, 500)} | {hops.README_PROBLEM}
    seen = 0
    for done in (0.0, 0.2, 0.9, 0.9):
        for prompt, answer in taught(TASK, TASK.draw(rng, 64, done)[0]):
            seen += 1
            assert walk(prompt) == answer, prompt
            assert prompt not in tests
    assert seen > 4000


def test_problems_are_distinct_right_held_out_and_the_same_for_a_seed():
    for group in TASK.groups():
        problems = TASK.problems(group, 200)
        assert len({p.prompt for p in problems}) == 200
        assert problems == TASK.problems(group, 200) != TASK.problems(group, 200, seed=2)
        for p in problems:
            assert walk(p.prompt) == p.answer != NONE
            hop, text = p.prompt.split(":")
            letters = np.array([[LETTERS.index(c) for c in text]])
            assert hops.held_out(letters, np.array([int(hop)]))[0, -1]


def test_the_split_decides_each_prefix_by_itself():
    rng = np.random.default_rng(3)
    letters, hop = hops.draw_letters(rng, 200, 30), np.full(200, 4)
    whole = hops.held_out(letters, hop)
    assert (whole[:, :20] == hops.held_out(letters[:, :20], hop)).all()
    assert 0.005 < whole.mean() < 0.03


def test_a_row_ends_in_its_answer_and_the_end():
    batch, facts = TASK.draw(np.random.default_rng(1), 16, 1.0)
    assert facts["hops"] == hops.MOST_HOPS
    for prompt, answer, ends in endings(TASK, batch):
        assert walk(prompt) == answer
        assert ends


def test_the_curriculum_ends_with_every_number_of_hops():
    assert [TASK.most_hops(d) for d in (0, 0.1, 0.2, 0.4, 1)] == [1, 3, 5, 8, 8]
    assert Hops(until=0).most_hops(0) == hops.MOST_HOPS
