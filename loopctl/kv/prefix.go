package kv

import (
	"container/list"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// key names a full page of tokens and all that its K and V depend on: every token before it, and the root. It is a
// keyed hash, so no client can make two prefixes meet.
type key [sha256.Size]byte

// cached is a page of tokens that outlives its sequence: its pages at every stage, and in the block for every plane.
// While a sequence uses it, refs counts it; with none it is the eviction's.
type cached struct {
	key   key
	pages [Stages][]int32
	refs  int
	place *list.Element // in unused, with refs 0
}

// prefixCache finds pages by what was computed into them.
type prefixCache struct {
	secret        [32]byte
	byKey         map[key]*cached
	unused        list.List   // of *cached, in the order of their last use
	evictable     [Stages]int // pages of those
	queries, hits int64       // in tokens
	sum           hash.Hash
	buf           []byte
}

func newPrefixCache() prefixCache {
	p := prefixCache{byKey: map[key]*cached{}, sum: sha256.New()}
	_, _ = rand.Read(p.secret[:]) // never fails
	return p
}

// shares says whether pages of h may be shared. Exact they are under the policy `depth` only.
func (m *Memory) shares(h *Holding) bool {
	return h.Root != nil && !m.g.NoSharing && m.g.Policy.Planes == 0 && m.g.Pages != [Stages]int{}
}

// keysOf computes the keys of the first n pages of h.
func (m *Memory) keysOf(h *Holding, tokens []int32, n int) []key {
	p := &m.cache
	for i := len(h.keys); i < n; i++ {
		b := append(p.buf[:0], p.secret[:]...)
		if i == 0 {
			b = append(b, h.Root...)
		} else {
			b = append(b, h.keys[i-1][:]...)
		}
		for _, id := range tokens[i*m.g.PageSize : (i+1)*m.g.PageSize] {
			b = binary.LittleEndian.AppendUint32(b, uint32(id))
		}
		p.buf = b
		p.sum.Reset()
		p.sum.Write(b)
		var k key
		p.sum.Sum(k[:0])
		h.keys = append(h.keys, k)
	}
	return h.keys[:n]
}

// match is how many leading pages of tokens are there. The newest token is never among them: its logits are needed.
func (m *Memory) match(h *Holding, tokens []int32) int {
	if h.Fresh || h.Bound < 0 || !m.shares(h) {
		return 0
	}
	planes := m.g.planesIn(Block, h.Loops)
	most := len(tokens) - 1
	if h.Bound > 0 {
		most = min(most, h.Bound)
	}
	keys := m.keysOf(h, tokens, most/m.g.PageSize)
	for i, k := range keys {
		if e := m.cache.byKey[k]; e == nil || len(e.pages[Block]) < planes {
			return i
		}
	}
	return len(keys)
}

// adopt lets h, freshly admitted, use its first n pages from the cache.
func (m *Memory) adopt(h *Holding, n, tokens int) {
	if m.shares(h) {
		m.cache.queries += int64(tokens)
	}
	for _, k := range h.keys[:n] {
		e := m.cache.byKey[k]
		m.cache.use(e)
		h.shared = append(h.shared, e)
		for s := range Stages {
			h.tables[s].adopt(e.pages[s])
		}
	}
	m.cache.hits += int64(n * m.g.PageSize)
}

// Share moves the full pages of the first done tokens, which are computed in all planes, into the cache. h goes on
// using them.
func (m *Memory) Share(h *Holding, tokens []int32, done int) {
	if !m.shares(h) {
		return
	}
	keys := m.keysOf(h, tokens, done/m.g.PageSize)
	for i := len(h.shared); i < len(keys); i++ {
		e := m.cache.byKey[keys[i]]
		switch {
		case e != nil && len(e.pages[Block]) < len(h.tables[Block].planes): // theirs is not deep enough
			if e.refs > 0 {
				return
			}
			m.evict(e)
			fallthrough
		case e == nil:
			e = &cached{key: keys[i], refs: 1}
			for s := range Stages {
				e.pages[s] = h.tables[s].column(i)
			}
			m.cache.byKey[e.key] = e
		default: // somebody was faster: use theirs
			m.cache.use(e)
			for s := range Stages {
				h.tables[s].swap(i, e.pages[s], &m.free[s])
			}
		}
		h.shared = append(h.shared, e)
	}
}

// evict frees an entry that nobody uses.
func (m *Memory) evict(e *cached) {
	m.cache.take(e)
	delete(m.cache.byKey, e.key)
	for s := range Stages {
		m.free[s].give(e.pages[s])
	}
}

// use counts a user in.
func (p *prefixCache) use(e *cached) {
	if e.refs == 0 {
		p.take(e)
	}
	e.refs++
}

// drop counts a user out.
func (p *prefixCache) drop(e *cached) {
	if e.refs--; e.refs > 0 {
		return
	}
	e.place = p.unused.PushBack(e)
	for s := range Stages {
		p.evictable[s] += len(e.pages[s])
	}
}

// take takes an entry out of those that nobody uses.
func (p *prefixCache) take(e *cached) {
	p.unused.Remove(e.place)
	for s := range Stages {
		p.evictable[s] -= len(e.pages[s])
	}
}
