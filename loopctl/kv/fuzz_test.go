package kv_test

import (
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/loopserve/loopserve/loopctl/kv"
)

// model is the naive side of FuzzMemory: it keeps what lies in each place of each page, as an engine's arena would, and
// counts pages by looking at all of them.
type model struct {
	t       *testing.T
	g       kv.Geometry
	m       *kv.Memory
	arena   [kv.Stages][]uint64 // by page and place: what was computed there
	columns map[int32]int       // by the block's first page: planes of the cached column, which is used as a whole
	holders []*holder
}

// holder is one sequence.
type holder struct {
	kv.Holding
	tokens   []int32
	computed int // positions whose K and V are in all planes
	common   int // pages that were the cache's before
	early    bool
	admitted bool
}

func newModel(t *testing.T, g kv.Geometry) *model {
	d := &model{t: t, g: g, m: kv.New(g), columns: map[int32]int{}}
	for s, pages := range g.Pages {
		d.arena[s] = make([]uint64, pages*g.PageSize)
	}
	return d
}

// content is what a row computes: all that it depends on, hashed.
func content(h *holder, stage, plane, position int) uint64 {
	sum := fnv.New64a()
	fmt.Fprintf(sum, "%x %d %d %v", h.Root, stage, plane, h.tokens[:position+1])
	return sum.Sum64()
}

// depth is how many loops a row does. Where rows leave early it follows from the tokens, as with an exit policy.
func (h *holder) depth(position int) int {
	if !h.early {
		return h.Loops
	}
	return 1 + int(content(h, 9, 9, position)%uint64(h.Loops))
}

func (d *model) planes(stage int, h *holder) int {
	switch {
	case d.g.Pages[stage] == 0:
		return 0
	case stage == kv.Block:
		return d.g.Policy.PlanesAt(h.Loops)
	}
	return 1
}

// compute writes the rows of the next n positions and copies those that left early.
func (d *model) compute(h *holder, n int) {
	for ; n > 0 && h.computed < len(h.tokens) && h.computed < h.Covers(); n-- {
		p := h.computed
		depth := h.depth(p)
		d.m.Begin(&h.Holding, p)
		d.write(h, kv.Prelude, 0, p)
		for loop := range depth {
			d.write(h, kv.Block, loop, p)
		}
		d.write(h, kv.Coda, 0, p)
		d.m.Skip(&h.Holding, p, p+1, depth)
		size := d.g.PageSize
		for _, f := range d.m.TakeFills() {
			for _, to := range f.To {
				d.arena[kv.Block][int(to)*size+p%size] = d.arena[kv.Block][int(f.From)*size+p%size]
			}
		}
		h.computed++
	}
}

func (d *model) write(h *holder, stage, depth, p int) {
	pages := d.m.Pages(&h.Holding, stage, depth, h.depth(p), p, p+1)
	if d.g.Pages[stage] == 0 {
		if pages != nil {
			d.t.Fatalf("stage %d has no layers and was given pages %v", stage, pages)
		}
		return
	}
	if len(pages) != p/d.g.PageSize+1 {
		d.t.Fatalf("stage %d: %d pages for %d tokens", stage, len(pages), p+1)
	}
	page := pages[len(pages)-1]
	for _, o := range d.holders {
		if o != h && o.admitted && slices.Contains(d.held(o, stage), page) {
			d.t.Fatalf("stage %d: page %d is written by one sequence and held by another", stage, page)
		}
	}
	d.arena[stage][int(page)*d.g.PageSize+p%d.g.PageSize] = content(h, stage, depth, p)
}

// held are the pages that hold the computed tokens of a sequence, in all planes.
func (d *model) held(h *holder, stage int) (pages []int32) {
	for plane := range d.planes(stage, h) {
		pages = append(pages, d.m.Pages(&h.Holding, stage, plane, 1, h.computed, h.computed)...)
	}
	return pages
}

