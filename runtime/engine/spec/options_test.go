package spec

import (
	"testing"

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
