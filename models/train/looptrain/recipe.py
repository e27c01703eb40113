"""What a run is made of, apart from the model's shape: everything that decides its numbers."""

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Recipe:
    """Muon for the layers' matrices, AdamW for the rest; constant rate, then a cosine to zero."""

    seed: int = 0
    steps: int = 1300
    rows: int = 256  # trees in a batch: three problems each once four terms are drawn
    matrix_rate: float = 0.01
    other_rate: float = 2e-3
    warmup: int = 50
    cosine_from: float = 0.3  # share of the steps after which the rate falls
    hard: float = 0.3  # share of rows with rippling carries
    clip: float = 1.0
    average: float = 0.01  # weight of the newest parameters in the running mean that is shipped
    # Loops are drawn evenly from the range, anew for each batch: early ones are spared the deep, slow batches.
    early_loops: tuple[int, int] = (2, 8)
    loops: tuple[int, int] = (1, 12)
    # Chances of a batch with two, three and four terms: first mostly what is easy.
    early_terms: tuple[float, float, float] = (0.5, 0.3, 0.2)
    terms: tuple[float, float, float] = (0.1, 0.2, 0.7)
    early_terms_until: float = 0.1
    early_loops_until: float = 0.3
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

    def terms_at(self, step: int) -> tuple[float, float, float]:
        return self.early_terms if step < self.early_terms_until * self.steps else self.terms
