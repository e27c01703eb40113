"""Adafactor and the regularizer, against their formulas."""

import pytest
import torch

from looptrain import similarity
from looptrain.adafactor import Adafactor
from looptrain.config import ModelConfig
from looptrain.model import LoopedLlama


def test_adafactor_is_exact_where_the_squares_have_rank_one():
    a, b = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([3.0, 0.1])
    p = torch.nn.Parameter(torch.zeros(3, 2))
    p.grad = torch.outer(a, b)
    Adafactor([p], lr=0.1).step()
    # The first step's update is grad / sqrt(grad**2): signs, of root mean square 1, so nothing is clipped.
    assert torch.allclose(p, -0.1 * torch.outer(a, b).sign(), atol=1e-6)


def test_adafactor_clips_an_update_that_outgrows_its_history():
    p = torch.nn.Parameter(torch.zeros(4))
    optimizer = Adafactor([p], lr=1.0)
    for grad in (1e-3, 1.0):
        before = p.detach().clone()
        p.grad = torch.full((4,), grad)
        optimizer.step()
    assert (p.detach() - before).square().mean().sqrt() == pytest.approx(1.0)


def test_adafactor_finds_a_minimum():
    torch.manual_seed(0)
    want, p = torch.randn(6, 5), torch.nn.Parameter(torch.zeros(6, 5))
    optimizer = Adafactor([p], lr=0.05)
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 400)
        p.grad = 2 * (p.detach() - want)
        optimizer.step()
    assert (p - want).abs().max() < 0.01


def model(layers):
    config = ModelConfig(
        vocab_size=9, hidden_size=16, intermediate_size=24, num_attention_heads=1, num_loop_layers=layers
    )
    out = LoopedLlama(config)
    out.init_weights(torch.Generator().manual_seed(0))
    return out


def test_the_distance_is_zero_for_copies_and_about_one_for_strangers():
    m = model(4)
    assert similarity.distance(m, 1).item() == pytest.approx(1, abs=0.1)
    with torch.no_grad():
        for i in (2, 3):
            for a, b in zip(m.model.layers[i].parameters(), m.model.layers[i - 2].parameters()):
                a.copy_(b)
    assert similarity.distance(m, 2).item() == pytest.approx(0, abs=1e-6)
    assert similarity.distance(m, 1).item() > 0.9


def test_the_distance_needs_two_groups():
    with pytest.raises(ValueError, match="1 layers have no two groups of 1"):
        similarity.distance(model(1), 1)
