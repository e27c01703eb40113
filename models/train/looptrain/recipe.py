"""What a run is made of, apart from the model's shape and the task: everything that decides its numbers."""

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Recipe:
    """Constant rate, then a cosine to zero; loops drawn evenly from a range, anew for each batch."""

    seed: int = 0
    steps: int = 1300
    rows: int = 256
    optimizer: str = "muon"  # or adafactor, adamw: see optimizers.py
    matrix_rate: float = 0.01  # of the layers' matrices
    other_rate: float = 2e-3  # of embedding, head and gains
    warmup: int = 50
    cosine_from: float = 0.3  # share of the steps after which the rate falls
    clip: float = 1.0
    average: float = 0.01  # weight of the newest parameters in the running mean that is shipped
    early_loops: tuple[int, int] = (2, 8)  # the first batches are spared the deep, slow draws
    loops: tuple[int, int] = (1, 12)
    early_loops_until: float = 0.3
    similarity: float = 0.0  # weight of the paper's regularizer, see similarity.py
    evaluate_every: int = field(default=200, compare=False)

    def rate(self, step: int) -> float:
        """The factor on both rates at a step counted from 0."""
        done = step / self.steps
        warm = min(1.0, (step + 1) / self.warmup)
        if done < self.cosine_from:
            return warm
        return warm * 0.5 * (1 + math.cos(math.pi * (done - self.cosine_from) / (1 - self.cosine_from)))

    def loops_at(self, step: int) -> tuple[int, int]:
        return self.early_loops if step < self.early_loops_until * self.steps else self.loops
