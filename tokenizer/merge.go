package tokenizer

import (
	"math/bits"
)

// bpeScratch is the working memory of one merge.
type bpeScratch struct {
	ids              []int32
	nodes            []mergeNode
	heap             []uint64 // rank<<32 | position
	spelled, affixed []byte
}

// mergeNode is a symbol in the list; its fields are read together, so they lie
// in one line of the cache.
type mergeNode struct {
	id         int32
	rank       uint32 // of the pair with the next symbol
	prev, next int32
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
		return m.mergeShort(symbols)
	}
	return m.mergeLong(s, symbols)
}

// mergeShort keeps the rank of each adjacent pair and closes the gap after
// each merge.
func (m *bpe) mergeShort(ids []int32) []int32 {
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
	if cap(s.nodes) < n {
		s.nodes = make([]mergeNode, n+n/4)
	}
	nodes, heap := s.nodes[:n], s.heap[:0]
	for i, id := range ids {
		rank := noRank
		if i+1 < n {
			if rank, _ = m.merges.get(id, ids[i+1]); rank != noRank {
				heap = append(heap, uint64(rank)<<32|uint64(i))
			}
		}
		nodes[i] = mergeNode{id, rank, int32(i - 1), int32(i + 1)}
	}
	for i := len(heap)/4 + 1; i >= 0; i-- {
		sink(heap, i)
	}
	for len(heap) > 0 {
		top := heap[0]
		at := int32(uint32(top))
		node := &nodes[at]
		// A candidate is stale once its pair has another rank or is gone.
		if node.rank != uint32(top>>32) {
			heap = pop(heap)
			continue
		}
		right := &nodes[node.next]
		_, node.id = m.merges.get(node.id, right.id)
		node.next, node.rank, right.rank = right.next, noRank, noRank
		free := true // the popped place can take the first new candidate
		if int(node.next) < n {
			after := &nodes[node.next]
			after.prev = at
			node.rank, _ = m.merges.get(node.id, after.id)
			if node.rank != noRank {
				heap[0], free = uint64(node.rank)<<32|uint64(at), false
				sink(heap, 0)
			}
		}
		if node.prev >= 0 {
			before := &nodes[node.prev]
			before.rank, _ = m.merges.get(before.id, node.id)
			if before.rank != noRank {
				key := uint64(before.rank)<<32 | uint64(node.prev)
				if free {
					heap[0], free = key, false
					sink(heap, 0)
				} else {
					heap = push(heap, key)
				}
			}
		}
		if free {
			heap = pop(heap)
		}
	}
	s.heap = heap
	out := ids[:0]
	for i := int32(0); int(i) < n; i = nodes[i].next {
		out = append(out, nodes[i].id)
	}
	return out
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

// pairTable maps a pair of ids to its merge: open addressing, at most half
// full, keys and values in one line of the cache.
type pairTable struct {
	slots []pairSlot
	shift uint
}

type pairSlot struct {
	key  uint64 // left<<32 | right, plus one so that zero is free
	rank uint32
	id   int32
}

func newPairTable(n int) *pairTable {
	size := 1 << bits.Len(uint(2*n+1))
	return &pairTable{slots: make([]pairSlot, size), shift: uint(64 - bits.TrailingZeros(uint(size)))}
}

func pairKey(left, right int32) uint64 { return (uint64(uint32(left))<<32 | uint64(uint32(right))) + 1 }

// slot is where the key is, or would be. The factor is 2^64 over the golden
// ratio (Fibonacci hashing).
func (t *pairTable) slot(key uint64) uint64 {
	mask := uint64(len(t.slots) - 1)
	i := (key * 0x9E3779B97F4A7C15) >> t.shift
	for t.slots[i&mask].key != key && t.slots[i&mask].key != 0 {
		i++
	}
	return i & mask
}

// set records a merge; of equal pairs the last one stays.
func (t *pairTable) set(left, right int32, rank uint32, id int32) {
	key := pairKey(left, right)
	t.slots[t.slot(key)] = pairSlot{key, rank, id}
}

// get is the merge of a pair; rank is noRank where there is none.
func (t *pairTable) get(left, right int32) (rank uint32, id int32) {
	key := pairKey(left, right)
	if s := &t.slots[t.slot(key)]; s.key == key {
		return s.rank, s.id
	}
	return noRank, -1
}

const noRank = ^uint32(0)
