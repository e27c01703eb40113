package export_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/measure/random"
)

// Size are the sizes of a checkpoint of one of the published families.
type Size struct {
	Hidden, Heads, KVHeads, HeadDim, FFN, Vocab, Context int
	Prelude, Loop, Coda, Loops                           int
	Theta                                                float64
}

// Checkpoint is a config with the tensors that it asks for: Write takes both.
type Checkpoint struct {
	Config  map[string]any
	Tensors []random.Tensor
}

func (c *Checkpoint) add(kind random.Kind, name string, shape ...int) {
	t := random.Tensor{Name: name, Kind: kind}
	for _, d := range shape {
		t.Shape = append(t.Shape, int64(d))
	}
	c.Tensors = append(c.Tensors, t)
}

// llama adds what families in Llama's names share; norms are each layer's.
func (s Size) llama(modelType string, norms ...string) *Checkpoint {
	c := &Checkpoint{Config: map[string]any{
		"model_type": modelType, "hidden_size": s.Hidden, "intermediate_size": s.FFN, "vocab_size": s.Vocab,
		"max_position_embeddings": s.Context, "num_attention_heads": s.Heads, "num_key_value_heads": s.KVHeads,
		"head_dim": s.HeadDim, "num_hidden_layers": s.Loop, "rms_norm_eps": 1e-6, "rope_theta": s.Theta, "rope_scaling": nil,
		"hidden_act": "silu", "tie_word_embeddings": false, "bos_token_id": 0, "eos_token_id": 0,
	}}
	q, kv := s.Heads*s.HeadDim, s.KVHeads*s.HeadDim
	c.add(random.Matrix, "model.embed_tokens.weight", s.Vocab, s.Hidden)
	c.add(random.Gain, "model.norm.weight", s.Hidden)
	c.add(random.Matrix, "lm_head.weight", s.Vocab, s.Hidden)
	for i := range s.Loop {
		at := fmt.Sprintf("model.layers.%d.", i)
		for _, norm := range norms {
			c.add(random.Gain, at+norm+".weight", s.Hidden)
		}
		c.add(random.Matrix, at+"self_attn.q_proj.weight", q, s.Hidden)
		c.add(random.Matrix, at+"self_attn.k_proj.weight", kv, s.Hidden)
		c.add(random.Matrix, at+"self_attn.v_proj.weight", kv, s.Hidden)
		c.add(random.Matrix, at+"self_attn.o_proj.weight", s.Hidden, q)
		c.add(random.Matrix, at+"mlp.gate_proj.weight", s.FFN, s.Hidden)
		c.add(random.Matrix, at+"mlp.up_proj.weight", s.FFN, s.Hidden)
		c.add(random.Matrix, at+"mlp.down_proj.weight", s.Hidden, s.FFN)
	}
	return c
}

// Families is a checkpoint of each family. The heads of looped_llama are twice as wide, so that all together are wider
// than the state; tied says that its embedding is the head, too.
func (s Size) Families(tied bool) map[string]*Checkpoint {
	llama := random.LoopedLlama{
		Hidden: s.Hidden, Heads: s.Heads, KVHeads: s.KVHeads, HeadDim: 2 * s.HeadDim, FFN: s.FFN, Vocab: s.Vocab,
		Context: s.Context, Prelude: s.Prelude, Loop: s.Loop, Coda: s.Coda, Loops: s.Loops, Theta: s.Theta, Tied: tied,
	}
	return map[string]*Checkpoint{
		"looped_llama": {Config: llama.Config(), Tensors: llama.Tensors()},
		"ouro":         s.Ouro(), "nanbeige": s.Nanbeige(), "huginn": s.Huginn(), "parcae": s.Parcae(),
		"retrofit llama": s.Retrofit(false), "retrofit olmo": s.Retrofit(true),
		"hrm": s.HRM(), "llama": s.Plain("llama"), "qwen2": s.Plain("qwen2"), "qwen3": s.Plain("qwen3"),
		"mistral": s.Plain("mistral"), "smollm3": s.Plain("smollm3"),
	}
}

