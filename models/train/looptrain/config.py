"""The shape of a looped model, in the words of its Hugging Face config.json."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class ModelConfig:
    """p distinct layers, k layers applied L times, c distinct layers: (p, k⊗L, c)."""

    vocab_size: int
    hidden_size: int = 128
    intermediate_size: int = 352
    num_attention_heads: int = 8
    num_key_value_heads: int = 8
    head_dim: int = 16
    num_prelude_layers: int = 0
    num_loop_layers: int = 1
    num_coda_layers: int = 0
    num_loops: int = 8
    max_position_embeddings: int = 64
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10000.0

    @property
    def num_hidden_layers(self) -> int:
        return self.num_prelude_layers + self.num_loop_layers + self.num_coda_layers

    def to_hf(self, *, pad: int, eos: int, trained_loops: int, max_loops: int, auto: dict | None = None) -> dict:
        """config.json of model_type looped_llama, with hints to the exporter: loop limits, and what NAME@auto means."""
        hints = {"loops": {"min": 1, "default": self.num_loops, "trained": trained_loops, "max": max_loops}}
        if auto:
            hints["auto"] = auto
        return {
            "architectures": ["LoopedLlamaForCausalLM"],
            "attention_bias": False,
            "bos_token_id": None,
            "eos_token_id": eos,
            "pad_token_id": pad,
            "hidden_act": "silu",
            "mlp_bias": False,
            "model_type": "looped_llama",
            "num_hidden_layers": self.num_hidden_layers,
            "rope_scaling": None,
            "tie_word_embeddings": False,
            "torch_dtype": "float32",
            "use_cache": True,
            "loopserve": hints,
        } | asdict(self)

    @classmethod
    def from_hf(cls, config: dict) -> "ModelConfig":
        if config.get("model_type") != "looped_llama":
            raise ValueError(f"config.json: model_type is {config.get('model_type')!r}, want 'looped_llama'")
        return cls(**{name: config[name] for name in cls.__dataclass_fields__})
