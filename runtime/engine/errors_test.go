//go:build cgo

package engine_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/paged"
	"github.com/loopserve/loopserve/runtime/kvcache"
	"github.com/loopserve/loopserve/runtime/ort"
)

// A batch that no controller would make is an error that names what is wrong, and the engine goes on: the call after
// it gives the numbers that it gave before.
func TestBadBatches(t *testing.T) {
	ort.CheckLeaks(t)
	e := openEngine(t, openEnv(t), adder, engine.Options{MaxRows: 4, Latents: 6, KVBytes: 1 << 20})
	good := newLanes(t, e, 2, 2, 0)
	want, err := good.step()
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(want[1])
	pages := int32(e.Capacity().Pages[loopctl.StageBlock])
	for _, c := range []struct {
		name  string
		stage loopctl.Stage
		batch loopctl.Batch
		want  string // in the message
		code  error
	}{
		{"slot beyond the last", loopctl.StageBlock, row(loopctl.Span{Rows: []int32{6}, Pages: []int32{0}}), "hidden-state slot 6 is outside 0…5", nil},
		{"negative slot", loopctl.StageCoda, row(loopctl.Span{Rows: []int32{-1}}), "hidden-state slot -1", nil},
		{"too many rows", loopctl.StageBlock, row(loopctl.Span{Rows: []int32{0, 1, 2, 3, 4}, Pages: []int32{0}}), "a call takes 1…4", nil},
		{"no rows", loopctl.StageBlock, loopctl.Batch{}, "a call takes 1…4", nil},
		{"rows miscounted", loopctl.StageBlock, loopctl.Batch{Rows: 2, Spans: []loopctl.Span{{Rows: []int32{0}, Pages: []int32{0}}}}, "1 rows in spans, 2 announced", nil},
		{"fewer tokens than rows", loopctl.StagePrelude, row(loopctl.Span{Rows: []int32{0, 1}, Tokens: []int32{3}}), "2 rows has 1 tokens", nil},
		{"logits of a row that is not there", loopctl.StageCoda, row(loopctl.Span{Rows: []int32{0}, LogitRows: []int32{1}}), "logit row 1", nil},
		{"more logits than a call has", loopctl.StageCoda, row(loopctl.Span{Rows: []int32{0}, LogitRows: []int32{0, 0, 0, 0, 0}}), "5 logits wanted", nil},
		{"token beyond the vocabulary", loopctl.StagePrelude, row(loopctl.Span{Rows: []int32{0}, Tokens: []int32{15}}), "15", ort.InvalidArgument},
		{"page outside the arena", loopctl.StageBlock, row(loopctl.Span{Rows: []int32{0}, Pages: []int32{pages}}), "block_table", ort.InvalidArgument},
		{"page not mapped", loopctl.StageBlock, row(loopctl.Span{Rows: []int32{0}, Pages: []int32{-1}}), "block_table", ort.InvalidArgument},
		{"table too short", loopctl.StageBlock, row(loopctl.Span{Rows: []int32{0}, Past: 16, Pages: []int32{0}}), "block_table", ort.InvalidArgument},
		{"negative past", loopctl.StageBlock, row(loopctl.Span{Rows: []int32{0}, Past: -1, Pages: []int32{0}}), "past_seqlens", ort.InvalidArgument},
		{"position beyond the RoPE table", loopctl.StageBlock, row(loopctl.Span{Rows: []int32{0}, Past: 64, Pages: []int32{0, 1, 2, 3, 4}}), "64", ort.InvalidArgument},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := call(e, c.stage, &c.batch)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
			var native *ort.Error
			if got := errors.As(err, &native); got != (c.code != nil) || got && !errors.Is(err, c.code) {
				t.Errorf("%v has the code %v, want %v", err, native, c.code)
			}
			good.past = 0
			logits, err := good.step()
			if err != nil {
				t.Fatalf("the next good call: %v", err)
			}
			if !slices.Equal(logits[1], before) {
				t.Errorf("the next good call gives %v, it gave %v before", logits[1], before)
			}
		})
	}
}

func row(s loopctl.Span) loopctl.Batch {
	return loopctl.Batch{Rows: len(s.Rows), Spans: []loopctl.Span{s}}
}

func call(e engine.Engine, stage loopctl.Stage, b *loopctl.Batch) error {
	var err error
	switch stage {
	case loopctl.StagePrelude:
		err = e.Prelude(b)
	case loopctl.StageBlock:
		_, err = e.Block(b)
	case loopctl.StageCoda:
		_, err = e.Coda(b)
	}
	return err
}

// What New cannot give is an error with a remedy, and nothing stays open.
func TestNewRefuses(t *testing.T) {
	ort.CheckLeaks(t)
	env := openEnv(t)
	open := func() *bundle.Bundle {
		b, err := bundle.Open(adder, bundle.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	_, err := engine.Open(env, open(), engine.Options{KVBytes: 1000})
	if !errors.Is(err, kvcache.ErrBudget) || !strings.Contains(err.Error(), "adder") || !strings.Contains(err.Error(), "raise kv_memory") {
		t.Errorf("1000 bytes of KV: %v", err)
	}
	b := open()
	b.Manifest.Kind = "recurrent"
	if _, err = engine.Open(env, b, engine.Options{}); err == nil || !strings.Contains(err.Error(), `"recurrent"`) {
		t.Errorf("a kind that nobody knows: %v", err)
	}
	b = open()
	b.Manifest.Block.File = "absent.onnx"
	if _, err = engine.Open(env, b, engine.Options{}); err == nil || !strings.Contains(err.Error(), "absent.onnx") {
		t.Errorf("a graph that is not there: %v", err)
	}
}

func TestCloseTwice(t *testing.T) {
	ort.CheckLeaks(t)
	e := openEngine(t, openEnv(t), adder, engine.Options{}) // its Cleanup closes it a third time
	if err := errors.Join(e.Close(), e.Close()); err != nil {
		t.Error(err)
	}
	var none *paged.Engine
	if err := none.Close(); err != nil {
		t.Error(err)
	}
}