// Ouro is an Ouro checkpoint of s.Loop layers.
func (s Size) Ouro() *Checkpoint {
	c := s.llama("ouro", "input_layernorm", "input_layernorm_2", "post_attention_layernorm", "post_attention_layernorm_2")
	c.Config["total_ut_steps"], c.Config["early_exit_threshold"] = s.Loops, 1.0
	c.add(random.Matrix, "model.early_exit_gate.weight", 1, s.Hidden)
	c.add(random.Vector, "model.early_exit_gate.bias", 1)
	return c
}

// Nanbeige is a Nanbeige4.2 checkpoint of s.Loop layers.
func (s Size) Nanbeige() *Checkpoint {
	c := s.llama("nanbeige", "input_layernorm", "post_attention_layernorm")
	c.Config["num_loops"], c.Config["skip_loop_final_norm"] = s.Loops, false
	return c
}

// Plain is an ordinary decoder of s.Loop layers, with all biases that its kind may have, and leave to repeat them.
func (s Size) Plain(modelType string) *Checkpoint {
	c := s.llama(modelType, "input_layernorm", "post_attention_layernorm")
	c.Config["loopserve"] = map[string]any{"loops": map[string]int{"max": s.Loops}}
	c.Config["sliding_window"], c.Config["use_sliding_window"], c.Config["max_window_layers"] = 5, true, s.Loop-1 // the last layer's
	switch modelType {
	case "llama":
		delete(c.Config, "sliding_window")
		delete(c.Config, "use_sliding_window")
	case "mistral":
		delete(c.Config, "use_sliding_window")
		return c
	case "smollm3":
		turned := make([]int, s.Loop) // all but the last layer
		for i := range s.Loop - 1 {
			turned[i] = 1
		}
		c.Config["no_rope_layers"] = turned
	}
	for i := range s.Loop {
		at := fmt.Sprintf("model.layers.%d.", i)
		c.add(random.Vector, at+"self_attn.q_proj.bias", s.Heads*s.HeadDim)
		c.add(random.Vector, at+"self_attn.k_proj.bias", s.KVHeads*s.HeadDim)
		c.add(random.Vector, at+"self_attn.v_proj.bias", s.KVHeads*s.HeadDim)
		if modelType != "qwen2" {
			c.Config["attention_bias"] = true
			c.add(random.Vector, at+"self_attn.o_proj.bias", s.Hidden)
		}
		switch modelType {
		case "llama", "smollm3":
			c.Config["mlp_bias"] = true
			c.add(random.Vector, at+"mlp.gate_proj.bias", s.FFN)
			c.add(random.Vector, at+"mlp.up_proj.bias", s.FFN)
			c.add(random.Vector, at+"mlp.down_proj.bias", s.Hidden)
		case "qwen3":
			c.add(random.Gain, at+"self_attn.q_norm.weight", s.HeadDim)
			c.add(random.Gain, at+"self_attn.k_norm.weight", s.HeadDim)
		}
	}
	return c
}

// HRM is an HRM-Text checkpoint in the release's names, two passes of stack L in a loop; its prompts are read in one direction.
func (s Size) HRM() *Checkpoint {
	c := &Checkpoint{Config: map[string]any{
		"model_type": "hrm_text", "hidden_size": s.Hidden, "intermediate_size": s.FFN, "vocab_size": s.Vocab,
		"max_position_embeddings": s.Context, "num_attention_heads": s.Heads, "num_key_value_heads": s.KVHeads, "head_dim": s.HeadDim,
		"num_hidden_layers": s.Loop, "H_cycles": s.Loops, "L_cycles": 2, "L_bp_steps": []int{0, 2}, "embedding_scale": 3.0,
		"rms_norm_eps": 1e-6, "rope_theta": s.Theta, "prefix_lm": false, "bos_token_id": 0, "eos_token_id": 0,
	}}
	q := s.Heads * s.HeadDim
	c.add(random.Matrix, "model.embed_tokens.weight", s.Vocab, s.Hidden)
	c.add(random.Vector, "model.z_L_init", s.Hidden)
	c.add(random.Matrix, "lm_head.weight", s.Vocab, s.Hidden)
	for _, stack := range []string{"L", "H"} {
		for i := range s.Loop {
			at := fmt.Sprintf("model.%s_module.layers.%d.", stack, i)
			c.add(random.Matrix, at+"attn.gqkv_proj.weight", 4*q, s.Hidden)
			c.add(random.Matrix, at+"attn.o_proj.weight", s.Hidden, q)
			c.add(random.Matrix, at+"mlp.gate_up_proj.weight", 2*s.FFN, s.Hidden)
			c.add(random.Matrix, at+"mlp.down_proj.weight", s.Hidden, s.FFN)
		}
	}
	return c
}

