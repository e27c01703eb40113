package random

import (
	"cmp"
	"fmt"
)

// LoopedLlama are the sizes of a looped_llama checkpoint. A zero KVHeads is Heads, a zero HeadDim Hidden/Heads, a
// zero Context 512, a zero Loops 4.
type LoopedLlama struct {
	Hidden, Heads, KVHeads, HeadDim, FFN, Vocab, Context int
	Prelude, Loop, Coda, Loops                           int
	Tied                                                 bool
	Theta                                                float64 // 0: 10000
	DType                                                string  // "": F32
}

func (s LoopedLlama) withDefaults() LoopedLlama {
	s.KVHeads = cmp.Or(s.KVHeads, s.Heads)
	s.HeadDim = cmp.Or(s.HeadDim, s.Hidden/max(1, s.Heads))
	s.Context, s.Loops = cmp.Or(s.Context, 512), cmp.Or(s.Loops, 4)
	s.Theta, s.DType = cmp.Or(s.Theta, 10000), cmp.Or(s.DType, "F32")
	return s
}

// Config is what stands in config.json.
func (s LoopedLlama) Config() map[string]any {
	s = s.withDefaults()
	return map[string]any{
		"model_type": "looped_llama", "architectures": []string{"LoopedLlamaForCausalLM"},
		"hidden_size": s.Hidden, "intermediate_size": s.FFN, "vocab_size": s.Vocab, "max_position_embeddings": s.Context,
		"num_attention_heads": s.Heads, "num_key_value_heads": s.KVHeads, "head_dim": s.HeadDim,
		"num_prelude_layers": s.Prelude, "num_loop_layers": s.Loop, "num_coda_layers": s.Coda,
		"num_hidden_layers": s.Prelude + s.Loop + s.Coda, "num_loops": s.Loops,
		"rms_norm_eps": 1e-5, "rope_theta": s.Theta, "rope_scaling": nil, "hidden_act": "silu",
		"attention_bias": false, "mlp_bias": false, "tie_word_embeddings": s.Tied, "bos_token_id": 1, "eos_token_id": 2,
	}
}

// Tensors are those that the config asks for.
func (s LoopedLlama) Tensors() []Tensor {
	s = s.withDefaults()
	d, q, kv, f := int64(s.Hidden), int64(s.Heads*s.HeadDim), int64(s.KVHeads*s.HeadDim), int64(s.FFN)
	tensors := []Tensor{
		{"model.embed_tokens.weight", Matrix, []int64{int64(s.Vocab), d}},
		{"model.norm.weight", Gain, []int64{d}},
	}
	if !s.Tied {
		tensors = append(tensors, Tensor{"lm_head.weight", Matrix, []int64{int64(s.Vocab), d}})
	}
	for i := range s.Prelude + s.Loop + s.Coda {
		for _, t := range []Tensor{
			{"input_layernorm", Gain, []int64{d}},
			{"post_attention_layernorm", Gain, []int64{d}},
			{"self_attn.q_proj", Matrix, []int64{q, d}},
			{"self_attn.k_proj", Matrix, []int64{kv, d}},
			{"self_attn.v_proj", Matrix, []int64{kv, d}},
			{"self_attn.o_proj", Matrix, []int64{d, q}},
			{"mlp.gate_proj", Matrix, []int64{f, d}},
			{"mlp.up_proj", Matrix, []int64{f, d}},
			{"mlp.down_proj", Matrix, []int64{d, f}},
		} {
			t.Name = fmt.Sprintf("model.layers.%d.%s.weight", i, t.Name)
			tensors = append(tensors, t)
		}
	}
	return tensors
}

// Write makes the checkpoint in dir.
func (s LoopedLlama) Write(dir string, seed uint64) error {
	s = s.withDefaults()
	return Write(dir, s.Config(), s.Tensors(), s.DType, seed)
}
