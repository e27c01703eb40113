package exporttest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/internal/measure/random"
)

// Published are checkpoints with the configs, tensor names, shapes and types of released models, by name: their weights
// are random, and so they say something of sizes and times alone.
func Published(name string) (*Checkpoint, error) {
	all := map[string]func() *Checkpoint{"ouro-1.4b": ouro14, "huginn-3.5b": huginn35}
	checkpoint, ok := all[name]
	if !ok {
		names := slices.Sorted(maps.Keys(all))
		return nil, fmt.Errorf("model %q has no published sizes here; choose %s", name, strings.Join(names, " or "))
	}
	return checkpoint(), nil
}

// ouro14 is ByteDance/Ouro-1.4B: 1,434,652,673 parameters in 269 tensors.
func ouro14() *Checkpoint {
	c := Size{
		Hidden: 2048, Heads: 16, KVHeads: 16, HeadDim: 128, FFN: 5632, Vocab: 49152, Context: 65536, Loop: 24, Loops: 4, Theta: 1e6,
	}.Ouro()
	layers := make([]string, 24)
	for i := range layers {
		layers[i] = "full_attention"
	}
	for key, v := range map[string]any{
		"architectures": []string{"OuroForCausalLM"}, "attention_dropout": 0.0, "early_exit_step": nil, "initializer_range": 0.02,
		"layer_types": layers, "max_window_layers": 24, "pad_token_id": 0, "sliding_window": nil, "torch_dtype": "bfloat16",
		"use_cache": true, "use_sliding_window": false,
	} {
		c.Config[key] = v
	}
	return c
}

// huginn35 is tomg-group-umd/huginn-0125: 3.565 billion parameters, and beside them the tied head's copy and the RoPE
// table, which is float32 in every file.
func huginn35() *Checkpoint {
	c := Size{
		Hidden: 5280, Heads: 55, HeadDim: 96, FFN: 17920, Vocab: 65536, Context: 4096, Prelude: 2, Loop: 4, Coda: 2, Loops: 32, Theta: 50000,
	}.Huginn()
	std := math.Sqrt(2.0 / (5 * 5280))
	for key, v := range map[string]any{
		"architectures": []string{"RavenForCausalLM"}, "head_dim": 96, "padding_multiple": 4096, "state_init": "like-init",
		"mean_backprop_depth": 8, "effective_expected_depth": 132, "init_orthogonal": false, "init_strategy": "takase",
		"sampling_scheme": "poisson-lognormal-filling", "test_time_noise_type": "fixed", "torch_dtype": "bfloat16",
		"init_values": map[string]any{
			"std": std, "out_proj": std / math.Sqrt(2*132), "embedding": std, "embed_scale": math.Sqrt(5280),
		},
	} {
		c.Config[key] = v
	}
	c.add(random.Matrix, "lm_head.weight", 65536, 5280)
	c.add(random.Buffer, "freqs_cis", 1, 4096, 1, 48, 2)
	return c
}