// read proves that a sequence finds in every plane what it would have computed itself, whoever did.
func (d *model) read(h *holder) {
	for stage := range kv.Stages {
		for plane := range d.planes(stage, h) {
			pages := d.m.Pages(&h.Holding, stage, plane, 1, h.computed, h.computed)
			for p := range h.computed {
				wrote := plane
				if stage == kv.Block {
					if depth := h.depth(p); d.g.Policy.Planes == 0 {
						wrote = min(plane, depth-1)
					} else {
						continue // planes are written more than once: which loop wrote last is the scheduler's business
					}
				}
				if got, want := d.arena[stage][int(pages[p/d.g.PageSize])*d.g.PageSize+p%d.g.PageSize], content(h, stage, wrote, p); got != want {
					d.t.Fatalf("stage %d, plane %d, position %d: found what somebody else computed", stage, plane, p)
				}
			}
		}
	}
}

// scratch is how many pages hold rows that are not kept.
func (d *model) scratch(h *holder) (need [kv.Stages]int) {
	if d.g.Policy.Keep != kv.KeepAny && h.Loops > 1 {
		need[kv.Block] = 1 + (h.Call+d.g.PageSize-2)/d.g.PageSize // the first row may be its page's last
	}
	return need
}

// need is how many pages cover so many tokens.
func (d *model) need(h *holder, tokens int) (need [kv.Stages]int) {
	for s := range kv.Stages {
		need[s] = (tokens + d.g.PageSize - 1) / d.g.PageSize * d.planes(s, h)
	}
	return need
}

// used counts what the admitted hold: pages covered, those that several share once.
func (d *model) used() (used [kv.Stages]int) {
	for s := range kv.Stages {
		common := map[int32]bool{}
		for _, h := range d.holders {
			if !h.admitted {
				continue
			}
			planes := d.planes(s, h)
			used[s] += d.need(h, h.Covers())[s] - h.Shared()*planes + d.scratch(h)[s]
			for _, p := range d.firsts(h) {
				common[p] = true
			}
		}
		for p := range common {
			switch {
			case s == kv.Block:
				used[s] += d.columns[p]
			case d.g.Pages[s] > 0:
				used[s]++
			}
		}
	}
	return used
}

// firsts are the pages of the block's first plane that h shares.
func (d *model) firsts(h *holder) []int32 {
	return slices.Clone(d.m.Pages(&h.Holding, kv.Block, 0, 1, 0, h.Shared()*d.g.PageSize))
}

// share gives what is computed to the cache, and notes which columns are new there.
func (d *model) share(h *holder) {
	before := slices.Clone(d.m.Pages(&h.Holding, kv.Block, 0, 1, 0, h.computed))
	d.m.Share(&h.Holding, h.tokens, h.computed)
	for i, p := range d.firsts(h) {
		if p == before[i] && i >= h.common {
			d.columns[p] = d.planes(kv.Block, h)
		}
	}
	h.common = h.Shared()
}

func (d *model) holdings() iter.Seq[*kv.Holding] {
	return func(yield func(*kv.Holding) bool) {
		for _, h := range d.holders {
			if h.admitted && !yield(&h.Holding) {
				return
			}
		}
	}
}

func (d *model) fits(need [kv.Stages]int, used [kv.Stages]int) bool {
	for s := range kv.Stages {
		if used[s]+need[s] > d.g.Pages[s] {
			return false
		}
	}
	return true
}

func (d *model) admit(h *holder) {
	before := d.used()
	want := min(h.Rows, len(h.tokens)+d.g.Ahead)
	if d.g.Ahead < 0 {
		want = h.Rows
	}
	cached, ok := d.m.Admit(&h.Holding, h.tokens)
	need := d.need(h, want)
	need[kv.Block] += d.scratch(h)[kv.Block]
	if fits := d.fits(need, before); fits && !ok {
		d.t.Fatalf("not admitted: needs %v beside %v of %v", d.need(h, want), before, d.g.Pages)
	} else if !fits && ok && cached == 0 {
		d.t.Fatalf("admitted: needs %v beside %v of %v", d.need(h, want), before, d.g.Pages)
	}
	if !ok {
		return
	}
	if cached >= len(h.tokens) || cached%d.g.PageSize != 0 || cached > 0 && (h.Fresh || h.Root == nil || d.g.NoSharing) {
		d.t.Fatalf("%d of %d tokens from the cache: %+v", cached, len(h.tokens), h.Holding)
	}
	h.admitted, h.computed, h.common = true, cached, h.Shared()
	d.read(h)
}

