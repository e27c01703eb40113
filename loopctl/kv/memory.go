package kv

import "iter"

// Memory accounts for the KV pages of one engine.
type Memory struct {
	g     Geometry
	free  [Stages]freeList
	cache prefixCache

	fills  []Fill  // copies to make
	fillTo []int32 // what their slices point into
}

// New makes a memory of which every page is free, with an empty cache.
func New(g Geometry) *Memory {
	m := &Memory{g: g, cache: newPrefixCache()}
	for s := range Stages {
		m.free[s] = newFreeList(g.Pages[s])
	}
	return m
}

// Holding is what one sequence has of the memory. Its exported fields are set before the first Admit and stay as they
// are. Between Release and the next Admit it holds nothing.
type Holding struct {
	Loops int // that its rows do at most: the planes of the block
	Rows  int // tokens that it may come to hold
	Call  int // rows of its largest call, where a Policy has a Keep
	// Root is what K and V depend on beside tokens and depth. Sequences of equal Root share pages; nil shares none.
	Root []byte
	// Fresh takes nothing from the cache: all rows are to be computed. What is computed goes there nevertheless.
	Fresh bool
	// Bound is how many of the first tokens may come from the cache: 0 is no bound, less than that means none. Beyond it are rows
	// that were computed once and left early: pages of rows that did not would be other numbers.
	Bound int

	tables [Stages]table
	covers int
	shared []*cached // leading pages that belong to the cache
	keys   []key     // of the full pages of tokens, as far as computed; the same after each Admit

	view  []int32 // the page table of a loop that keeps nothing
	alike int     // rows of the first scratch page that are the plane's, by position
}

// Covers is how many tokens the pages promised to h hold.
func (h *Holding) Covers() int { return h.covers }

// Shared is how many leading pages of h are the cache's.
func (h *Holding) Shared() int { return len(h.shared) }

// Fill is one row's copy from a plane that it reached to those that it did not. The place inside a page is Position mod
// PageSize in all of them.
type Fill struct {
	Position int
	From     int32
	To       []int32
}

// Admit promises h, which holds nothing, pages for tokens and some ahead, at all stages or at none, and hands it those
// leading pages that the cache has, but never the one of the newest token, whose logits are needed. It returns how many
// tokens that saves.
func (m *Memory) Admit(h *Holding, tokens []int32) (cached int, ok bool) {
	hit := m.match(h, tokens)
	need, ok := m.promiseBeside(h, len(tokens), hit)
	if !ok && hit > 0 { // what is cached may be deeper than h needs, and then holds pages that it cannot spare
		hit = 0
		need, ok = m.promiseBeside(h, len(tokens), 0)
	}
	if !ok {
		return 0, false
	}
	for s := range Stages {
		if n := m.g.planesIn(s, h.Loops); n > 0 {
			h.tables[s] = newTable(n, m.g.pagesFor(h.Rows), need[s])
		}
	}
	for t := &h.tables[Block]; len(t.scratch) < m.g.scratch(h.Loops, h.Call); t.promised-- {
		t.scratch = append(t.scratch, m.free[Block].take())
	}
	h.covers = m.coversAt(h, len(tokens))
	m.adopt(h, hit, len(tokens))
	return hit * m.g.PageSize, true
}

// promiseBeside promises h what it needs beside its first hit pages, which the cache has.
func (m *Memory) promiseBeside(h *Holding, tokens, hit int) (need [Stages]int, ok bool) {
	for _, k := range h.keys[:hit] { // what it will use must not be evicted for it
		m.cache.use(m.cache.byKey[k])
	}
	need = m.g.Worst(m.coversAt(h, tokens), h.Loops, h.Call)
	for s := range Stages {
		need[s] -= hit * m.g.planesIn(s, h.Loops)
	}
	ok = m.promise(need)
	for i := hit - 1; i >= 0; i-- {
		m.cache.drop(m.cache.byKey[h.keys[i]])
	}
	return need, ok
}

// coversAt is how many tokens the pages of h hold after its admission: its own and some ahead, whole pages.
func (m *Memory) coversAt(h *Holding, tokens int) int {
	if m.g.Ahead >= 0 {
		return m.g.pagesFor(min(h.Rows, tokens+m.g.Ahead)) * m.g.PageSize
	}
	return m.g.pagesFor(h.Rows) * m.g.PageSize
}

// promise reserves pages at all stages or at none, and evicts what it must, the longest unused first.
func (m *Memory) promise(need [Stages]int) bool {
	for s := range Stages {
		if need[s] > m.free[s].available()+m.cache.evictable[s] {
			return false
		}
	}
	for s := range Stages {
		for need[s] > m.free[s].available() {
			m.evict(m.cache.unused.Front().Value.(*cached))
		}
	}
	for s := range Stages {
		m.free[s].promised += need[s]
	}
	return true
}