// raven adds what Huginn and the retrofits share.
func (s Size) raven(norms, headDim int) *Checkpoint {
	c := &Checkpoint{Config: map[string]any{
		"model_type": "huginn_raven", "n_embd": s.Hidden, "intermediate_size": s.FFN, "vocab_size": s.Vocab,
		"padded_vocab_size": s.Vocab, "block_size": s.Context, "n_heads": s.Heads, "num_attention_heads": s.Heads,
		"num_key_value_heads": s.KVHeads, "n_layers_in_prelude": s.Prelude, "n_layers_in_recurrent_block": s.Loop,
		"n_layers_in_coda": s.Coda, "n_layers": s.Prelude + s.Loop + s.Coda, "mean_recurrence": s.Loops, "norm_eps": 1e-6,
		"rope_base": 50000, "injection_type": "linear", "bias": false, "nonlin_name": "SiLU", "mlp_class_name": "GatedMLP",
		"block_class_name": "SandwichBlock", "norm_class_name": "RMSNorm_llama", "test_time_noise": 0, "qk_bias": false,
		"init_values": map[string]any{"embed_scale": 1.0},
	}}
	q, kv := s.Heads*headDim, s.KVHeads*headDim
	c.add(random.Matrix, "transformer.wte.weight", s.Vocab, s.Hidden)
	c.add(random.Matrix, "transformer.adapter.weight", s.Hidden, 2*s.Hidden)
	c.add(random.Gain, "transformer.ln_f.weight", s.Hidden)
	s.stages(func(at string, _ int) {
		for i := range norms {
			c.add(random.Gain, fmt.Sprintf("%snorm_%d.weight", at, i+1), s.Hidden)
		}
		c.add(random.Matrix, at+"attn.Wqkv.weight", q+2*kv, s.Hidden)
		c.add(random.Matrix, at+"attn.proj.weight", s.Hidden, q)
		c.add(random.Matrix, at+"mlp.fc.weight", 2*s.FFN, s.Hidden)
		c.add(random.Matrix, at+"mlp.proj.weight", s.Hidden, s.FFN)
	})
	return c
}

// stages calls each for every layer with its prefix, and its index among all.
func (s Size) stages(each func(at string, global int)) {
	global := 0
	for _, stage := range []struct {
		name string
		n    int
	}{{"prelude", s.Prelude}, {"core_block", s.Loop}, {"coda", s.Coda}} {
		for i := range stage.n {
			each(fmt.Sprintf("transformer.%s.%d.", stage.name, i), global)
			global++
		}
	}
}

// Huginn is a Huginn checkpoint: multi-head, tied, with a bias on query and key.
func (s Size) Huginn() *Checkpoint {
	s.KVHeads = s.Heads
	c := s.raven(4, s.Hidden/s.Heads)
	c.Config["qk_bias"], c.Config["tie_embeddings"] = true, true
	c.Config["init_values"] = map[string]any{"embed_scale": math.Sqrt(float64(s.Hidden))}
	s.stages(func(at string, _ int) { c.add(random.Vector, at+"attn.qk_bias", 2, 1, s.Heads, s.Hidden/s.Heads) })
	return c
}

