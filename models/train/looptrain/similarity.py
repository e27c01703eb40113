"""The paper's regularizer: successive groups of a non-looped model's layers are drawn towards each other.

arXiv 2502.17416, section 4: 1 minus the cosine similarity of each weight matrix with the one at the same place of the
next group of k layers; a looped model would have similarity 1 throughout.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .model import LoopedLlama


def distance(model: LoopedLlama, group: int) -> Tensor:
    """Mean of 1 - cosine over all pairs of matrices `group` layers apart; 0 where all groups are alike."""
    layers = model.model.layers
    pairs = [
        1 - F.cosine_similarity(a.flatten(), b.flatten(), dim=0)
        for one, next_ in zip(layers, layers[group:])
        for a, b in zip(one.parameters(), next_.parameters())
        if a.ndim == 2
    ]
    if not pairs:
        raise ValueError(f"{len(layers)} layers have no two groups of {group} to compare")
    return torch.stack(pairs).mean()
