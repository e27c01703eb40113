"""A few steps of the real recipes: repeatable, resumable, and what is written reads back to the same logits."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from looptrain import addition, checkpoint
from looptrain.config import ModelConfig
from looptrain.experiments import EXPERIMENTS
from looptrain.recipe import Recipe
from looptrain.train import Run, train

TASK = addition.Addition()
CONFIG = ModelConfig(vocab_size=len(TASK.tokenizer), hidden_size=32, intermediate_size=48, num_attention_heads=2)
RECIPE = replace(Recipe(), steps=6, rows=8, evaluate_every=1000)
HERE = Path(__file__).parents[1]
# Of what ships beside the checkpoint; of the rest, whose checkpoints are not in the repository, by name.
LOGS = {p.parent.name: p for p in HERE.glob("checkpoints/*/training-log.jsonl")} | {p.stem: p for p in HERE.glob("logs/*.jsonl")}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def losses(log):
    return [json.loads(line)["loss"] for line in log.read_text().splitlines()]


def test_same_seed_gives_the_same_losses():
    def first(recipe):
        run = Run(CONFIG, recipe, TASK)
        return [run.advance()["loss"] for _ in range(6)]

    assert first(RECIPE) == first(RECIPE) != first(replace(RECIPE, seed=1))


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "adafactor"])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path, optimizer):
    recipe = replace(RECIPE, optimizer=optimizer)
    whole = Run(CONFIG, recipe, TASK)
    want = [whole.advance()["loss"] for _ in range(6)]
    first = Run(CONFIG, recipe, TASK)
    got = [first.advance()["loss"] for _ in range(3)]
    torch.save(first.state(), tmp_path / "state.pt")
    second = Run(CONFIG, recipe, TASK)
    second.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    got += [second.advance()["loss"] for _ in range(3)]
    assert got == want


def test_train_writes_a_log_and_a_state(tmp_path, monkeypatch):
    monkeypatch.setattr("looptrain.train.accuracy", lambda *a, **k: {})
    train(Run(CONFIG, RECIPE, TASK), tmp_path)
    assert len(losses(tmp_path / "log.jsonl")) == 6
    train(Run(CONFIG, RECIPE, TASK), tmp_path)  # nothing left to do
    assert len(losses(tmp_path / "log.jsonl")) == 6


@pytest.mark.parametrize("name", LOGS)
def test_the_first_steps_of_the_committed_logs_come_again(name):
    """Other processors and releases of PyTorch sum in other orders: hence a tolerance."""
    e = EXPERIMENTS[name]
    run = Run(e.config, e.recipe, e.task)
    got = {line["step"]: line["loss"] for line in (run.advance() for _ in range(3))}
    want = {f["step"]: f["loss"] for f in map(json.loads, LOGS[name].read_text().splitlines()) if f["step"] in got}
    assert 1 in want
    assert {step: got[step] for step in want} == pytest.approx(want, abs=2e-4)


def test_checkpoint_reads_back(tmp_path):
    run = Run(CONFIG, RECIPE, TASK)
    run.advance()
    checkpoint.write(run.mean, TASK.tokenizer, tmp_path, trained_loops=12, max_loops=16)
    ids = torch.tensor([TASK.tokenizer.encode("123+456=")])
    assert torch.equal(checkpoint.read(tmp_path)(ids, 3), run.mean(ids, 3))
    hint = json.loads((tmp_path / "config.json").read_text())["loopserve"]["loops"]
    assert hint == {"min": 1, "default": 8, "trained": 12, "max": 16}
