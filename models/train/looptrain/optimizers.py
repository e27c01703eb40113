"""Which optimizer takes which parameters. All are driven by the two rates of the recipe."""

import torch
from torch import nn

from .adafactor import Adafactor
from .muon import Muon
from .recipe import Recipe


def optimizers(model: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """One for the layers' matrices, one for the rest; each group keeps its full rate as `base`."""
    matrices, others = [], []
    for name, p in model.named_parameters():
        (matrices if p.ndim == 2 and ".layers." in name else others).append(p)
    match recipe.optimizer:
        case "muon":
            first = Muon(matrices, lr=recipe.matrix_rate)
        case "adamw":
            first = torch.optim.AdamW(matrices, lr=recipe.matrix_rate, betas=(0.9, 0.99), weight_decay=0.01)
        case "adafactor":
            first = Adafactor(matrices, lr=recipe.matrix_rate)
        case other:
            raise ValueError(f"optimizer is {other!r}: use muon, adamw or adafactor")
    if recipe.optimizer == "adafactor":
        second = Adafactor(others, lr=recipe.other_rate)
    else:
        second = torch.optim.AdamW(others, lr=recipe.other_rate, betas=(0.9, 0.99), weight_decay=0.0)
    both = [first, second]
    for optimizer in both:
        for group in optimizer.param_groups:
            group["base"] = group["lr"]
    return both
