"""Every experiment by name: task, shape and recipe. `python -m looptrain NAME` runs one; the names say (k⊗L).

A plain name is the model that ships: one layer with loops drawn from 1 to 12. NAME-1x1 has its parameters and one
loop; NAME-8x1 has eight layers and one loop, so the FLOPs of eight loops.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from .addition import Addition
from .config import ModelConfig
from .hops import Hops
from .mod7 import Mod7
from .recipe import Recipe
from .task import Task

ONCE = {"early_loops": (1, 1), "loops": (1, 1)}


@dataclass(frozen=True)
class Experiment:
    about: str
    task: Task
    config: ModelConfig
    recipe: Recipe
    most_loops: int  # the loops that the exported bundle allows
    auto: dict | None = None  # what NAME@auto stands for, where the server's own rule will not do

    @property
    def looped(self) -> bool:
        return self.recipe.loops != (1, 1)

    @property
    def hints(self) -> dict:
        """What the checkpoint tells the exporter."""
        return {"trained_loops": self.recipe.loops[1], "max_loops": self.most_loops, "auto": self.auto}


@dataclass(frozen=True)
class Family:
    """A task with the shape and recipe that its experiments share."""

    name: str
    about: str
    task: Task
    shape: Callable[..., ModelConfig]
    recipe: Recipe
    auto: dict
    most_loops: int = 32

    def looped(self, suffix: str = "", note: str = "", around: int = 0, **changes) -> tuple[str, Experiment]:
        """`around` distinct layers before the looped one, and as many behind it."""
        recipe = replace(self.recipe, **changes)
        config = self.shape(num_prelude_layers=around, num_coda_layers=around)
        return self.name + suffix, Experiment(self.about + note, self.task, config, recipe, self.most_loops, self.auto)

    def stacked(self, layers: int, suffix: str = "", note: str = "", **changes) -> tuple[str, Experiment]:
        recipe = replace(self.recipe, **ONCE, **changes)
        config = self.shape(num_loop_layers=layers, num_loops=1)
        about = f"{self.about}: {layers} layer{'s' * (layers > 1)}, one loop{note}"
        return f"{self.name}-{layers}x1{suffix}", Experiment(about, self.task, config, recipe, 1)


def leave(policy: str, threshold: float, loops: int = 16) -> dict:
    return {"exit_policy": policy, "exit_threshold": threshold, "loops": loops}


def shape(task: Task, **sizes) -> Callable[..., ModelConfig]:
    return lambda **changes: ModelConfig(vocab_size=len(task.tokenizer), **(sizes | changes))


addition, hops, mod7 = Addition(), Hops(), Mod7()
ADDER = Family("adder", "sums of two to four 3-digit numbers", addition, shape(addition), Recipe(), leave("delta", 0.2))
HOP = Family(
    "hop",
    "p-hop induction, one to eight hops",
    hops,
    shape(hops, hidden_size=64, intermediate_size=176, num_attention_heads=4, num_key_value_heads=4),
    Recipe(steps=2500, rows=64, evaluate_every=500),
    leave("kl", 0.0001),
)
MOD7 = Family(
    "mod7",
    "arithmetic modulo 7 over a graph of seven operations",
    mod7,
    shape(mod7, hidden_size=64, intermediate_size=256),
    Recipe(steps=8000, rows=40, cosine_from=0.5, evaluate_every=2000),
    leave("kl", 0.0001),
)

# The optimizers, on a short run of the same data. Muon's step of a 64×64 matrix has a root mean square of rate / 8.
SHORT = {"steps": 500, "evaluate_every": 500}

EXPERIMENTS: dict[str, Experiment] = dict(
    entry
    for family in (ADDER, HOP, MOD7)
    for entry in (family.looped(), family.stacked(1), family.stacked(8))
) | dict(
    (
        HOP.looped("-muon", ", 500 steps", **SHORT),
        HOP.looped("-adamw", ", 500 steps with AdamW", **SHORT, optimizer="adamw", matrix_rate=2e-3),
        HOP.looped("-adafactor", ", 500 steps with Adafactor", **SHORT, optimizer="adafactor", matrix_rate=2e-3),
        HOP.looped("-1x8", ", always eight loops", early_loops=(8, 8), loops=(8, 8)),
        MOD7.looped("-middle", ", a layer before the loops and one behind", around=1),
        MOD7.stacked(8, "-alike", ", its layers drawn towards each other", similarity=0.1),
    )
)