// Grow promises h one more page for each plane, at all stages or at none.
func (m *Memory) Grow(h *Holding) bool {
	var need [Stages]int
	for s := range Stages {
		need[s] = len(h.tables[s].planes)
	}
	if !m.promise(need) {
		return false
	}
	for s := range Stages {
		h.tables[s].promised += need[s]
	}
	h.covers += m.g.PageSize
	return true
}

// Pages is the page table of h that a call of a stage needs for its rows from first to before end, at most Covers, at a depth (in
// the block: loops done before the call) of loops. It is nil where the stage keeps no KV, and good until the next call of h.
func (m *Memory) Pages(h *Holding, stage, depth, loops, first, end int) []int32 {
	t := &h.tables[stage]
	if t.planes == nil {
		return nil
	}
	n, plane := m.g.pagesFor(end), 0
	if stage == Block {
		plane = m.g.Policy.planeOf(depth)
		if past := first / m.g.PageSize; !m.g.Policy.writes(depth, loops) {
			h.view = append(append(h.view[:0], t.planes[0][:past]...), t.scratch[:n-past]...)
			return h.view
		}
	}
	return t.first(n, plane, &m.free[stage])
}

// Begin notes the copies that show a call whose first row is at a position, and whose loops keep nothing, the plane's rows in that
// row's page. All rows before it have left the block. It reports whether there are any.
func (m *Memory) Begin(h *Holding, first int) bool {
	t, size := &h.tables[Block], m.g.PageSize
	if len(t.scratch) == 0 {
		return false
	}
	from := max(first/size*size, h.alike)
	for p := from; p < first; p++ {
		m.fillTo = append(m.fillTo, t.scratch[0])
		m.fills = append(m.fills, Fill{Position: p, From: t.planes[0][p/size], To: m.fillTo[len(m.fillTo)-1:]})
	}
	h.alike = first
	return from < first
}

// Skip notes the copies that make the rows from first to before end, which left the block after depth loops, visible in
// the planes that they did not reach. It reports whether there are any.
func (m *Memory) Skip(h *Holding, first, end, depth int) bool {
	t := &h.tables[Block]
	if depth >= len(t.planes) {
		return false
	}
	for position := first; position < end; position++ {
		i, from := position/m.g.PageSize, len(m.fillTo)
		for plane := depth; plane < len(t.planes); plane++ {
			m.fillTo = append(m.fillTo, t.first(i+1, plane, &m.free[Block])[i])
		}
		m.fills = append(m.fills, Fill{
			Position: position, From: t.planes[depth-1][i], To: m.fillTo[from:len(m.fillTo):len(m.fillTo)],
		})
	}
	return true
}

// TakeFills hands the noted copies out, to be made before anybody reads there. They are good until the next Skip.
func (m *Memory) TakeFills() []Fill {
	fills := m.fills
	m.fills, m.fillTo = m.fills[:0], m.fillTo[:0]
	return fills
}

// Release takes all that h holds. What Share gave to the cache stays there.
func (m *Memory) Release(h *Holding) {
	for s := range Stages {
		h.tables[s].release(len(h.shared), &m.free[s])
	}
	for i := len(h.shared) - 1; i >= 0; i-- { // the first of the chain last: it is worth the most
		m.cache.drop(h.shared[i])
	}
	clear(h.shared)
	h.shared, h.covers, h.alike = h.shared[:0], 0, 0
}

// Room says whether h could be admitted with these tokens if the others were released. There must be others.
func (m *Memory) Room(h *Holding, tokens int, others iter.Seq[*Holding]) bool {
	need := m.g.Worst(m.coversAt(h, tokens), h.Loops, h.Call)
	for s := range Stages {
		need[s] -= m.free[s].available() + m.cache.evictable[s]
	}
	some := false
	for o := range others {
		some = true
		for s := range Stages {
			need[s] -= o.tables[s].own(len(o.shared))
		}
	}
	return some && max(need[Prelude], need[Block], need[Coda]) <= 0
}

// Usage is the memory in numbers.
type Usage struct {
	Used          [Stages]int // pages promised to sequences, taken or not yet, shared ones counted once
	Cached        [Stages]int // pages that only the cache holds: free, if somebody needs them
	Queries, Hits int64       // tokens of admitted sequences that could have been in the cache, and that were
}

// Usage is how things stand.
func (m *Memory) Usage() Usage {
	u := Usage{Cached: m.cache.evictable, Queries: m.cache.queries, Hits: m.cache.hits}
	for s := range Stages {
		u.Used[s] = m.g.Pages[s] - m.free[s].available() - u.Cached[s]
	}
	return u
}
