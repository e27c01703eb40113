package kv_test

import (
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl/kv"
)

// plain is a block of 12 pages of 4 tokens, one page ahead of what is known.
func plain() kv.Geometry {
	return kv.Geometry{Pages: [kv.Stages]int{0, 12, 0}, PageSize: 4, Ahead: 4}
}

func tokens(n int) []int32 { return make([]int32, n) }

func all(hs ...*kv.Holding) iter.Seq[*kv.Holding] { return slices.Values(hs) }

func mustAdmit(t *testing.T, m *kv.Memory, h *kv.Holding, known int, want int) {
	t.Helper()
	if got, ok := m.Admit(h, tokens(known)); !ok || got != want {
		t.Fatalf("admitted %v with %d cached tokens, want %d", ok, got, want)
	}
}

// use writes all planes of the first tokens.
func use(m *kv.Memory, h *kv.Holding, known int) (pages []int32) {
	for depth := range h.Loops {
		pages = append(pages, m.Pages(h, kv.Block, depth, h.Loops, 0, known)...)
	}
	return pages
}

// TestAdmission: pages are promised for what is known and some ahead, in every plane, and never twice.
func TestAdmission(t *testing.T) {
	m := kv.New(plain())
	a := &kv.Holding{Loops: 3, Rows: 20}
	mustAdmit(t, m, a, 5, 0) // 9 tokens: 3 pages in 3 planes
	if u := m.Usage(); u.Used[kv.Block] != 9 || a.Covers() != 12 {
		t.Errorf("%+v, covers %d tokens", u, a.Covers())
	}
	b := &kv.Holding{Loops: 2, Rows: 8}
	if _, ok := m.Admit(b, tokens(3)); ok {
		t.Error("b got 4 pages where 3 are left")
	}
	c := &kv.Holding{Loops: 3, Rows: 3} // never more than 3 tokens: one page in 3 planes
	mustAdmit(t, m, c, 3, 0)
	if got := use(m, c, 3); !slices.Equal(got, []int32{0, 1, 2}) {
		t.Errorf("pages %v: the first taken is page 0", got)
	}
	if err := m.Check(all(a, c)); err != nil {
		t.Error(err)
	}
}

// TestWorst: a whole life's need is known beforehand, by stage and policy.
func TestWorst(t *testing.T) {
	for _, tc := range []struct {
		pages  [kv.Stages]int
		policy kv.Policy
		want   [kv.Stages]int
	}{
		{[kv.Stages]int{0, 9, 0}, kv.Policy{}, [kv.Stages]int{0, 15, 0}},
		{[kv.Stages]int{9, 9, 9}, kv.Policy{}, [kv.Stages]int{3, 15, 3}},
		{[kv.Stages]int{0, 9, 0}, kv.Policy{Planes: 1}, [kv.Stages]int{0, 3, 0}},
		{[kv.Stages]int{0, 9, 0}, kv.Policy{Planes: 2}, [kv.Stages]int{0, 6, 0}},
		{[kv.Stages]int{0, 9, 0}, kv.Policy{Planes: 8}, [kv.Stages]int{0, 15, 0}},
		{[kv.Stages]int{0, 9, 0}, kv.Policy{Planes: 1, Keep: kv.KeepFirst}, [kv.Stages]int{0, 5, 0}}, // 3 rows may lie in 2 pages
		{[kv.Stages]int{0, 0, 0}, kv.Policy{}, [kv.Stages]int{}},
	} {
		g := kv.Geometry{Pages: tc.pages, PageSize: 4, Policy: tc.policy}
		if got := g.Worst(9, 5, 3); got != tc.want {
			t.Errorf("%v %+v: %v, want %v", tc.pages, tc.policy, got, tc.want)
		}
	}
}