// Retrofit is a recurrent Llama, or an OLMo, whose heads may be wider than the state's share.
func (s Size) Retrofit(olmo bool) *Checkpoint {
	headDim := s.Hidden / s.Heads
	if olmo {
		headDim *= 2
	}
	c := s.raven(2, headDim)
	c.Config["tie_embeddings"], c.Config["rope_theta"] = false, s.Theta
	c.add(random.Matrix, "lm_head.weight", s.Vocab, s.Hidden)
	if !olmo {
		c.Config["rope_scaling"] = map[string]any{
			"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
		}
		return c
	}
	c.Config["head_dim"] = headDim
	s.stages(func(at string, _ int) {
		c.add(random.Gain, at+"attn.q_norm.weight", s.Heads*headDim)
		c.add(random.Gain, at+"attn.k_norm.weight", s.KVHeads*headDim)
	})
	return c
}

// Parcae is a Parcae checkpoint with value embeddings on the odd layers, and wider MLPs in the core.
func (s Size) Parcae() *Checkpoint {
	s.KVHeads = s.Heads
	c := &Checkpoint{Config: map[string]any{
		"_class_name": "ParcaeConfig", "n_embd": s.Hidden, "intermediate_size": s.FFN, "vocab_size": s.Vocab,
		"block_size": s.Context, "num_attention_heads": s.Heads, "n_layers_in_prelude": s.Prelude,
		"n_layers_in_recurrent_block": s.Loop, "n_layers_in_coda": s.Coda, "mean_recurrence": s.Loops, "norm_eps": 1e-5,
		"rope_settings": map[string]any{"use_rope": true, "rope_condense_ratio": 1, "rope_base": s.Theta},
		"recurrent_intermediation_embedding_dimension": 2 * s.FFN,
		"prelude_norm": true, "injection_type": "diagonal", "qk_norm": true, "tie_embeddings": true,
	}}
	c.add(random.Matrix, "transformer.wte.weight", s.Vocab, s.Hidden)
	for _, name := range []string{"ln_prelude", "ln_f"} {
		c.add(random.Gain, "transformer."+name+".weight", s.Hidden)
	}
	c.add(random.Matrix, "transformer.C.weight", s.Hidden, s.Hidden)
	c.add(random.Matrix, "transformer.adapter.B", s.Hidden, s.Hidden)
	c.add(random.Vector, "transformer.adapter.A_log", s.Hidden)
	c.add(random.Vector, "transformer.adapter.dt_bias", s.Hidden)
	s.stages(func(at string, global int) {
		for _, name := range []string{"norm_1", "norm_2"} {
			c.add(random.Gain, at+name+".weight", s.Hidden)
		}
		for _, name := range []string{"c_q", "c_k", "c_v", "c_proj"} {
			c.add(random.Matrix, at+"attn."+name+".weight", s.Hidden, s.Hidden)
		}
		ffn := s.FFN
		if global >= s.Prelude && global < s.Prelude+s.Loop {
			ffn *= 2
		}
		c.add(random.Matrix, at+"mlp.fc.weight", ffn, s.Hidden)
		c.add(random.Matrix, at+"mlp.proj.weight", s.Hidden, ffn)
		if global%2 == 1 {
			c.add(random.Matrix, at+"attn.ve_gate.weight", s.Heads, min(32, s.Hidden))
			c.add(random.Vector, fmt.Sprintf("value_embeds.%d.weight", global), s.Vocab, s.Hidden)
		}
	})
	return c
}

// everyFamily is a random checkpoint of each family, at sizes that both the CPU's and CUDA's attention take.
func everyFamily() map[string]*Checkpoint {
	s := Size{
		Hidden: 96, Heads: 6, KVHeads: 3, HeadDim: 16, FFN: 128, Vocab: 80, Context: 64, Prelude: 1, Loop: 2, Coda: 1, Loops: 4, Theta: 10000,
	}
	all := s.Families(false)
	all["loopformer"], all["dory"] = s.LoopFormer(), s.Dory()
	return all
}

