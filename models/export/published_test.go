package export_test

import (
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/measure/random"
)

var checkpointTo = flag.String("checkpoint", "", "checkpoint that TestBigCheckpoint writes: NAME=FOLDER, such as ouro-1.4b=FOLDER; an unknown NAME lists all")

// TestBigCheckpoint writes a random checkpoint of a released model's exact size, to measure exports of that size:
//
//	go test ./models/export -run BigCheckpoint -timeout 0 -checkpoint ouro-1.4b=$PWD/ouro
//
// It streams: its own memory is that of one row. Without a checkpoint there is nothing to write.
func TestBigCheckpoint(t *testing.T) {
	if *checkpointTo == "" {
		return
	}
	name, dir, _ := strings.Cut(*checkpointTo, "=")
	c, err := published(name)
	if err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(dir) {
		t.Fatalf("folder %q: a test has a working directory of its own: give an absolute path", dir)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Fatalf("%s is there already", dir)
	}
	const shard = 1 << 30
	if err := writeShards(dir, c.Config, c.Tensors, "BF16", 1, shard); err != nil {
		t.Fatal(err)
	}
}

// published are checkpoints with the configs, tensor names, shapes and types of released models, by name: their weights
// are random, and so they say something of sizes and times alone.
func published(name string) (*Checkpoint, error) {
	all := map[string]func() *Checkpoint{
		"ouro-1.4b": ouro14, "ouro-2.6b": ouro26, "huginn-3.5b": huginn35, "retrofit-llama-1b": retrofit1, "nanbeige-3b": nanbeige3, "hrm-text-1b": hrm1,
		"qwen3-4b": qwen4, "dory-4b": dory4, "loopformer-3x8": loopFormer3, "parcae-1.3b": parcae13, "smollm2-135m": smolLM2,
	}
	checkpoint, ok := all[name]
	if !ok {
		names := slices.Sorted(maps.Keys(all))
		return nil, fmt.Errorf("model %q has no published sizes here; choose %s", name, strings.Join(names, " or "))
	}
	return checkpoint(), nil
}

// ouro14 is ByteDance/Ouro-1.4B: 1,434,652,673 parameters in 269 tensors.
func ouro14() *Checkpoint { return ouroOf(24) }

// ouro26 is ByteDance/Ouro-2.6B: twice the layers.
func ouro26() *Checkpoint { return ouroOf(48) }