// TestKeep: loops that keep nothing read the plane's full pages and write pages that are theirs, the first of which has the plane's
// rows before the call's.
func TestKeep(t *testing.T) {
	for keep, writes := range map[kv.Keep]int{kv.KeepFirst: 0, kv.KeepLast: 2} {
		g := plain()
		g.Policy = kv.Policy{Planes: 1, Keep: keep}
		m := kv.New(g)
		h := &kv.Holding{Loops: 3, Rows: 20, Call: 6}
		mustAdmit(t, m, h, 10, 0)
		if u := m.Usage(); u.Used[kv.Block] != 4+3 { // 14 tokens, and 6 rows from anywhere in a page
			t.Errorf("%d pages", u.Used[kv.Block])
		}
		for _, call := range []struct{ first, end, copies, own int }{{0, 6, 0, 2}, {6, 10, 2, 2}, {10, 11, 2, 1}, {11, 12, 1, 1}, {12, 13, 0, 1}} {
			m.Begin(h, call.first)
			fills := m.TakeFills()
			plane := slices.Clone(m.Pages(h, kv.Block, writes, 3, call.first, call.end))
			loop := slices.Clone(m.Pages(h, kv.Block, 1, 3, call.first, call.end))
			past := call.first / 4
			if len(fills) != call.copies || len(loop) != len(plane) || !slices.Equal(loop[:past], plane[:past]) || len(loop)-past != call.own {
				t.Errorf("keep %d, %+v: copies %v, pages %v beside %v", keep, call, fills, loop, plane)
			}
			for i, f := range fills {
				if f.Position != call.first-call.copies+i || f.From != plane[past] || !slices.Equal(f.To, loop[past:past+1]) {
					t.Errorf("keep %d, %+v: copy %+v, pages %v beside %v", keep, call, f, loop, plane)
				}
			}
			for _, p := range loop[past:] {
				if slices.Contains(plane, p) {
					t.Errorf("keep %d, %+v: page %d is written", keep, call, p)
				}
			}
			if err := m.Check(all(h)); err != nil {
				t.Error(err)
			}
		}
		if m.Release(h); m.Usage().Used[kv.Block] != 0 || m.Check(all()) != nil {
			t.Error("pages are left")
		}
	}
}

// TestGrow: one page more in each plane, at all stages or at none.
func TestGrow(t *testing.T) {
	g := plain()
	g.Pages[kv.Coda], g.Ahead = 3, 0
	m := kv.New(g)
	h := &kv.Holding{Loops: 2, Rows: 40}
	mustAdmit(t, m, h, 4, 0)
	for i := range 2 {
		if !m.Grow(h) {
			t.Fatalf("growth %d", i)
		}
	}
	before := m.Usage()
	if m.Grow(h) {
		t.Error("the coda has 3 pages and gave a fourth")
	}
	if got := m.Usage(); got != before || h.Covers() != 12 {
		t.Errorf("a growth that failed changed %+v to %+v", before, got)
	}
	if got := m.Pages(h, kv.Block, 1, h.Loops, 0, 12); len(got) != 3 {
		t.Errorf("pages %v", got)
	}
}

// TestPlanes: under `modulo:2` loops 0 and 2 write the same plane, and a stage without layers has none.
func TestPlanes(t *testing.T) {
	g := plain()
	g.Policy.Planes = 2
	m := kv.New(g)
	h := &kv.Holding{Loops: 4, Rows: 8}
	mustAdmit(t, m, h, 8, 0)
	var got [][]int32
	for depth := range 4 {
		got = append(got, m.Pages(h, kv.Block, depth, h.Loops, 0, 5))
	}
	if !slices.Equal(got[0], got[2]) || !slices.Equal(got[1], got[3]) || slices.Equal(got[0], got[1]) {
		t.Errorf("pages by depth %v", got)
	}
	if p := m.Pages(h, kv.Prelude, 0, 0, 0, 5); p != nil {
		t.Errorf("the prelude keeps no KV and has pages %v", p)
	}
	if m.Skip(h, 0, 1, 2) {
		t.Error("a row that did 2 loops has written both planes, and is copied")
	}
}

