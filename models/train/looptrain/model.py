"""LoopedLlama: a Llama decoder whose middle layers are applied several times with the same weights.

h = E[ids]; the first p layers once; the next k layers `loops` times; the last c once; then `model.norm` once and
an untied `lm_head`. Pre-norm, RoPE on halves, SwiGLU, no bias, nothing injected between loops. Parameter names are
Llama's, so `state_dict()` is the checkpoint.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import ModelConfig


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], self.weight, self.eps)


def rope_tables(positions: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """cos and sin, [len(positions), head_dim]; the two halves of the last axis are equal."""
    inverse = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angles = torch.outer(positions.double(), inverse).repeat(1, 2)
    return angles.cos().float(), angles.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Attention(nn.Module):
    def __init__(self, c: ModelConfig):
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = c.num_attention_heads, c.num_key_value_heads, c.head_dim
        self.q_proj = nn.Linear(c.hidden_size, self.heads * self.head_dim, bias=False)
        self.k_proj = nn.Linear(c.hidden_size, self.kv_heads * self.head_dim, bias=False)
        self.v_proj = nn.Linear(c.hidden_size, self.kv_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(self.heads * self.head_dim, c.hidden_size, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        batch, length, _ = x.shape
        q = self.q_proj(x).view(batch, length, self.heads, self.head_dim).transpose(1, 2)
        k = self.k_proj(x).view(batch, length, self.kv_heads, self.head_dim).transpose(1, 2)
        v = self.v_proj(x).view(batch, length, self.kv_heads, self.head_dim).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if self.kv_heads != self.heads:
            k = k.repeat_interleave(self.heads // self.kv_heads, dim=1)
            v = v.repeat_interleave(self.heads // self.kv_heads, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.o_proj(y.transpose(1, 2).reshape(batch, length, -1))


class MLP(nn.Module):
    def __init__(self, c: ModelConfig):
        super().__init__()
        self.gate_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.up_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.down_proj = nn.Linear(c.intermediate_size, c.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c: ModelConfig):
        super().__init__()
        self.self_attn = Attention(c)
        self.mlp = MLP(c)
        self.input_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)

    def forward(self, h: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        h = h + self.self_attn(self.input_layernorm(h), cos, sin, mask)
        return h + self.mlp(self.post_attention_layernorm(h))


class Decoder(nn.Module):
    """Holds the parameters under Llama's `model.` prefix."""

    def __init__(self, c: ModelConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(c.vocab_size, c.hidden_size)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.num_hidden_layers))
        self.norm = RMSNorm(c.hidden_size, c.rms_norm_eps)


class LoopedLlama(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def init_weights(self, generator: torch.Generator) -> None:
        """Unit embeddings and fan-in matrices; branch outputs start small so that many loops stay tame."""
        for name, p in self.named_parameters():
            if p.ndim != 2:
                continue
            std = 1.0 if "embed_tokens" in name else p.shape[1] ** -0.5
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                std *= 0.3
            nn.init.normal_(p, std=std, generator=generator)

    def states(
        self, ids: Tensor, loops: int, positions: Tensor | None = None, mask: Tensor | None = None
    ) -> list[Tensor]:
        """The residual stream [batch, length, hidden] before the first loop and after each; loops + 1 of them.

        positions [length] and mask (True = may attend, [length, length]) default to a plain causal sequence; the
        coda is not applied (see `read`).
        """
        rope_and_mask = self._rope_and_mask(ids.shape[1], positions, mask)
        p, k = self.config.num_prelude_layers, self.config.num_loop_layers
        h = self.model.embed_tokens(ids)
        for layer in self.model.layers[:p]:
            h = layer(h, *rope_and_mask)
        states = [h]
        for _ in range(loops):
            for layer in self.model.layers[p : p + k]:
                h = layer(h, *rope_and_mask)
            states.append(h)
        return states

    def read(self, h: Tensor, positions: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """What the head is applied to: coda and final norm on a state of the loop."""
        coda = self.model.layers[self.config.num_prelude_layers + self.config.num_loop_layers :]
        if len(coda):
            rope_and_mask = self._rope_and_mask(h.shape[1], positions, mask)
            for layer in coda:
                h = layer(h, *rope_and_mask)
        return self.model.norm(h)

    def forward(self, ids: Tensor, loops: int | None = None) -> Tensor:
        """Logits [batch, length, vocab] of plain causal sequences after `loops` loops."""
        return self.lm_head(self.read(self.states(ids, loops or self.config.num_loops)[-1]))

    def _rope_and_mask(self, length: int, positions: Tensor | None, mask: Tensor | None):
        if positions is None:
            positions = torch.arange(length)
        if mask is None:
            mask = torch.ones(length, length, dtype=torch.bool).tril()
        cos, sin = rope_tables(positions, self.config.head_dim, self.config.rope_theta)
        return cos, sin, mask
