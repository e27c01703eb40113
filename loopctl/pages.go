package loopctl

import "fmt"

// pool accounts for one stage's pages. It knows owners only by number: bytes are the engine's.
// A page is promised first (at admission) and taken later, so that taking never fails.
type pool struct {
	free     []int32 // a stack: the page given back last is warm
	promised int     // pages reserved and not yet taken
	total    int
}

func newPool(pages int) pool {
	p := pool{free: make([]int32, pages), total: pages}
	for i := range p.free {
		p.free[i] = int32(pages - 1 - i) // the first taken is page 0: stories read better
	}
	return p
}

// available is how many pages nobody holds or was promised.
func (p *pool) available() int { return len(p.free) - p.promised }

// reserve promises n pages, or reports that they are not there.
func (p *pool) reserve(n int) bool {
	if n > p.available() {
		return false
	}
	p.promised += n
	return true
}

// take turns one promise into a page.
func (p *pool) take() int32 {
	id := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	p.promised--
	return id
}

// give puts pages back.
func (p *pool) give(ids []int32) { p.free = append(p.free, ids...) }

// unreserve takes a promise of n pages back.
func (p *pool) unreserve(n int) { p.promised -= n }

// pagesFor is how many pages hold that many tokens.
func pagesFor(tokens, pageSize int) int { return (tokens + pageSize - 1) / pageSize }

// PlanesAt is how many planes of the block's KV memory a sequence of so many loops has.
func (p KVPolicy) PlanesAt(loops int) int {
	if p.Planes > 0 {
		return min(p.Planes, loops)
	}
	return loops
}

// planesIn is how many planes of a stage a sequence has: none where the stage has no layers.
func (p KVPolicy) planesIn(s Stage, loops int, pages [numStages]int) int {
	switch {
	case pages[s] == 0:
		return 0
	case s != StageBlock:
		return 1
	}
	return p.PlanesAt(loops)
}

// planeOf is the plane that a row reads and writes in its loop after depth loops. Under the policy `depth` that is
// exact: what a row reads was computed at its own depth.
func (p KVPolicy) planeOf(depth int) int {
	if p.Planes > 0 {
		return depth % p.Planes
	}
	return depth
}

// pageTable is the pages of one sequence at one stage: for each plane a list, with room for the worst case.
type pageTable struct {
	planes   [][]int32
	reserved int // promises not yet taken
	shared   int // leading pages of each plane that are the prefix cache's
}

func newPageTable(nplanes, perPlane, reserved int) pageTable {
	t := pageTable{planes: make([][]int32, nplanes), reserved: reserved}
	all := make([]int32, nplanes*perPlane)
	for i := range t.planes {
		t.planes[i] = all[i*perPlane : i*perPlane : (i+1)*perPlane]
	}
	return t
}

// cover makes the plane hold that many tokens and returns the pages that do.
func (t *pageTable) cover(p *pool, plane, tokens, pageSize int) []int32 {
	if t.planes == nil {
		return nil // a stage without layers
	}
	n := pagesFor(tokens, pageSize)
	pages := t.planes[plane]
	for len(pages) < n {
		pages = append(pages, p.take())
		t.reserved--
	}
	t.planes[plane] = pages
	return pages[:n:n]
}

// release gives everything back.
func (t *pageTable) release(p *pool) {
	for _, pages := range t.planes {
		if t.shared < len(pages) {
			p.give(pages[t.shared:])
		}
	}
	p.unreserve(t.reserved)
	*t = pageTable{}
}

// own is how many pages release would free.
func (t *pageTable) own() int {
	n := t.reserved
	for _, pages := range t.planes {
		n += max(len(pages)-t.shared, 0)
	}
	return n
}

// adopt appends a cached page to each plane, as many as there are.
func (t *pageTable) adopt(pages []int32) {
	for plane := range t.planes {
		t.planes[plane] = append(t.planes[plane], pages[plane])
	}
	t.shared++
}

// column is page i of every plane.
func (t *pageTable) column(i int) []int32 {
	var out []int32
	for _, pages := range t.planes {
		out = append(out, pages[i])
	}
	return out
}

// swap gives page i of every plane back and takes the cache's, which holds the same.
func (t *pageTable) swap(i int, pages []int32, p *pool) {
	for plane := range t.planes {
		p.give(t.planes[plane][i : i+1])
		t.planes[plane][i] = pages[plane]
	}
}

// check compares the pool with the tables of those who should hold its pages: each page has one owner.
func (p *pool) check(s Stage, tables []*pageTable, cache map[cacheKey]*cached) error {
	seen := make([]bool, p.total)
	mark := func(ids []int32, who string) error {
		for _, id := range ids {
			if id < 0 || int(id) >= p.total {
				return fmt.Errorf("%s pages: %s holds page %d of %d", s, who, id, p.total)
			}
			if seen[id] {
				return fmt.Errorf("%s pages: page %d of %s has two owners", s, id, who)
			}
			seen[id] = true
		}
		return nil
	}
	if err := mark(p.free, "the free list"); err != nil {
		return err
	}
	held, promised := 0, 0
	for i, t := range tables {
		promised += t.reserved
		for plane, ids := range t.planes {
			ids = ids[min(t.shared, len(ids)):]
			held += len(ids)
			if err := mark(ids, fmt.Sprintf("table %d plane %d", i, plane)); err != nil {
				return err
			}
		}
	}
	for _, e := range cache {
		held += len(e.pages[s])
		if err := mark(e.pages[s], "the prefix cache"); err != nil {
			return err
		}
	}
	if promised > len(p.free) {
		return fmt.Errorf("%s pages: %d promised, %d free", s, promised, len(p.free))
	}
	if held+len(p.free) != p.total || promised != p.promised {
		return fmt.Errorf("%s pages: %d held + %d free of %d, %d promised to sequences and %d in the books",
			s, held, len(p.free), p.total, promised, p.promised)
	}
	return nil
}
