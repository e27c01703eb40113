"""The training loop: a step, a run of steps, and what must be saved to go on where a run stopped."""

import copy
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import addition
from .config import ModelConfig
from .evaluate import accuracy
from .model import LoopedLlama
from .muon import Muon
from .recipe import Recipe


class Run:
    """Model, running mean, optimizers and random source: the whole state of a training."""

    def __init__(self, config: ModelConfig, recipe: Recipe):
        self.recipe = recipe
        self.step = 0
        self.rng = np.random.default_rng(recipe.seed)
        self.model = LoopedLlama(config)
        self.model.init_weights(torch.Generator().manual_seed(recipe.seed))
        self.mean = copy.deepcopy(self.model).requires_grad_(False)
        matrices, others = [], []
        for name, p in self.model.named_parameters():
            (matrices if p.ndim == 2 and ".layers." in name else others).append(p)
        self.muon = Muon(matrices, lr=recipe.matrix_rate)
        self.adam = torch.optim.AdamW(others, lr=recipe.other_rate, betas=(0.9, 0.99), weight_decay=0.0)
        self.trees = {n: addition.Tree.of(n) for n in addition.TERMS}

    def loss(self, batch: addition.Batch, terms: int, loops: int) -> Tensor:
        """Mean cross-entropy of the answers' tokens after `loops` loops."""
        tree = self.trees[terms]
        last = self.model.states(batch.ids, loops, tree.positions, tree.mask)[-1]
        hidden = self.model.read(last, tree.positions, tree.mask)[:, tree.slots.reshape(-1)]
        logits = self.model.lm_head(hidden)
        return F.cross_entropy(logits.flatten(0, 1), batch.targets.reshape(-1), ignore_index=addition.IGNORE)

    def advance(self) -> dict:
        """One step. Returns its line of the log."""
        r = self.recipe
        for optimizer, base in ((self.muon, r.matrix_rate), (self.adam, r.other_rate)):
            for group in optimizer.param_groups:
                group["lr"] = base * r.rate(self.step)
        low, high = r.loops_at(self.step)
        loops = int(self.rng.integers(low, high + 1))
        terms = int(self.rng.choice(addition.TERMS, p=r.terms_at(self.step)))
        loss = self.loss(addition.make_batch(self.rng, r.rows, terms, r.hard), terms, loops)
        self.model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), r.clip)
        self.muon.step()
        self.adam.step()
        with torch.no_grad():
            for mean, p in zip(self.mean.parameters(), self.model.parameters()):
                mean.lerp_(p, r.average)
        self.step += 1
        return {"step": self.step, "loops": loops, "terms": terms, "loss": round(loss.item(), 6)}

    def state(self) -> dict:
        return {
            "step": self.step,
            "rng": self.rng.bit_generator.state,
            **{k: getattr(self, k).state_dict() for k in ("model", "mean", "muon", "adam")},
        }

    def restore(self, state: dict) -> None:
        self.step = state["step"]
        self.rng.bit_generator.state = state["rng"]
        for k in ("model", "mean", "muon", "adam"):
            getattr(self, k).load_state_dict(state[k])


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
    with log.open("a") as out:
        while run.step < run.recipe.steps:
            line = run.advance()
            line["seconds"] = round(time.monotonic() - start, 1)
            if run.step % run.recipe.evaluate_every == 0 or run.step == run.recipe.steps:
                line["exact"] = accuracy(run.mean, loops=(1, 2, 4, 8, 12), count=200)
                print(json.dumps(line), flush=True)
            out.write(json.dumps(line) + "\n")
            if run.step % save_every == 0 or run.step == run.recipe.steps:
                out.flush()
                torch.save(run.state(), state.with_suffix(".tmp"))
                state.with_suffix(".tmp").replace(state)
