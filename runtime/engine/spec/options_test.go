package spec

import (
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/kv"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/kvcache"
)

// What auto comes to: float16 beside quantized weights on a CPU, and nowhere else.
func TestKVPrecisionAuto(t *testing.T) {
	for _, c := range []struct {
		word, weights, activations, kind, provider string
		want                                       kvcache.Precision
	}{
		{"auto", "int4", "f32", "paged", "cpu", kvcache.F16},
		{"auto", "int8", "f32", "paged", "cpu", kvcache.F16},
		{"auto", "f32", "f32", "paged", "cpu", kvcache.F32},
		{"auto", "int8", "f32", bundle.KindDense, "cpu", kvcache.F32},
		{"auto", "int8", "f16", "paged", "cpu", kvcache.F32},
		{"auto", "int8", "f32", "paged", "cuda", kvcache.F32},
		{"f32", "int4", "f32", "paged", "cpu", kvcache.F32},
		{"int8", "f32", "f32", "paged", "cpu", kvcache.Int8},
	} {
		m := &bundle.Manifest{Kind: c.kind, Precision: bundle.Precision{Weights: c.weights, Activations: c.activations}}
		if got, err := KVPrecision(c.word, m, c.provider); err != nil || got != c.want {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
	if _, err := KVPrecision("f8", &bundle.Manifest{}, "cpu"); err == nil {
		t.Error("f8 is taken")
	}
}

// Calls have room for a prompt that is not to be cut.
func TestPromptRows(t *testing.T) {
	last := loopctl.KVPolicy{Planes: 1, Keep: kv.KeepLast}
	for _, c := range []struct {
		prefix        bool
		kv            loopctl.KVPolicy
		context, want int
	}{
		{false, loopctl.KVPolicy{}, 2048, 0},
		{false, loopctl.KVPolicy{Planes: 1}, 2048, 0},
		{false, last, 2048, 2048},
		{false, last, 1 << 17, mostPromptRows},
		{true, loopctl.KVPolicy{}, 1 << 17, 1 << 17},
	} {
		if got := PromptRows(&bundle.Manifest{PrefixLM: c.prefix}, c.kv, c.context); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