// LoopFormer is a LoopFormer checkpoint of s.Loop layers, with all biases.
func (s Size) LoopFormer() *Checkpoint {
	d := s.Hidden
	c := &Checkpoint{Config: map[string]any{
		"model_type": "loopformer", "n_embd": d, "n_head": s.Heads, "n_layer": s.Loop, "n_inner": s.FFN, "vocab_size": s.Vocab,
		"n_positions": s.Context, "bias": true,
	}}
	c.add(random.Matrix, "lm_head.weight", s.Vocab, d) // one of the tied pair
	c.add(random.Matrix, "transformer.wpe.weight", s.Context, d)
	c.add(random.Gain, "transformer.norm_f.weight", d)
	affine := func(name string, out, in int) {
		c.add(random.Matrix, name+".weight", out, in)
		c.add(random.Vector, name+".bias", out)
	}
	for _, name := range []string{"time_embedder", "dt_embedder"} {
		affine(name+".mlp.0", d, 256)
		affine(name+".mlp.2", d, d)
	}
	for i := range s.Loop {
		at := fmt.Sprintf("transformer.h.blocks.%d.", i)
		affine(at+"adaLN_modulation.1", 4*d, d)
		affine(at+"attn.c_attn", 3*d, d)
		affine(at+"attn.c_proj", d, d)
		affine(at+"mlp.c_fc", s.FFN, d)
		affine(at+"mlp.c_proj", d, s.FFN)
	}
	return c
}

// Dory is a Dory checkpoint as transformers saves it, with the second set of keys alone.
func (s Size) Dory() *Checkpoint {
	n := s.Prelude + s.Loop + s.Coda
	c := &Checkpoint{Config: map[string]any{
		"model_type": "dory", "hidden_size": s.Hidden, "intermediate_size": s.FFN, "vocab_size": s.Vocab, "max_position_embeddings": s.Context,
		"num_attention_heads": s.Heads, "num_key_value_heads": s.KVHeads, "attention_head_dim": s.HeadDim, "swa_window_size": 8,
		"hybrid_layer_pattern": strings.Repeat("S-*-", n/2), "num_hidden_layers": 2 * n, "n_input_layers": 2 * s.Prelude, "n_output_layers": 2 * s.Coda,
		"n_recurrent_loops": s.Loops, "init_method_std": 1.0, "ngpt_alpha_init": 0.2,
		"rope_theta": s.Theta, "rope_theta_2": 100 * s.Theta, "rope_profile_layers": slices.Repeat([]int{1, 1, 2, 2}, n/2),
	}}
	q, kv := s.Heads*s.HeadDim, s.KVHeads*s.HeadDim
	c.add(random.Matrix, "backbone.embeddings.weight", s.Vocab, s.Hidden)
	c.add(random.Matrix, "lm_head.weight", s.Vocab, s.Hidden)
	c.add(random.Gain, "lm_head.logit_scale", s.Vocab)
	for i := range n {
		at := fmt.Sprintf("backbone.layers.%d.", i)
		for name, out := range map[string]int{"q": q, "k": kv, "v": kv, "g": q} {
			c.add(random.Matrix, at+"self_attn."+name+"_proj.weight", out, s.Hidden)
		}
		c.add(random.Matrix, at+"self_attn.o_proj.weight", s.Hidden, q)
		c.add(random.Matrix, at+"mlp.gate_proj.weight", s.FFN, s.Hidden)
		c.add(random.Matrix, at+"mlp.up_proj.weight", s.FFN, s.Hidden)
		c.add(random.Matrix, at+"mlp.down_proj.weight", s.Hidden, s.FFN)
		for name, width := range map[string]int{
			"self_attn.sqk": q, "self_attn.s_gate": q, "mlp.suv_gate": s.FFN, "mlp.suv_up": s.FFN, "lambda_1": s.Hidden, "lambda_2": s.Hidden,
		} {
			c.add(random.Gain, at+name, width)
		}
	}
	return c
}

// written puts a checkpoint in a folder.
func written(t testing.TB, c *Checkpoint, dtype string) string {
	t.Helper()
	dir := t.TempDir()
	if err := random.Write(dir, c.Config, c.Tensors, dtype, 7); err != nil {
		t.Fatal(err)
	}
	return dir
}
