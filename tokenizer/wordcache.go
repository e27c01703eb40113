package tokenizer

import "hash/maphash"

// wordCache remembers the ids of short pieces. It is direct-mapped and of
// fixed size; each scratch has its own, so it needs no lock.
type wordCache struct {
	seed  maphash.Seed
	slots []cacheSlot
}

const (
	cacheSlots = 1 << 13
	cacheText  = 23 // with the two counts a slot is one cache line: 64 bytes
	cacheIDs   = 9
)

type cacheSlot struct {
	ids     [cacheIDs]int32
	text    [cacheText]byte
	textLen uint8 // 0: free; the text is never empty
	idLen   uint8
}

func newWordCache() wordCache {
	return wordCache{seed: maphash.MakeSeed(), slots: make([]cacheSlot, cacheSlots)}
}

// slot is where text belongs, nil if it is too long to be kept.
func (c *wordCache) slot(text []byte) *cacheSlot {
	if len(text) > cacheText {
		return nil
	}
	return &c.slots[maphash.Bytes(c.seed, text)%cacheSlots]
}

func (s *cacheSlot) holds(text []byte) bool {
	return string(s.text[:s.textLen]) == string(text)
}

func (s *cacheSlot) put(text []byte, ids []int32) {
	if len(ids) > cacheIDs {
		return
	}
	s.textLen, s.idLen = uint8(copy(s.text[:], text)), uint8(copy(s.ids[:], ids))
}