// TestFills: a row that left after one loop is copied to the planes of the others, once.
func TestFills(t *testing.T) {
	m := kv.New(plain())
	h := &kv.Holding{Loops: 3, Rows: 8}
	mustAdmit(t, m, h, 6, 0)
	m.Pages(h, kv.Block, 0, h.Loops, 0, 6) // pages 0 and 1
	if !m.Skip(h, 3, 5, 1) {
		t.Fatal("nothing to copy")
	}
	fills := m.TakeFills()
	if len(fills) != 2 || fills[0].Position != 3 || fills[0].From != 0 || !slices.Equal(fills[0].To, []int32{2, 3}) ||
		fills[1].Position != 4 || fills[1].From != 1 || !slices.Equal(fills[1].To, []int32{4, 5}) {
		t.Errorf("%+v", fills)
	}
	if again := m.TakeFills(); len(again) != 0 {
		t.Errorf("handed out twice: %+v", again)
	}
}

// TestSharing: equal roots and tokens meet, at the same or a lower depth; a deeper one replaces what nobody uses.
func TestSharing(t *testing.T) {
	g := plain()
	g.Pages[kv.Block] = 40
	m := kv.New(g)
	run := func(h kv.Holding, known, want int) *kv.Holding {
		t.Helper()
		mustAdmit(t, m, &h, known, want)
		use(m, &h, known)
		m.Share(&h, tokens(known), known)
		return &h
	}
	first := run(kv.Holding{Loops: 2, Rows: 12, Root: []byte("a")}, 9, 0)
	again := run(kv.Holding{Loops: 2, Rows: 12, Root: []byte("a")}, 9, 8)
	if a, b := use(m, first, 8), use(m, again, 8); !slices.Equal(a, b) {
		t.Errorf("pages %v and %v of the same tokens", a, b)
	}
	whole := run(kv.Holding{Loops: 2, Rows: 12, Root: []byte("a")}, 8, 4) // the newest token's page is its own …
	if whole.Shared() != 2 || !slices.Equal(use(m, whole, 8), use(m, first, 8)) {
		t.Error("… until it is computed and was there already")
	}
	others := []*kv.Holding{
		run(kv.Holding{Loops: 1, Rows: 12, Root: []byte("a")}, 9, 8),
		run(kv.Holding{Loops: 2, Rows: 12, Root: []byte("b")}, 9, 0),
		run(kv.Holding{Loops: 2, Rows: 12}, 9, 0),
		run(kv.Holding{Loops: 2, Rows: 12, Root: []byte("a"), Fresh: true}, 9, 0),
		run(kv.Holding{Loops: 3, Rows: 12, Root: []byte("a")}, 9, 0), // deeper, but the shallow pages are in use
	}
	if deeper := others[4]; deeper.Shared() != 0 {
		t.Errorf("%d pages of the deeper one replaced pages in use", deeper.Shared())
	}
	holding := append(others, first, again, whole)
	if err := m.Check(all(holding...)); err != nil {
		t.Fatal(err)
	}
	for _, h := range holding {
		m.Release(h)
	}
	if u := m.Usage(); u.Used[kv.Block] != 0 || u.Cached[kv.Block] != 8 || u.Hits != 8+4+8 {
		t.Errorf("%+v: want two pages of two roots in two planes", u)
	}
	deeper := run(kv.Holding{Loops: 3, Rows: 12, Root: []byte("a")}, 9, 0)
	if deeper.Shared() != 2 {
		t.Error("the deeper pages did not replace those that nobody uses")
	}
	m.Release(deeper)
	if err := m.Check(all()); err != nil {
		t.Error(err)
	}
}

