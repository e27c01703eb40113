//go:build cgo

package paged

import (
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/kvcache"
	"github.com/loopserve/loopserve/runtime/ort"
)

// arenaEngine is an engine with a block of three layers and 5 pages of 4 tokens, and nothing else.
func arenaEngine(t *testing.T) *Engine {
	t.Helper()
	shape := kvcache.Shape{Layers: 3, PageSize: 4, KVHeads: 1, HeadDim: 2}
	e := &Engine{
		m:      &bundle.Manifest{Name: "toy", Block: bundle.Graph{Layers: 3}},
		limits: loopctl.Capacity{Context: 20, Pages: [3]int{0, 5, 0}},
	}
	bytes := 5 * int(shape.PageBytes()) / 2
	arena := &kvcache.Arena{Pages: 5, Shape: shape}
	for _, b := range []**ort.Buffer{&arena.Key, &arena.Value} {
		var err error
		if *b, err = ort.NewBuffer(bytes); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { arena.Close() })
	e.block.arena = arena
	return e
}

// A key reads as page.layer.place: key 213 is page 2, layer 1, place 3; a value is 1000 more.
func TestFillCopiesOneRowOfAllLayers(t *testing.T) {
	ort.CheckLeaks(t)
	e := arenaEngine(t)
	number := func(page, layer, place int) float32 { return float32(100*page + 10*layer + place) }
	keys, values := e.block.arena.Key.F32(), e.block.arena.Value.F32()
	each := func(visit func(at, page, layer, place int)) {
		for at := range keys {
			row := at / 2
			visit(at, row/12, row/4%3, row%4)
		}
	}
	each(func(at, page, layer, place int) {
		keys[at], values[at] = number(page, layer, place), 1000+number(page, layer, place)
	})
	if err := e.Fill([]loopctl.Fill{{Position: 6, From: 0, To: []int32{1, 4}}, {Position: 15, From: 2, To: []int32{3}}}); err != nil {
		t.Fatal(err)
	}
	each(func(at, page, layer, place int) {
		from := page
		switch {
		case place == 2 && (page == 1 || page == 4):
			from = 0
		case place == 3 && page == 3:
			from = 2
		}
		if want := number(from, layer, place); keys[at] != want || values[at] != 1000+want {
			t.Errorf("page %d, layer %d, place %d: key %v and value %v, want %v and %v", page, layer, place, keys[at], values[at], want, 1000+want)
		}
	})
}

// More rows than one copy takes: every place of page 0 again and again.
func TestFillOfManyRows(t *testing.T) {
	e := arenaEngine(t)
	keys := e.block.arena.Key.F32()
	for i := range 3 * 4 * 2 {
		keys[i] = float32(i + 1)
	}
	var fills []loopctl.Fill
	for i := range fillRows {
		fills = append(fills, loopctl.Fill{Position: i % 4, From: 0, To: []int32{int32(1 + i/4%4)}})
	}
	if err := e.Fill(fills); err != nil {
		t.Fatal(err)
	}
	for i, k := range keys {
		if want := float32(i%24 + 1); k != want {
			t.Fatalf("key %d is %v, want %v", i, k, want)
		}
	}
}

func TestFillRefusesBeforeItCopies(t *testing.T) {
	e := arenaEngine(t)
	e.block.arena.Key.F32()[0] = 7
	good := loopctl.Fill{From: 0, To: []int32{1}}
	for _, c := range []struct {
		bad  loopctl.Fill
		want string
	}{
		{loopctl.Fill{From: 5}, "page 5 is outside 0…4"},
		{loopctl.Fill{From: -1}, "page -1"},
		{loopctl.Fill{From: 0, To: []int32{1, 9}}, "page 9"},
		{loopctl.Fill{Position: 20, To: []int32{1}}, "position 20 is outside 0…19"},
		{loopctl.Fill{Position: -1, To: []int32{1}}, "position -1"},
	} {
		if err := e.Fill([]loopctl.Fill{good, c.bad}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.bad, err, c.want)
		}
		if e.block.arena.Key.F32()[24] != 0 {
			t.Fatalf("%+v: a page was written", c.bad)
		}
	}
	e.block.arena = nil
	if err := e.Fill([]loopctl.Fill{good}); err == nil || !strings.Contains(err.Error(), "no layers") {
		t.Errorf("without layers: %v", err)
	}
	if err := e.Fill(nil); err != nil {
		t.Errorf("nothing to fill: %v", err)
	}
}

func TestFillAllocatesNothing(t *testing.T) {
	e := arenaEngine(t)
	fills := []loopctl.Fill{{Position: 1, From: 0, To: []int32{1, 2, 3}}, {Position: 9, From: 4, To: []int32{2}}}
	if n := testing.AllocsPerRun(50, func() {
		if err := e.Fill(fills); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
