package loopctl

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math"
)

// cacheKey names a full page of tokens and all that its K and V depend on: every token before it, the salt, and what
// decides depths. It is a keyed hash, so no client can make two prefixes meet.
type cacheKey [sha256.Size]byte

// cached is a page of tokens that outlives its sequence: its pages at every stage, and in the block for every plane.
// While a sequence uses it, refs counts it; with none it is the eviction's.
type cached struct {
	key          cacheKey
	pages        [numStages][]int32
	refs         int
	older, newer *cached // in the order of their last use; only with refs 0
}

// prefixCache finds pages by what was computed into them.
type prefixCache struct {
	secret         [32]byte
	byKey          map[cacheKey]*cached
	oldest, newest *cached
	evictable      [numStages]int // pages of entries that nobody uses
	queries, hits  int64          // in tokens
	sum            hash.Hash
	buf            []byte
}

func newPrefixCache() prefixCache {
	p := prefixCache{byKey: map[cacheKey]*cached{}, sum: sha256.New()}
	_, _ = rand.Read(p.secret[:]) // never fails
	return p
}

// caches says whether pages of s may be shared. Exact they are under the policy `depth` only, and where depths follow
// from the tokens.
func (c *Controller) caches(s *sequence) bool {
	return !c.cfg.NoPrefixCache && !s.req.NoCache && len(s.req.Replay) == 0 && c.capacity.KV.Planes == 0 &&
		c.capacity.Pages != [numStages]int{}
}

// keysOf computes the keys of the first n pages of s.
func (c *Controller) keysOf(s *sequence, n int) []cacheKey {
	p := &c.prefix
	for i := len(s.keys); i < n; i++ {
		b := append(p.buf[:0], p.secret[:]...)
		if i == 0 {
			b = c.root(b, s)
		} else {
			b = append(b, s.keys[i-1][:]...)
		}
		for _, id := range s.tokens[i*c.capacity.PageSize : (i+1)*c.capacity.PageSize] {
			b = binary.LittleEndian.AppendUint32(b, uint32(id))
		}
		p.buf = b
		p.sum.Reset()
		p.sum.Write(b)
		var key cacheKey
		p.sum.Sum(key[:0])
		s.keys = append(s.keys, key)
	}
	return s.keys[:n]
}

// root is what K and V depend on beside tokens. Without layers in the coda, pages of a fixed depth serve any lower one.
// With them, or under a policy that lets prompt rows leave, they serve their like alone.
func (c *Controller) root(b []byte, s *sequence) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(len(s.req.CacheSalt)))
	b = append(b, s.req.CacheSalt...)
	if c.capacity.Seeded {
		b = binary.LittleEndian.AppendUint64(b, s.req.Seed)
	}
	free := s.exit.free()
	if free || c.capacity.Pages[StageCoda] > 0 {
		b = binary.LittleEndian.AppendUint32(b, uint32(s.loops))
	}
	if free {
		b = append(b, byte(s.exit.Kind))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(s.exit.Threshold))
		b = binary.LittleEndian.AppendUint32(b, uint32(s.exit.MinLoops))
		b = binary.LittleEndian.AppendUint32(b, uint32(s.exit.Agree))
	}
	return b
}

// match is how many leading pages of s are there. The newest token is never among them: its logits are needed.
func (c *Controller) match(s *sequence) int {
	if !c.caches(s) || s.req.Scorer != nil || s.req.OnLatent != nil {
		return 0
	}
	planes := 0
	if c.capacity.Pages[StageBlock] > 0 {
		planes = s.loops
	}
	keys := c.keysOf(s, (s.known-1)/c.capacity.PageSize)
	for i, key := range keys {
		if e := c.prefix.byKey[key]; e == nil || len(e.pages[StageBlock]) < planes {
			return i
		}
	}
	return len(keys)
}

