package kv

// The stages of a looped model, in the order in which a row visits them. Only the block is looped.
const (
	Prelude = iota
	Block
	Coda
	Stages
)

// Policy says which plane of the block's KV memory a row at a depth reads and writes.
type Policy struct {
	// Planes is how many planes a sequence has at most: plane = depth mod Planes. 0 is the policy `depth`, one plane for
	// each depth and exact; 1 is `latest`; others are `modulo:m`.
	Planes int
	// Keep, where it is set, says which loop writes the one plane (Planes is 1). The others read that plane up to their call's first
	// row, and from there their own call's rows, which lie in pages that nobody reads afterwards.
	Keep Keep
}

// Keep is the loop that writes the plane of a policy with one plane.
type Keep uint8

// KeepAny has each loop write over what the one before it wrote; KeepFirst and KeepLast are the policies `first` and `last_loop`.
const (
	KeepAny Keep = iota
	KeepFirst
	KeepLast
)

// writes says whether a row at a depth, of so many loops in all, writes the plane that it reads.
func (p Policy) writes(depth, loops int) bool {
	switch p.Keep {
	case KeepFirst:
		return depth == 0
	case KeepLast:
		return depth == loops-1
	}
	return true
}

// PlanesAt is how many planes of the block's KV memory a sequence of so many loops has.
func (p Policy) PlanesAt(loops int) int {
	if p.Planes > 0 {
		return min(p.Planes, loops)
	}
	return loops
}

// planeOf is the plane that a row reads and writes in its loop after depth loops. Under the policy `depth` that is
// exact: what a row reads was computed at its own depth.
func (p Policy) planeOf(depth int) int {
	if p.Planes > 0 {
		return depth % p.Planes
	}
	return depth
}

// Geometry is how large the memory is and how it is given out.
type Geometry struct {
	Pages    [Stages]int // of each stage's arena; 0: the stage has no layers and keeps no KV
	PageSize int         // tokens in a page
	Policy   Policy
	// Ahead is how many tokens beyond its own a sequence is promised pages for when it is admitted; negative: for all
	// that it may come to hold.
	Ahead int
	// NoSharing turns the prefix cache off.
	NoSharing bool
}

// Worst is how many pages of each stage a sequence of so many tokens and loops comes to hold, of which at most `call` are in one
// call.
func (g *Geometry) Worst(tokens, loops, call int) (need [Stages]int) {
	for s := range Stages {
		need[s] = g.pagesFor(tokens) * g.planesIn(s, loops)
	}
	need[Block] += g.scratch(loops, call)
	return need
}

// scratch is how many pages hold the rows of a call, wherever in a page it begins, that are not kept.
func (g *Geometry) scratch(loops, call int) int {
	if g.Policy.Keep == KeepAny || loops == 1 || g.Pages[Block] == 0 {
		return 0
	}
	return g.pagesFor(call + g.PageSize - 1)
}

// pagesFor is how many pages hold that many tokens.
func (g *Geometry) pagesFor(tokens int) int { return (tokens + g.PageSize - 1) / g.PageSize }

// planesIn is how many planes of a stage a sequence has: none where the stage has no layers.
func (g *Geometry) planesIn(stage, loops int) int {
	switch {
	case g.Pages[stage] == 0:
		return 0
	case stage != Block:
		return 1
	}
	return g.Policy.PlanesAt(loops)
}

// freeList is the pages of one stage that nobody holds. A page is promised first (at admission) and taken later, so
// that taking never fails.
type freeList struct {
	ids      []int32 // a stack: the page given back last is warm
	promised int     // pages reserved and not yet taken
}

func newFreeList(pages int) freeList {
	f := freeList{ids: make([]int32, pages)}
	for i := range f.ids {
		f.ids[i] = int32(pages - 1 - i) // the first taken is page 0: stories read better
	}
	return f
}

// available is how many pages nobody holds or was promised.
func (f *freeList) available() int { return len(f.ids) - f.promised }

// take turns one promise into a page.
func (f *freeList) take() int32 {
	id := f.ids[len(f.ids)-1]
	f.ids = f.ids[:len(f.ids)-1]
	f.promised--
	return id
}

// give puts pages back.
func (f *freeList) give(ids []int32) { f.ids = append(f.ids, ids...) }

// table is the pages of one sequence at one stage: for each plane a list, with room for the worst case. The leading
// pages of each list may be the cache's; how many is the Holding's to know.
type table struct {
	planes   [][]int32
	promised int     // pages not yet taken
	scratch  []int32 // of rows that a loop does not keep
}

func newTable(planes, perPlane, promised int) table {
	t := table{planes: make([][]int32, planes), promised: promised}
	all := make([]int32, planes*perPlane)
	for i := range t.planes {
		t.planes[i] = all[i*perPlane : i*perPlane : (i+1)*perPlane]
	}
	return t
}

// first makes the plane hold n pages and returns them.
func (t *table) first(n, plane int, f *freeList) []int32 {
	pages := t.planes[plane]
	for len(pages) < n {
		pages = append(pages, f.take())
		t.promised--
	}
	t.planes[plane] = pages
	return pages[:n:n]
}

// release gives all but the shared pages back.
func (t *table) release(shared int, f *freeList) {
	for _, pages := range t.planes {
		if shared < len(pages) {
			f.give(pages[shared:])
		}
	}
	f.give(t.scratch)
	f.promised -= t.promised
	*t = table{}
}

// own is how many pages release would free.
func (t *table) own(shared int) int {
	n := t.promised + len(t.scratch)
	for _, pages := range t.planes {
		n += max(len(pages)-shared, 0)
	}
	return n
}

// column is page i of every plane.
func (t *table) column(i int) []int32 {
	var out []int32
	for _, pages := range t.planes {
		out = append(out, pages[i])
	}
	return out
}

// adopt appends a cached page to each plane, as many as there are.
func (t *table) adopt(pages []int32) {
	for plane := range t.planes {
		t.planes[plane] = append(t.planes[plane], pages[plane])
	}
}

// swap gives page i of every plane back and takes the cache's, which holds the same.
func (t *table) swap(i int, pages []int32, f *freeList) {
	for plane := range t.planes {
		f.give(t.planes[plane][i : i+1])
		t.planes[plane][i] = pages[plane]
	}
}
