package tokenizer

import "math/bits"

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