// FuzzMemory lets sequences come, grow, compute, share, go and come again, and looks after every step whether each finds
// its own K and V, whether what is given agrees with a count of all pages, and whether Check agrees.
func FuzzMemory(f *testing.F) {
	for seed := range uint64(100) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 7))
		g := kv.Geometry{PageSize: 1 + rng.IntN(4), Ahead: rng.IntN(8) - 1, NoSharing: rng.IntN(4) == 0}
		g.Pages[kv.Block] = 1 + rng.IntN(120)
		for _, s := range []int{kv.Prelude, kv.Coda} {
			if rng.IntN(3) == 0 {
				g.Pages[s] = 1 + rng.IntN(40)
			}
		}
		g.Policy.Planes = max(rng.IntN(6)-3, 0)
		if g.Policy.Planes == 1 {
			g.Policy.Keep = kv.Keep(rng.IntN(3))
		}
		d := newModel(t, g)
		for range 200 {
			d.step(rng)
			if err := d.m.Check(d.holdings()); err != nil {
				t.Fatal(err)
			}
			if got, want := d.m.Usage().Used, d.used(); got != want {
				t.Fatalf("%v pages used, counted %v", got, want)
			}
		}
		for _, h := range d.holders {
			d.m.Release(&h.Holding)
			h.admitted = false
		}
		if u := d.m.Usage(); u.Used != [kv.Stages]int{} || d.m.Check(d.holdings()) != nil {
			t.Fatalf("not all came back: %+v, %v", u, d.m.Check(d.holdings()))
		}
	})
}

func (d *model) step(rng *rand.Rand) {
	if len(d.holders) < 8 && rng.IntN(4) == 0 {
		d.holders = append(d.holders, d.newHolder(rng))
	}
	if len(d.holders) == 0 {
		return
	}
	i := rng.IntN(len(d.holders))
	h := d.holders[i]
	switch {
	case !h.admitted:
		d.admit(h)
	case rng.IntN(8) == 0: // preempted: what is computed stays in the cache
		d.share(h)
		d.m.Release(&h.Holding)
		d.m.Release(&h.Holding) // a second time changes nothing
		h.admitted, h.computed = false, 0
	case rng.IntN(12) == 0: // ended, without leaving anything
		d.m.Release(&h.Holding)
		h.admitted = false
		d.holders = slices.Delete(d.holders, i, i+1)
	case h.computed == len(h.tokens) && len(h.tokens) < h.Rows: // the next token
		h.tokens = append(h.tokens, int32(rng.IntN(2)))
		if h.Covers() < len(h.tokens) {
			d.grow(h)
		}
	case rng.IntN(4) == 0:
		d.share(h)
	default:
		d.compute(h, 1+rng.IntN(6))
	}
	if h.admitted {
		d.read(h)
	}
}

func (d *model) grow(h *holder) {
	before, covers := d.used(), h.Covers()
	if ok := d.m.Grow(&h.Holding); ok != d.fits(d.need(h, d.g.PageSize), before) {
		d.t.Fatalf("grow %v: needs %v beside %v of %v", ok, d.need(h, d.g.PageSize), before, d.g.Pages)
	} else if ok != (h.Covers() == covers+d.g.PageSize) {
		d.t.Fatalf("grow %v: from %d to %d tokens", ok, covers, h.Covers())
	}
}

// newHolder draws a sequence. Tokens are 0 and 1, so that prefixes meet.
func (d *model) newHolder(rng *rand.Rand) *holder {
	h := &holder{tokens: make([]int32, 1+rng.IntN(20)), early: rng.IntN(3) == 0}
	for i := range h.tokens {
		h.tokens[i] = int32(rng.IntN(8) / 7)
	}
	h.Loops, h.Rows, h.Call, h.Fresh = 1+rng.IntN(4), len(h.tokens)+rng.IntN(12), 1+rng.IntN(5), rng.IntN(8) == 0
	if rng.IntN(6) > 0 {
		h.Root = []byte{byte(rng.IntN(2))}
		if h.early { // depths follow from the root, too
			h.Root = append(h.Root, 'e', byte(h.Loops))
		}
	}
	return h
}
