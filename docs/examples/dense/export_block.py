"""Exports a small looped PyTorch model to a bundle of the kind `dense`, which `loopserve serve` serves.

    python3 -m venv .venv && .venv/bin/pip install torch onnx onnxscript
    .venv/bin/python export_block.py OUT [--hidden 64] [--seed 1]

Everything that a model of your own needs is here: three modules (prelude, block, coda), one
torch.onnx.export each, a tokenizer.json, and manifest.json. OUT/golden gets what PyTorch itself answers.
The weights are random, the text it writes means nothing: replace Prelude, Block and Coda by your own.
"""

import argparse
import hashlib
import json
import pathlib

import onnx
import torch
from torch import nn
from torch.nn import functional as F

SYMBOLS = list("abcdefghijklmnopqrstuvwxyz ,.!")
VOCAB = ["<pad>", "<eos>", *SYMBOLS]
CONTEXT, LOOPS = 64, {"min": 1, "default": 4, "trained": 4, "max": 8}


class Prelude(nn.Module):
    """Tokens and their places to the state before the first loop. No row sees another: manifest prelude.layers = 0."""

    def __init__(self, hidden):
        super().__init__()
        self.token = nn.Embedding(len(VOCAB), hidden)
        self.place = nn.Embedding(CONTEXT, hidden)

    def forward(self, input_ids, position_ids):
        return self.token(input_ids) + self.place(position_ids)


class Block(nn.Module):
    """The looped layer: [batch, seq, hidden] to the same. Causal: a row must not depend on later ones."""

    def __init__(self, hidden, heads=4):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.qkv, self.out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.up, self.down = nn.Linear(hidden, 2 * hidden), nn.Linear(2 * hidden, hidden)

    def forward(self, hidden):
        batch, seq, d = hidden.shape
        q, k, v = self.qkv(self.norm1(hidden)).view(batch, seq, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        hidden = hidden + self.out(a.transpose(1, 2).reshape(batch, seq, d))
        return hidden + self.down(F.gelu(self.up(self.norm2(hidden))))


class Coda(nn.Module):
    """The state after the last loop to logits. No row sees another: manifest coda.layers = 0."""

    def __init__(self, hidden):
        super().__init__()
        self.norm, self.head = nn.LayerNorm(hidden), nn.Linear(hidden, len(VOCAB), bias=False)

    def forward(self, hidden):
        return self.head(self.norm(hidden))


def export(module, path, inputs, output):
    """One graph. Batch and length are dynamic; the example has 2 and 5 of them."""
    axes = {0: "batch", 1: "seq"}
    torch.onnx.export(
        module, tuple(inputs.values()), str(path), dynamo=True, external_data=False, verbose=False,
        input_names=list(inputs), output_names=[output], dynamic_shapes={name: axes for name in inputs},
    )
    model = onnx.load(path)
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, model.graph, model):
        del part.metadata_props[:]  # stack traces: they say where your files are
    onnx.save(model, path)


def tokenizer():
    """One token for each character: the `tokenizer.json` of Hugging Face's tokenizers, by hand."""
    special = [
        {"id": i, "content": VOCAB[i], "special": True, "normalized": False}
        | dict.fromkeys(["single_word", "lstrip", "rstrip"], False)
        for i in range(2)
    ]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[\\s\\S]"}, "behavior": "Isolated", "invert": False},
        "post_processor": None, "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": {s: i for i, s in enumerate(VOCAB)}, "unk_token": "<pad>"},
    }


