//go:build cgo

package dense_test

import (
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/enginetest"
	"github.com/loopserve/loopserve/runtime/engine/spec"
	"github.com/loopserve/loopserve/runtime/kvcache"
	"github.com/loopserve/loopserve/runtime/ort"
)

// A call that would overrun a buffer is an error, and the engine goes on.
func TestCallsThatCannotBe(t *testing.T) {
	e := openEngine(t, tiny, spec.Options{MaxRows: 4, PageSize: 4, KVBytes: 1 << 16})
	pages := e.Capacity().Pages[loopctl.StageBlock]
	fine := loopctl.Span{Rows: []int32{0, 1}, Tokens: []int32{2, 3}, Pages: []int32{0}, LogitRows: []int32{1}}
	for _, c := range []struct {
		name   string
		change func(s *loopctl.Span)
		want   string
	}{
		{"a slot that is not there", func(s *loopctl.Span) { s.Rows = []int32{0, 8} }, "hidden-state slot 8 is outside 0…7"},
		{"a page that is not there", func(s *loopctl.Span) { s.Pages = []int32{int32(pages)} }, "page"},
		{"too few pages", func(s *loopctl.Span) { s.Past = 3 }, "1 pages cannot hold 5 tokens"},
		{"past the context", func(s *loopctl.Span) { s.Past = 63 }, "rows 63 to 65 exceed the context of 64"},
		{"before the beginning", func(s *loopctl.Span) { s.Past = -1 }, "exceed the context of 64"},
		{"a logit row that is not there", func(s *loopctl.Span) { s.LogitRows = []int32{2} }, "logit row 2 is outside a span of 2 rows"},
		{"too many rows", func(s *loopctl.Span) { s.Rows, s.Pages = []int32{0, 1, 2, 3, 4}, []int32{0, 1} }, "a call takes 1…4"},
		{"no rows", func(s *loopctl.Span) { s.Rows, s.LogitRows = nil, nil }, "a call takes 1…4"},
	} {
		s := fine
		c.change(&s)
		_, err := e.Block(&loopctl.Batch{Rows: len(s.Rows), Spans: []loopctl.Span{s}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	s := fine
	s.Tokens = s.Tokens[:1]
	if err := e.Prelude(&loopctl.Batch{Rows: 2, Spans: []loopctl.Span{s}}); err == nil || !strings.Contains(err.Error(), "2 rows has 1 tokens") {
		t.Errorf("a token missing: error %v", err)
	}
	// an id outside the vocabulary is the graph's own error; the engine goes on after it
	s = fine
	s.Tokens = []int32{2, 99}
	if err := e.Prelude(&loopctl.Batch{Rows: 2, Spans: []loopctl.Span{s}}); err == nil {
		t.Error("token 99 of 32 was embedded")
	}
	for _, f := range []loopctl.Fill{{Position: 64}, {From: int32(pages)}, {To: []int32{-1}}} {
		if err := e.Fill([]loopctl.Fill{f}); err == nil {
			t.Errorf("%+v was filled", f)
		}
	}
	if err := e.Fill(nil); err != nil {
		t.Error(err)
	}
	if err := e.Latent(8, make([]float32, 16)); err == nil {
		t.Error("slot 8 of 8 was read")
	}
	b := &loopctl.Batch{Rows: 2, Spans: []loopctl.Span{fine}}
	if err := e.Prelude(b); err != nil {
		t.Error(err)
	}
	if info, err := e.Block(b); err != nil || len(info.Delta) != 2 || info.Gate != nil {
		t.Errorf("after all that: %+v, %v", info, err)
	}
	if logits, err := e.Coda(b); err != nil || len(logits) != 1 || len(logits[0]) != 32 {
		t.Errorf("after all that: %d logits, %v", len(logits), err)
	}
}

// What cannot be opened says why, and leaves nothing open.
func TestOpenRefuses(t *testing.T) {
	ort.CheckLeaks(t)
	env := enginetest.Env(t, 1)
	for _, c := range []struct {
		dir, want string
		opt       spec.Options
	}{
		{tiny, "the model does not allow kv policy latest", spec.Options{KV: loopctl.KVPolicy{Planes: 1}}},
		{tiny, "kv memory too small", spec.Options{KVBytes: 10}},
		{tiny, "kv precision int8", spec.Options{KVPrecision: kvcache.Int8}},
	} {
		b, err := bundle.Open(c.dir, bundle.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := engine.Open(env, b, c.opt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %+v: error %v, want %q", c.dir, c.opt, err, c.want)
		}
	}
}
