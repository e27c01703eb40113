package app

import (
	"strings"
	"testing"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/host"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/ort"
)

func TestSized(t *testing.T) {
	const MiB = 1 << 20
	half := host.Limits{CPUs: 1, Affinity: 16, Quota: 0.5, Memory: 512 * MiB, Free: 400 * MiB}
	for _, c := range []struct {
		name    string
		set     map[string]string
		here    host.Limits
		weights []int64
		threads int
		models  configs.Bytes
		kv      configs.Bytes
	}{
		{"half a core and 512 MiB", nil, half, []int64{20 * MiB, 40 * MiB}, 1, 360 * MiB, 75 * MiB},
		{"what is set holds", map[string]string{"threads": "3", "model_memory": "100MiB", "kv_memory": "7MiB"}, half, []int64{MiB}, 3, 100 * MiB, 7 * MiB},
		{"KV follows model_memory", map[string]string{"model_memory": "100MiB"}, half, []int64{20 * MiB}, 1, 100 * MiB, 40 * MiB},
		{"models that take turns", nil, half, []int64{200 * MiB, 160 * MiB, 100 * MiB}, 1, 360 * MiB, 80 * MiB},
		{"weights that leave nothing", nil, half, []int64{500 * MiB}, 1, 360 * MiB, MiB},
		{"a machine that tells nothing", nil, host.Limits{CPUs: 4, Affinity: 4}, []int64{MiB}, 4, 0, 1024 * MiB},
		{"a device has memory of its own", map[string]string{"provider": "cuda"}, half, []int64{MiB}, 1, 360 * MiB, 1024 * MiB},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := configs.Load(configs.Sources{Flags: c.set})
			if err != nil {
				t.Fatal(err)
			}
			got := Sized(cfg, c.here, c.weights...)
			if got.Threads != c.threads || got.ModelMemory != c.models || got.KVMemory != c.kv {
				t.Errorf("threads %d, model memory %v, KV memory %v; want %d, %v, %v", got.Threads, got.ModelMemory, got.KVMemory, c.threads, c.models, c.kv)
			}
		})
	}
}

// Ouro-1.4B at four loops takes 1.5 MiB a token: 1 GiB holds 682 of its 65,536 tokens, and nothing used to say so.
func TestAContextThatCanNeverFit(t *testing.T) {
	ouro := &bundle.Manifest{
		Name: "ouro", Kind: bundle.KindPaged, HiddenSize: 2048, VocabSize: 49152, Context: 65536,
		Attention: bundle.Attention{Heads: 16, KVHeads: 16, HeadDim: 128}, Block: bundle.Graph{Layers: 24},
		Loops: bundle.LoopRange{Min: 1, Default: 4, Trained: 4, Max: 8}, KVPolicies: []string{"depth", "latest"},
		Precision: bundle.Precision{Activations: "f32"},
	}
	for _, c := range []struct {
		set  map[string]string
		want string // "" : it fits
	}{
		{map[string]string{"kv_memory": "1GiB"}, "a sequence of 65536 tokens at 4 loops can never fit: kv_memory is 1.0 GiB, which holds 672 tokens in f32: " +
			"allow fewer tokens with --max-context 672, take less for each with --kv-precision int8 or --kv-policy (of [depth latest]), or raise --kv-memory"},
		{map[string]string{"kv_memory": "1GiB", "max_context": "672"}, ""},
		{map[string]string{"kv_memory": "1GiB", "max_context": "680"}, "can never fit"},
		{map[string]string{"kv_memory": "1GiB", "max_context": "2640", "kv_precision": "int8"}, ""},
		{map[string]string{"kv_memory": "1GiB", "max_context": "2640", "kv_policy": "latest"}, ""},
		{map[string]string{"kv_memory": "96GiB"}, ""},
		{map[string]string{"kv_memory": "1GiB", "kv_policy": "modulo:2"}, "does not allow kv policy modulo:2"},
	} {
		cfg, err := configs.Load(configs.Sources{Flags: c.set})
		if err != nil {
			t.Fatal(err)
		}
		_, err = capacity(ouro, cfg, ort.ProviderCPU)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: %v, want %q", c.set, err, c.want)
		}
	}
}