func ouroOf(n int) *Checkpoint {
	c := Size{
		Hidden: 2048, Heads: 16, KVHeads: 16, HeadDim: 128, FFN: 5632, Vocab: 49152, Context: 65536, Loop: n, Loops: 4, Theta: 1e6,
	}.Ouro()
	layers := make([]string, n)
	for i := range layers {
		layers[i] = "full_attention"
	}
	for key, v := range map[string]any{
		"architectures": []string{"OuroForCausalLM"}, "attention_dropout": 0.0, "early_exit_step": nil, "initializer_range": 0.02,
		"layer_types": layers, "max_window_layers": n, "pad_token_id": 0, "sliding_window": nil, "torch_dtype": "bfloat16",
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

// retrofit1 is smcleish/Recurrent-Llama-3.2-train-recurrence-16: 4, 6 and 4 of Llama-3.2-1B's layers.
func retrofit1() *Checkpoint {
	return Size{
		Hidden: 2048, Heads: 32, KVHeads: 8, FFN: 8192, Vocab: 128256, Context: 1024, Prelude: 4, Loop: 6, Coda: 4, Loops: 16, Theta: 500000,
	}.Retrofit(false)
}

// nanbeige3 is Nanbeige/Nanbeige4.2-3B: 4.17 billion parameters.
func nanbeige3() *Checkpoint {
	return Size{
		Hidden: 3072, Heads: 48, KVHeads: 8, HeadDim: 128, FFN: 10752, Vocab: 166144, Context: 262144, Loop: 22, Loops: 2, Theta: 7e7,
	}.Nanbeige()
}

// parcae13 is SandyResearch/parcae-1.3b.
func parcae13() *Checkpoint {
	c := Size{Hidden: 1536, Heads: 12, FFN: 6144, Vocab: 32768, Context: 2048, Prelude: 8, Loop: 8, Coda: 8, Loops: 8, Theta: 50000}.Parcae()
	c.Config["recurrent_intermediation_embedding_dimension"] = 6144
	for _, t := range c.Tensors {
		if strings.HasPrefix(t.Name, "transformer.core_block.") {
			for i, n := range t.Shape {
				t.Shape[i] = min(n, 6144)
			}
		}
	}
	return c
}

// smolLM2 is HuggingFaceTB/SmolLM2-135M-Instruct, tied.
func smolLM2() *Checkpoint {
	c := Size{Hidden: 576, Heads: 9, KVHeads: 3, HeadDim: 64, FFN: 1536, Vocab: 49152, Context: 8192, Loop: 30, Loops: 1, Theta: 1e5}.llama(
		"llama", "input_layernorm", "post_attention_layernorm")
	c.Config["tie_word_embeddings"] = true
	c.Tensors = slices.DeleteFunc(c.Tensors, func(t random.Tensor) bool { return t.Name == "lm_head.weight" })
	return c
}

// hrm1 is sapientinc/HRM-Text-1B: 1,182,795,264 parameters.
func hrm1() *Checkpoint {
	c := Size{Hidden: 1536, Heads: 12, KVHeads: 12, HeadDim: 128, FFN: 4096, Vocab: 65536, Context: 4096, Loop: 16, Loops: 2, Theta: 10000}.HRM()
	for key, v := range map[string]any{
		"architectures": []string{"HrmTextForCausalLM"}, "L_cycles": 3, "embedding_scale": 50.0, "initializer_range": 0.02, "prefix_lm": true, "pad_token_id": 0,
	} {
		c.Config[key] = v
	}
	return c
}

// qwen4 is Qwen/Qwen3-4B: 4,022,468,096 parameters, tied.
func qwen4() *Checkpoint {
	s := Size{Hidden: 2560, Heads: 32, KVHeads: 8, HeadDim: 128, FFN: 9728, Vocab: 151936, Context: 40960, Loop: 36, Loops: 1, Theta: 1e6}
	c := s.llama("qwen3", "input_layernorm", "post_attention_layernorm")
	for i := range s.Loop {
		for _, name := range []string{"q", "k"} {
			c.add(random.Gain, fmt.Sprintf("model.layers.%d.self_attn.%s_norm.weight", i, name), s.HeadDim)
		}
	}
	c.Tensors = slices.DeleteFunc(c.Tensors, func(t random.Tensor) bool { return t.Name == "lm_head.weight" })
	for key, v := range map[string]any{
		"architectures": []string{"Qwen3ForCausalLM"}, "tie_word_embeddings": true, "attention_bias": false, "max_window_layers": 36,
		"use_sliding_window": false, "sliding_window": nil, "torch_dtype": "bfloat16",
	} {
		c.Config[key] = v
	}
	return c
}

// loopFormer3 has the sizes of upstream's config/train_loopformer_3blk.py, and biases; the released config was not seen.
func loopFormer3() *Checkpoint {
	return Size{Hidden: 2048, Heads: 32, FFN: 5120, Vocab: 50304, Context: 1024, Loop: 3}.LoopFormer()
}

// dory4 is nvidia/NVIDIA-Nemotron-Labs-Dory1.0-4B-BF16: 3,975,229,440 parameters, each layer stored as two; 8,192 positions are the
// default of its class, the release's own key was not seen.
func dory4() *Checkpoint {
	s := Size{
		Hidden: 2560, Heads: 16, KVHeads: 4, HeadDim: 256, FFN: 7168, Vocab: 131072, Context: 8192, Prelude: 8, Loop: 20, Coda: 8, Loops: 2, Theta: 10000,
	}
	c := s.Dory()
	for i, t := range c.Tensors {
		var layer int
		var name string
		if _, err := fmt.Sscanf(t.Name, "backbone.layers.%d.%s", &layer, &name); err != nil {
			continue
		}
		part, rest, _ := strings.Cut(name, ".")
		at, name := 2*layer, "mixer."+rest
		switch part {
		case "lambda_1":
			name = "attn_alpha"
		case "lambda_2":
			at, name = at+1, "mlp_alpha"
		case "mlp":
			at++
		}
		c.Tensors[i].Name = fmt.Sprintf("backbone.layers.%d.%s", at, name)
	}
	for key, v := range map[string]any{
		"architectures": []string{"DoryForCausalLM"}, "hybrid_layer_pattern": strings.Repeat("S-S-S-*-", 9), "rope_theta_2": 1e7,
		"rope_profile_layers": slices.Repeat([]int{1, 1, 1, 1, 1, 1, 2, 2}, 9), "swa_window_size": 1024, "ngpt_alpha_init": 0.05,
		"recurrent_kv_cache_mode": "per_loop", "torch_dtype": "bfloat16",
	} {
		c.Config[key] = v
	}
	return c
}

// writeShards is random.Write with the tensors in several files of at most so many bytes each (or of one tensor), and an index.
func writeShards(dir string, config map[string]any, tensors []random.Tensor, dtype string, seed uint64, most int64) error {
	if err := random.WriteJSON(dir, "config.json", config); err != nil {
		return err
	}
	var shards [][]random.Tensor
	left, total := int64(0), int64(0)
	for _, t := range tensors {
		size := t.Elements() * t.ElementSize(dtype)
		if len(shards) == 0 || size > left {
			shards, left = append(shards, nil), most
		}
		last := len(shards) - 1
		shards[last], left, total = append(shards[last], t), left-size, total+size
	}
	places := map[string]string{}
	for i, shard := range shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		for _, t := range shard {
			places[t.Name] = name
		}
		if err := random.WriteTensors(filepath.Join(dir, name), shard, dtype, seed); err != nil {
			return err
		}
	}
	return random.WriteJSON(dir, "model.safetensors.index.json", map[string]any{
		"metadata": map[string]any{"total_size": total}, "weight_map": places,
	})
}

// The parameters of the released models, as their pages count them.
func TestPublishedSizes(t *testing.T) {
	for name, want := range map[string]struct {
		tensors  int
		elements int64
	}{"ouro-1.4b": {269, 1_434_652_673}, "huginn-3.5b": {0, 0}, "hrm-text-1b": {131, 1_182_795_264}, "qwen3-4b": {398, 4_022_468_096}, "dory-4b": {507, 3_975_229_440}, "smollm2-135m": {272, 134_515_008}} {
		c, err := published(name)
		if err != nil {
			t.Fatal(err)
		}
		elements := int64(0)
		for _, tensor := range c.Tensors {
			elements += tensor.Elements()
		}
		if want.tensors > 0 && (len(c.Tensors) != want.tensors || elements != want.elements) {
			t.Errorf("%s: %d tensors of %d elements, want %d of %d", name, len(c.Tensors), elements, want.tensors, want.elements)
		}
		if name == "huginn-3.5b" { // 3.565 B, with one copy of the tied table and without the RoPE table
			if own := elements - 65536*5280 - 4096*96; own < 3_564_000_000 || own > 3_566_000_000 {
				t.Errorf("%s has %d parameters", name, own)
			}
		}
	}
	if _, err := published("gpt-5"); err == nil {
		t.Error("a name that is not published was found")
	}
}
