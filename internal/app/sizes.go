package app

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/host"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/spec"
	"github.com/loopserve/loopserve/runtime/kvcache"
)

// Sizes that the configuration leaves open are shares of what is free, as vLLM takes a share of a device's memory. The rest is
// for the process itself, and for what else runs here.
const (
	modelShare = 0.9     // of the free memory, for all models
	kvShare    = 0.5     // of what their weights leave of that, for KV pages
	unknownKV  = 1 << 30 // where there is nothing to take a share of, as in a device's memory
)

// Sized is a configuration whose sizes of 0 are filled in from what the process may use; weights are the bytes of the bundles that are to
// be served.
func Sized(cfg *configs.Config, here host.Limits, weights ...int64) *configs.Config {
	out := *cfg
	out.Threads = cmp.Or(cfg.Threads, here.CPUs)
	out.ModelMemory = cmp.Or(cfg.ModelMemory, configs.Bytes(modelShare*float64(here.Free)))
	if out.KVMemory > 0 {
		return &out
	}
	if out.ModelMemory == 0 || cfg.Provider != "cpu" || len(weights) == 0 {
		out.KVMemory = unknownKV
		return &out
	}
	var all int64
	for _, w := range weights {
		all += w
	}
	left, among := int64(out.ModelMemory)-all, int64(len(weights))
	if left < int64(out.ModelMemory)/5 { // they take turns
		left, among = int64(out.ModelMemory)-slices.Max(weights), 1
	}
	out.KVMemory = max(configs.Bytes(kvShare*float64(left))/configs.Bytes(among), 1<<20)
	return &out
}

// weights are the sizes of bundles; those that cannot be read have none.
func weights(dirs []string) (out []int64) {
	for _, dir := range dirs {
		if b, err := bundle.Open(dir, bundle.Options{SkipHash: true}); err == nil {
			out = append(out, b.Manifest.FileBytes())
		}
	}
	return out
}

// capacity is what the engine of a bundle will hold. The error says what the bundle does not allow, or that the longest
// sequence would never fit.
func capacity(m *bundle.Manifest, cfg *configs.Config, provider string) (loopctl.Capacity, error) {
	opt, err := engineOptions(cfg, m, provider)
	if err == nil {
		err = m.RunsOn(provider)
	}
	if err != nil {
		return loopctl.Capacity{}, err
	}
	opt = opt.WithDefaults(m)
	c, err := opt.Capacity(m, provider)
	if err != nil {
		return c, err
	}
	if fit := c.Tokens(m.Loops.Default); fit > 0 && fit < c.Context {
		return c, fmt.Errorf("a sequence of %d tokens at %d loops can never fit: kv_memory is %s, which holds %d tokens in %s: allow fewer tokens with --max-context %d, "+
			"take less for each with --kv-precision int8 or --kv-policy (of %v), or raise --kv-memory",
			c.Context, m.Loops.Default, configs.Bytes(opt.KVBytes).About(), fit, opt.KVPrecision, fit, m.KVPolicies)
	}
	return c, nil
}

// memoryOf is what a bundle takes with an engine of that capacity: the files, and the KV pages.
func memoryOf(m *bundle.Manifest, c *loopctl.Capacity, cfg *configs.Config, provider string) int64 {
	bytes := m.FileBytes()
	for i, s := range shapes(m, cfg, provider) {
		bytes += int64(c.Pages[i]) * s.PageBytes()
	}
	return bytes
}

// shapes are those of the stages' pages.
func shapes(m *bundle.Manifest, cfg *configs.Config, provider string) [3]kvcache.Shape {
	precision, _ := spec.KVPrecision(cfg.KVPrecision, m, provider) // it has been checked
	return spec.Shapes(m, cfg.PageSize, precision)
}

// engineOptions are the sizes of a configuration for a bundle.
func engineOptions(cfg *configs.Config, m *bundle.Manifest, provider string) (engine.Options, error) {
	word := cfg.KVPolicy
	if word == "auto" {
		word = m.KVPolicies[0]
	}
	policy, err := spec.ParseKVPolicy(word)
	precision, wrong := spec.KVPrecision(cfg.KVPrecision, m, provider)
	return engine.Options{
		MaxRows: cfg.MaxRows, PageSize: cfg.PageSize, KVBytes: int64(cfg.KVMemory), KVPrecision: precision,
		Sequence: cfg.MaxRunning, Context: cfg.MaxContext, KV: policy,
	}, cmp.Or(err, wrong)
}
