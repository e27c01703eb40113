"""A few steps of the real recipe: repeatable, resumable, and what is written reads back to the same logits."""

import json
from dataclasses import replace

import pytest
import torch

from looptrain import addition, checkpoint
from looptrain.config import ModelConfig
from looptrain.recipe import Recipe
from looptrain.train import Run, train

CONFIG = ModelConfig(vocab_size=len(addition.TOKENIZER), hidden_size=32, intermediate_size=48, num_attention_heads=2)
RECIPE = replace(Recipe(), steps=6, rows=8, evaluate_every=1000)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


def test_same_seed_gives_the_same_losses(tmp_path):
    for name in ("a", "b"):
        run = Run(CONFIG, RECIPE)
        for _ in range(4):
            run.advance()
        (tmp_path / name).write_text(repr([run.advance()["loss"] for _ in range(2)]))
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()
    other = Run(CONFIG, replace(RECIPE, seed=1)).advance()["loss"]
    assert other != Run(CONFIG, RECIPE).advance()["loss"]


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path):
    whole = Run(CONFIG, RECIPE)
    want = [whole.advance()["loss"] for _ in range(6)]
    first = Run(CONFIG, RECIPE)
    got = [first.advance()["loss"] for _ in range(3)]
    torch.save(first.state(), tmp_path / "state.pt")
    second = Run(CONFIG, RECIPE)
    second.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    got += [second.advance()["loss"] for _ in range(3)]
    assert got == want


def test_train_writes_a_log_and_a_state(tmp_path, monkeypatch):
    monkeypatch.setattr("looptrain.train.accuracy", lambda *a, **k: {})
    train(Run(CONFIG, RECIPE), tmp_path)
    assert len(losses(tmp_path)) == 6
    train(Run(CONFIG, RECIPE), tmp_path)  # nothing left to do
    assert len(losses(tmp_path)) == 6


def test_checkpoint_reads_back(tmp_path):
    run = Run(CONFIG, RECIPE)
    run.advance()
    checkpoint.write(run.mean, tmp_path, trained_loops=12, max_loops=16)
    ids = torch.tensor([addition.TOKENIZER.encode("123+456=")])
    assert torch.equal(checkpoint.read(tmp_path)(ids, 3), run.mean(ids, 3))
    hint = json.loads((tmp_path / "config.json").read_text())["loopserve"]["loops"]
    assert hint == {"min": 1, "default": 8, "trained": 12, "max": 16}
