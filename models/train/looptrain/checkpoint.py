"""A Hugging Face folder: what `loopserve export` reads."""

import json
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import load_file, save_file

from .config import ModelConfig
from .model import LoopedLlama
from .task import Task
from .tokenizer import CharTokenizer


def write(model: LoopedLlama, tokens: CharTokenizer, folder: Path, **hints) -> None:
    """hints: trained_loops, max_loops and auto of ModelConfig.to_hf."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "config.json": model.config.to_hf(pad=tokens.PAD, eos=tokens.EOS, **hints),
        "generation_config.json": {"eos_token_id": tokens.EOS, "pad_token_id": tokens.PAD, "do_sample": False},
        "tokenizer.json": tokens.to_hf(),
        "tokenizer_config.json": tokens.config_to_hf(model.config.max_position_embeddings),
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    weights = {k: v.detach().contiguous() for k, v in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def read(folder: Path) -> LoopedLlama:
    config = ModelConfig.from_hf(json.loads((folder / "config.json").read_text()))
    model = LoopedLlama(config)
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    return model.requires_grad_(False)


def write_problems(task: Task, path: Path, count: int, seed: int = 1) -> None:
    """`count` held-out problems, spread over the groups, as `loopserve eval` reads them."""
    groups = task.groups()
    with path.open("w") as out:
        for i, group in enumerate(groups):
            for problem in task.problems(group, count // len(groups) + (i < count % len(groups)), seed):
                out.write(json.dumps(asdict(problem)) + "\n")
