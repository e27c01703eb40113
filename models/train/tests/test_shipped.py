"""The checkpoints that ship: what their cards say of them holds."""

import hashlib
import re
from pathlib import Path

import pytest

from looptrain import addition, checkpoint, hops
from looptrain.evaluate import answers, share_right
from looptrain.experiments import EXPERIMENTS

CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"
SHIPPED = sorted(folder.name for folder in CHECKPOINTS.iterdir() if (folder / "README.md").exists())


def right(name, group, loops, count=60):
    task = EXPERIMENTS[name].task
    return share_right(checkpoint.read(CHECKPOINTS / name), task, task.problems(group, count, seed=2), loops)


def ask(name, prompt, loops):
    return answers(checkpoint.read(CHECKPOINTS / name), EXPERIMENTS[name].task, [prompt], loops)[0]


def test_depth_decides_the_adders_readme_problem():
    prompt = addition.text(addition.README_PROBLEM)
    assert ask("adder", prompt, 8) == "1368" != ask("adder", prompt, 1)


@pytest.mark.parametrize("group", EXPERIMENTS["adder"].task.groups())
def test_the_adder_adds_with_eight_loops_and_not_with_one(group):
    assert right("adder", group, 8) >= 0.98
    assert right("adder", group, 1) <= 0.1


def test_depth_decides_the_hops_readme_problem():
    assert ask("hop", hops.README_PROBLEM, 8) == "C" != ask("hop", hops.README_PROBLEM, 1)


@pytest.mark.parametrize(
    ("name", "group", "deep", "shallow"), [("hop", "8 hops", 0.93, 0.45), ("mod7", "depth 6", 0.88, 0.4)]
)
def test_the_hardest_problems_need_the_loops(name, group, deep, shallow):
    assert right(name, group, 12) >= deep
    assert right(name, group, 1) <= shallow


def test_mod7_reads_its_readme_problem():
    assert ask("mod7", "3+5=b;b*2=e;b-e=", 8) == "6"


@pytest.mark.parametrize("name", SHIPPED)
def test_card_names_these_weights(name):
    digest = hashlib.sha256((CHECKPOINTS / name / "model.safetensors").read_bytes()).hexdigest()
    assert re.search(digest, (CHECKPOINTS / name / "README.md").read_text())


@pytest.mark.parametrize("name", SHIPPED)
def test_the_folder_is_what_a_run_of_the_experiment_writes(name, tmp_path):
    e = EXPERIMENTS[name]
    checkpoint.write(checkpoint.read(CHECKPOINTS / name), e.task.tokenizer, tmp_path, **e.hints)
    for file in tmp_path.iterdir():
        assert file.read_bytes() == (CHECKPOINTS / name / file.name).read_bytes(), file.name