// TestEviction: what the cache alone holds gives way, the longest unused first and the beginning of a prefix last.
func TestEviction(t *testing.T) {
	g := plain()
	g.Ahead = 0
	m := kv.New(g)
	leave := func(root string) {
		h := &kv.Holding{Loops: 1, Rows: 8, Root: []byte(root)}
		if _, ok := m.Admit(h, tokens(8)); !ok {
			t.Fatal("no room")
		}
		use(m, h, 8)
		m.Share(h, tokens(8), 8)
		m.Release(h)
	}
	leave("a")
	leave("b")
	leave("a") // used again: b is the oldest now
	big := &kv.Holding{Loops: 9, Rows: 4}
	mustAdmit(t, m, big, 4, 0) // 9 of 12: one of the 4 cached pages must go
	hit := func(root string) int {
		h := &kv.Holding{Loops: 1, Rows: 12, Root: []byte(root)}
		cached, ok := m.Admit(h, tokens(9))
		if !ok {
			t.Fatal("no room")
		}
		m.Release(h)
		return cached
	}
	if u := m.Usage(); u.Cached[kv.Block] != 3 {
		t.Errorf("%+v", u)
	}
	m.Release(big)
	if a, b := hit("a"), hit("b"); a != 8 || b != 4 {
		t.Errorf("%d tokens of a and %d of b are left, want 8 and the first 4", a, b)
	}
}

// TestRoom: releasing others helps by what is theirs alone.
func TestRoom(t *testing.T) {
	g := plain()
	g.Ahead = 0
	m := kv.New(g)
	a, b := &kv.Holding{Loops: 2, Rows: 8}, &kv.Holding{Loops: 4, Rows: 8}
	mustAdmit(t, m, a, 8, 0) // 4 pages
	mustAdmit(t, m, b, 8, 0) // 8 pages
	use(m, b, 5)
	for _, tc := range []struct {
		loops  int
		others []*kv.Holding
		want   bool
	}{
		{4, []*kv.Holding{b}, true},
		{5, []*kv.Holding{b}, false},
		{6, []*kv.Holding{a, b}, true},
		{2, []*kv.Holding{a}, true},
		{1, nil, false}, // nobody to take from
	} {
		h := &kv.Holding{Loops: tc.loops, Rows: 8}
		if got := m.Room(h, 8, all(tc.others...)); got != tc.want {
			t.Errorf("room for %d loops if %d are released: %v, want %v", tc.loops, len(tc.others), got, tc.want)
		}
	}
}

// TestRelease gives everything back, however often it is called.
func TestRelease(t *testing.T) {
	m := kv.New(plain())
	h := &kv.Holding{Loops: 3, Rows: 8}
	mustAdmit(t, m, h, 5, 0)
	use(m, h, 5)
	for range 2 {
		m.Release(h)
		if u := m.Usage(); u.Used != [kv.Stages]int{} || h.Covers() != 0 {
			t.Errorf("%+v, covers %d", u, h.Covers())
		}
	}
	mustAdmit(t, m, h, 5, 0)
}

// TestCheck: an accounting that is wrong is found wrong.
func TestCheck(t *testing.T) {
	m := kv.New(plain())
	a, b := &kv.Holding{Loops: 1, Rows: 8}, &kv.Holding{Loops: 1, Rows: 8}
	mustAdmit(t, m, a, 5, 0)
	mustAdmit(t, m, b, 5, 0)
	use(m, a, 5)
	if err := m.Check(all(a, b)); err != nil {
		t.Fatal(err)
	}
	twin := *a // two sequences with the pages of one
	for name, tc := range map[string]struct {
		held iter.Seq[*kv.Holding]
		want string
	}{
		"a page without an owner": {all(b), "block pages: 10 of 12 have an owner"},
		"a promise to nobody":     {all(a), "2 are promised to sequences"},
		"two owners":              {all(a, b, &twin), "has two owners"},
	} {
		if err := m.Check(tc.held); name != "a promise to nobody" && (err == nil || !strings.Contains(err.Error(), tc.want)) || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
