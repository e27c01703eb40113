"""The model is looped_llama: the logits of the golden cases, which come from Hugging Face's own Llama."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from looptrain import checkpoint
from looptrain.config import ModelConfig
from looptrain.model import LoopedLlama

VECTORS = Path(os.environ.get("LOOPSERVE_VECTORS", Path(__file__).parents[3] / "internal/golden/testdata"))
CASES = sorted((VECTORS / "golden" / "looped-llama").glob("*"))
REQUIRED = os.environ.get("LOOPSERVE_REQUIRE_VECTORS") == "1"


def test_vectors_are_there_where_they_are_required():
    assert CASES or not REQUIRED, f"no golden vectors under {VECTORS}: set LOOPSERVE_VECTORS"


@pytest.mark.skipif(not CASES, reason=f"no golden vectors under {VECTORS}")
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_golden(case):
    model, want = checkpoint.read(case), load_file(case / "golden.safetensors")
    tolerance = json.loads((case / "golden.json").read_text())["tolerance"]["logits"]
    checked = 0
    for name, logits in want.items():
        if not (name.startswith("prompt_") and name.endswith("/logits")):
            continue
        prompt, loops = name.split("/")[0], int(name.split("/")[1].removeprefix("T_"))
        got = model(want[f"{prompt}/ids"][None], loops)[0, -len(logits) :]
        assert (got - logits).abs().max() <= tolerance, name
        checked += 1
    assert checked


def test_middle_looping_runs_the_ends_once():
    config = ModelConfig(
        vocab_size=9, hidden_size=16, intermediate_size=24, num_attention_heads=1,
        num_prelude_layers=1, num_loop_layers=2, num_coda_layers=1,
    )  # fmt: skip
    model = LoopedLlama(config)
    model.init_weights(torch.Generator().manual_seed(0))
    calls = [0] * config.num_hidden_layers
    for i, layer in enumerate(model.model.layers):
        layer.register_forward_hook(lambda *_, i=i: calls.__setitem__(i, calls[i] + 1))
    assert model(torch.tensor([[1, 2, 3]]), 5).shape == (1, 3, 9)
    assert calls == [1, 5, 5, 1]