// adopt lets s, freshly admitted, use its first n pages from the cache.
func (c *Controller) adopt(s *sequence, n int) {
	if c.caches(s) {
		c.prefix.queries += int64(s.known)
	}
	for _, key := range s.keys[:n] {
		e := c.prefix.byKey[key]
		c.prefix.use(e)
		s.shared = append(s.shared, e)
		for st := range numStages {
			s.tables[st].adopt(e.pages[st])
		}
	}
	tokens := n * c.capacity.PageSize
	s.fed = tokens
	c.prefix.hits += int64(tokens)
	c.stats.Cached += tokens
	if s.stats.Preemptions == 0 {
		s.stats.CachedTokens = min(tokens, len(s.req.Prompt))
	}
	c.pay(s, tokens*s.loops)
}

// share moves the full pages of s that are computed into the cache. s goes on using them.
func (c *Controller) share(s *sequence) {
	if !c.caches(s) {
		return
	}
	done := min(s.fed, s.known)
	if len(s.chunks) > 0 {
		done = min(done, s.chunks[0].first)
	}
	size := c.capacity.PageSize
	keys := c.keysOf(s, done/size)
	for i := len(s.shared); i < len(keys); i++ {
		if s.varies && !s.exit.free() && !s.deep(i*size, (i+1)*size) {
			return
		}
		e := c.prefix.byKey[keys[i]]
		switch {
		case e != nil && len(e.pages[StageBlock]) < len(s.tables[StageBlock].planes):
			if e.refs > 0 {
				return
			}
			c.evict(e)
			fallthrough
		case e == nil:
			e = &cached{key: keys[i], refs: 1}
			for st := range numStages {
				e.pages[st] = s.tables[st].column(i)
			}
			c.prefix.byKey[e.key] = e
		default: // somebody was faster: use theirs
			c.prefix.use(e)
			for st := range numStages {
				s.tables[st].swap(i, e.pages[st], &c.pools[st])
			}
		}
		for st := range numStages {
			s.tables[st].shared++
		}
		s.shared = append(s.shared, e)
	}
}

// deep says that rows of these positions are known to have done all loops.
func (s *sequence) deep(from, to int) bool {
	for i := from; i < to; i++ {
		if i >= len(s.depths) || int(s.depths[i]) != s.loops {
			return false
		}
	}
	return true
}

// unshare lets go of the cache's pages, the first of the chain last: it is worth the most.
func (c *Controller) unshare(s *sequence) {
	for i := len(s.shared) - 1; i >= 0; i-- {
		c.prefix.drop(s.shared[i])
	}
	clear(s.shared)
	s.shared = s.shared[:0]
}

// use counts a user in.
func (p *prefixCache) use(e *cached) {
	if e.refs == 0 {
		p.unlink(e)
	}
	e.refs++
}

// drop counts a user out.
func (p *prefixCache) drop(e *cached) {
	if e.refs--; e.refs > 0 {
		return
	}
	e.older = p.newest
	if p.newest != nil {
		p.newest.newer = e
	} else {
		p.oldest = e
	}
	p.newest = e
	for st := range numStages {
		p.evictable[st] += len(e.pages[st])
	}
}

func (p *prefixCache) unlink(e *cached) {
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		p.oldest = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		p.newest = e.older
	}
	e.older, e.newer = nil, nil
	for st := range numStages {
		p.evictable[st] -= len(e.pages[st])
	}
}

// evict frees an entry that nobody uses.
func (c *Controller) evict(e *cached) {
	c.prefix.unlink(e)
	delete(c.prefix.byKey, e.key)
	for st := range numStages {
		c.pools[st].give(e.pages[st])
	}
}

// promise reserves pages at all stages or at none, and evicts what it must, the longest unused first.
func (c *Controller) promise(need [numStages]int) bool {
	for st := range numStages {
		if need[st] > c.pools[st].available()+c.prefix.evictable[st] {
			return false
		}
	}
	for st := range numStages {
		for need[st] > c.pools[st].available() {
			c.evict(c.prefix.oldest)
		}
	}
	for st := range numStages {
		c.pools[st].reserve(need[st])
	}
	return true
}
