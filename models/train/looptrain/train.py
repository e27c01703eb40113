"""The training loop: a step, a run of steps, and what must be saved to go on where a run stopped."""

import copy
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import similarity
from .config import ModelConfig
from .evaluate import accuracy
from .model import LoopedLlama
from .optimizers import optimizers
from .recipe import Recipe
from .task import IGNORE, Batch, Task


class Run:
    """Model, running mean, optimizers and random source: the whole state of a training."""

    def __init__(self, config: ModelConfig, recipe: Recipe, task: Task):
        self.recipe, self.task = recipe, task
        self.step = 0
        self.rng = np.random.default_rng(recipe.seed)
        self.model = LoopedLlama(config)
        self.model.init_weights(torch.Generator().manual_seed(recipe.seed))
        self.mean = copy.deepcopy(self.model).requires_grad_(False)
        self.optimizers = optimizers(self.model, recipe)

    def loss(self, batch: Batch, loops: int) -> Tensor:
        """Mean cross-entropy of the targets after `loops` loops."""
        if batch.layout is None:
            hidden = self.model.read(self.model.states(batch.ids, loops)[-1])
            wanted = batch.targets != IGNORE
            return F.cross_entropy(self.model.lm_head(hidden[wanted]), batch.targets[wanted])
        layout = batch.layout
        last = self.model.states(batch.ids, loops, layout.positions, layout.mask)[-1]
        hidden = self.model.read(last, layout.positions, layout.mask)[:, layout.slots.reshape(-1)]
        logits = self.model.lm_head(hidden)
        return F.cross_entropy(logits.flatten(0, 1), batch.targets.reshape(-1), ignore_index=IGNORE)

    def advance(self) -> dict:
        """One step. Returns its line of the log."""
        r = self.recipe
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * r.rate(self.step)
        low, high = r.loops_at(self.step)
        loops = int(self.rng.integers(low, high + 1))
        batch, facts = self.task.draw(self.rng, r.rows, self.step / r.steps)
        loss = self.loss(batch, loops)
        self.model.zero_grad()
        if r.similarity:
            (loss + r.similarity * similarity.distance(self.model, group=1)).backward()
        else:
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), r.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        with torch.no_grad():
            for mean, p in zip(self.mean.parameters(), self.model.parameters()):
                mean.lerp_(p, r.average)
        self.step += 1
        return {"step": self.step, "loops": loops, **facts, "loss": round(loss.item(), 6)}

    def state(self) -> dict:
        return {
            "step": self.step,
            "rng": self.rng.bit_generator.state,
            "model": self.model.state_dict(),
            "mean": self.mean.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
        }

    def restore(self, state: dict) -> None:
        self.step = state["step"]
        self.rng.bit_generator.state = state["rng"]
        self.model.load_state_dict(state["model"])
        self.mean.load_state_dict(state["mean"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)


def train(run: Run, folder: Path, save_every: int = 100) -> None:
    """Runs to the recipe's end, logging to folder/log.jsonl; goes on from folder/state.pt where there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    state, log = folder / "state.pt", folder / "log.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    if state.exists():
        run.restore(torch.load(state, weights_only=True))
    # What was logged after the last save is done again.
    kept = [line for line in lines if json.loads(line)["step"] <= run.step]
    log.write_text("".join(line + "\n" for line in kept))
    seconds = json.loads(kept[-1])["seconds"] if kept else 0.0
    start = time.monotonic() - seconds
    loops = [n for n in (1, 2, 4, 8, 12) if n <= run.recipe.loops[1]]
    with log.open("a") as out:
        while run.step < run.recipe.steps:
            line = run.advance()
            line["seconds"] = round(time.monotonic() - start, 1)
            if run.step % run.recipe.evaluate_every == 0 or run.step == run.recipe.steps:
                line["exact"] = accuracy(run.mean, run.task, loops, count=100)
                print(json.dumps(line), flush=True)
            out.write(json.dumps(line) + "\n")
            if run.step % save_every == 0 or run.step == run.recipe.steps:
                out.flush()
                torch.save(run.state(), state.with_suffix(".tmp"))
                state.with_suffix(".tmp").replace(state)