def manifest(name, hidden, out):
    """The contract: docs/bundle-format.md explains each field."""
    files = {
        p.name: {"sha256": hashlib.sha256(p.read_bytes()).hexdigest(), "size": p.stat().st_size}
        for p in sorted(out.iterdir()) if p.is_file() and p.name != "manifest.json"
    }
    return {
        "manifest_version": 1, "name": name, "kind": "dense", "family": "example",
        "source": {"model_type": "example", "exporter": "export_block.py"},
        "hidden_size": hidden, "vocab_size": len(VOCAB), "context": CONTEXT,
        "prelude": {"file": "prelude.onnx", "layers": 0},
        "block": {"file": "block.onnx", "layers": 1},
        "coda": {"file": "coda.onnx", "layers": 0},
        "loops": LOOPS, "state": {"kind": "prelude"}, "inject": False, "kv_policies": ["depth"],
        "precision": {"activations": "f32", "weights": "f32", "embedding": "f32", "head": "f32"},
        "tokens": {"pad": 0, "stop": [1]},
        "files": files,
    }


def answers(prelude, block, coda, texts, loops=(1, 4, 8), new=12):
    """What PyTorch itself answers, under the names that `loopserve verify --golden` reads: each prompt's logits at each
    number of loops, the states after each loop, and greedy continuations of the second prompt."""
    def run(ids, n):
        states = [prelude(ids[None], torch.arange(len(ids))[None])]
        for _ in range(n):
            states.append(block(states[-1]))
        return coda(states[-1])[0], [s[0] for s in states]

    tensors = {}
    for i, text in enumerate(texts):
        ids = torch.tensor([VOCAB.index(c) for c in text])
        tensors[f"prompt_{i}/ids"] = ids
        for n in loops:
            logits, states = run(ids, n)
            tensors[f"prompt_{i}/T_{n}/logits"] = logits
            tensors |= {f"prompt_{i}/T_{n}/hidden_step_{t}": s for t, s in enumerate(states)}
    for n in loops:
        ids, rows = tensors["prompt_1/ids"], []
        for _ in range(new):
            rows.append(run(ids, n)[0][-1])
            ids = torch.cat([ids, rows[-1].argmax()[None]])
        rows = torch.stack(rows)
        top = rows.topk(2).values
        margin = top[:, 0] - top[:, 1]
        tensors |= {f"greedy/T_{n}/{k}": v for k, v in (("tokens", ids[-new:]), ("logits", rows), ("margin", margin))}
    return tensors


def write_answers(tensors, out):
    """The safetensors format, by hand: the length of a JSON header, the header, the numbers."""
    header, data = {}, b""
    for name, t in sorted(tensors.items()):
        raw = t.contiguous().numpy().tobytes()
        dtype = "I64" if t.dtype == torch.long else "F32"
        header[name] = {"dtype": dtype, "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    (out / "golden.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    largest = {kind: max(float(t.abs().max()) for name, t in tensors.items() if kind in name) for kind in ("logits", "hidden")}
    tolerance = {kind: 1e-5 * max(1, largest[kind]) for kind in largest}  # float32 sums in another order
    (out / "golden.json").write_text(json.dumps({"family": "example", "tolerance": tolerance}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    prelude, block, coda = (m(args.hidden).eval() for m in (Prelude, Block, Coda))
    for p in block.parameters():
        p.data *= 2  # so that each loop matters, at random weights
    golden = args.out / "golden"
    golden.mkdir(parents=True, exist_ok=True)

    ids, places = torch.zeros(2, 5, dtype=torch.long), torch.ones(2, 5, dtype=torch.long)  # never one tensor for two inputs
    hidden = torch.zeros(2, 5, args.hidden)
    with torch.no_grad():
        export(prelude, args.out / "prelude.onnx", {"input_ids": ids, "position_ids": places}, "hidden")
        export(block, args.out / "block.onnx", {"hidden": hidden}, "hidden_out")
        export(coda, args.out / "coda.onnx", {"hidden": hidden}, "logits")
        write_answers(answers(prelude, block, coda, ["a", "hello, loops", "a block that is applied again and again."]), golden)
    (args.out / "tokenizer.json").write_text(json.dumps(tokenizer(), indent=1))
    (args.out / "manifest.json").write_text(json.dumps(manifest("example", args.hidden, args.out), indent=2))
    print(f"now: loopserve verify {args.out} --golden {golden}; loopserve serve --models {args.out}")


if __name__ == "__main__":
    main()
