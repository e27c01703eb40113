package tokenizer

// bpeScratch is the working memory of one merge.
type bpeScratch struct {
	ids              []int32 // symbols; a merged-away one keeps its place
	ranks            []uint32
	prev, next       []int32
	heap             []uint64 // rank<<32 | position
	spelled, affixed []byte
}

// shortPiece is up to how many symbols a scan for the lowest rank beats the
// heap: measured on English and code, anything from 24 to 64 does.
const shortPiece = 32

// merge applies the merges, lowest rank first and leftmost among equals, and
// returns what is left, which lies in symbols' own memory.
func (m *bpe) merge(s *bpeScratch, symbols []int32) []int32 {
	if len(symbols) < 2 {
		return symbols
	}
	if len(symbols) <= shortPiece {
		return m.mergeShort(s, symbols)
	}
	return m.mergeLong(s, symbols)
}

// mergeShort keeps the rank of each adjacent pair and closes the gap after
// each merge.
func (m *bpe) mergeShort(s *bpeScratch, ids []int32) []int32 {
	var ranks [shortPiece]uint32
	var merged [shortPiece]int32
	n := len(ids) - 1
	for i := range n {
		ranks[i], merged[i] = m.merges.get(ids[i], ids[i+1])
	}
	for {
		best := 0
		for i := 1; i < n; i++ {
			if ranks[i] < ranks[best] {
				best = i
			}
		}
		if n == 0 || ranks[best] == noRank {
			return ids[:n+1]
		}
		ids[best] = merged[best]
		copy(ids[best+1:n], ids[best+2:n+1])
		copy(ranks[best:n-1], ranks[best+1:n])
		copy(merged[best:n-1], merged[best+1:n])
		n--
		if best > 0 {
			ranks[best-1], merged[best-1] = m.merges.get(ids[best-1], ids[best])
		}
		if best < n {
			ranks[best], merged[best] = m.merges.get(ids[best], ids[best+1])
		}
	}
}

// mergeLong works on a linked list with a heap of candidates: n log n in time
// and linear in memory whatever the text is.
func (m *bpe) mergeLong(s *bpeScratch, ids []int32) []int32 {
	n := len(ids)
	s.prev, s.next = resize(s.prev, n), resize(s.next, n)
	s.ranks = resize(s.ranks, n)
	heap := s.heap[:0]
	for i := range ids {
		s.prev[i], s.next[i] = int32(i-1), int32(i+1)
		s.ranks[i] = noRank
		if i+1 < n {
			s.ranks[i], _ = m.merges.get(ids[i], ids[i+1])
			if s.ranks[i] != noRank {
				heap = append(heap, uint64(s.ranks[i])<<32|uint64(i))
			}
		}
	}
	for i := len(heap)/4 + 1; i >= 0; i-- {
		sink(heap, i)
	}
	for len(heap) > 0 {
		top := heap[0]
		at := int32(uint32(top))
		// A candidate is stale once its pair has another rank or is gone.
		if s.ranks[at] != uint32(top>>32) {
			heap = pop(heap)
			continue
		}
		right := s.next[at]
		_, ids[at] = m.merges.get(ids[at], ids[right])
		after := s.next[right]
		s.next[at] = after
		s.ranks[right] = noRank
		ids[right] = -1
		replaced := false // the popped place is free for the first new candidate
		candidate := func(i, j int32) {
			rank, _ := m.merges.get(ids[i], ids[j])
			s.ranks[i] = rank
			if rank == noRank {
				return
			}
			key := uint64(rank)<<32 | uint64(uint32(i))
			if !replaced {
				replaced = true
				heap[0] = key
				sink(heap, 0)
				return
			}
			heap = push(heap, key)
		}
		s.ranks[at] = noRank
		if int(after) < n {
			s.prev[after] = at
			candidate(at, after)
		}
		if before := s.prev[at]; before >= 0 {
			candidate(before, at)
		}
		if !replaced {
			heap = pop(heap)
		}
	}
	s.heap = heap
	out := ids[:0]
	for i := int32(0); int(i) < n; i = s.next[i] {
		out = append(out, ids[i])
	}
	return out
}

func resize[T int32 | uint32](b []T, n int) []T {
	if cap(b) < n {
		return make([]T, n, n+n/4)
	}
	return b[:n]
}

// The heap has four children a node: fewer lines of memory on the way down.

func push(heap []uint64, key uint64) []uint64 {
	heap = append(heap, key)
	i := len(heap) - 1
	for i > 0 {
		up := (i - 1) / 4
		if heap[up] <= key {
			break
		}
		heap[i] = heap[up]
		i = up
	}
	heap[i] = key
	return heap
}

func pop(heap []uint64) []uint64 {
	last := len(heap) - 1
	heap[0] = heap[last]
	heap = heap[:last]
	sink(heap, 0)
	return heap
}

func sink(heap []uint64, i int) {
	if i >= len(heap) {
		return
	}
	key := heap[i]
	for {
		first := 4*i + 1
		if first >= len(heap) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(heap)); c++ {
			if heap[c] < heap[least] {
				least = c
			}
		}
		if heap[least] >= key {
			break
		}
		heap[i] = heap[least]
		i = least
	}
	heap[i] = key
}
