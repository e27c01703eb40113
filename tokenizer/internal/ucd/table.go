package ucd

import (
	"encoding/base64"
	"encoding/binary"
)

// table is a value per code point in two stages: blocks of 128 code points,
// equal blocks shared.
type table struct {
	index  [0x110000 >> 7]uint16
	blocks [][128]uint8
}

func (t *table) at(r rune) uint8 {
	if uint32(r) > 0x10FFFF {
		return 0
	}
	return t.blocks[t.index[r>>7]][r&127]
}

var (
	categoryTable = unpackRuns(category16)
	numericTable  = unpackRuns(numeric17)
	markTable     = unpackRuns(mark9)
	punctTable    = unpackRuns(punct8)
	breakTable    = unpackRuns(break16)

	lowerMap = unpackMappings(lower17)
)

func decode(text string) []byte {
	data, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		panic("ucd: a generated table is not base64: " + err.Error())
	}
	return data
}

func unpackRuns(text string) *table {
	data := decode(text)
	t := &table{}
	seen := map[[128]uint8]uint16{}
	var value uint8
	var run, taken uint64 // the length of the run under way, and how much of it is unpacked
	for i := range t.index {
		if taken >= 128 && run-taken >= 128 { // as the block before
			t.index[i] = t.index[i-1]
			taken += 128
			continue
		}
		var block [128]uint8
		for j := range block {
			if taken == run {
				n, size := binary.Uvarint(data)
				run, taken, value, data = n, 0, data[size], data[size+1:]
			}
			block[j] = value
			taken++
		}
		at, ok := seen[block]
		if !ok {
			at = uint16(len(t.blocks))
			seen[block] = at
			t.blocks = append(t.blocks, block)
		}
		t.index[i] = at
	}
	return t
}

func unpackMappings(text string) map[rune][]rune {
	data := decode(text)
	next := func() uint64 {
		v, size := binary.Uvarint(data)
		data = data[size:]
		return v
	}
	out := map[rune][]rune{}
	from := rune(0)
	for len(data) > 0 {
		from += rune(next())
		to := make([]rune, next())
		for i := range to {
			v, size := binary.Varint(data)
			data = data[size:]
			to[i] = from + rune(v)
		}
		out[from] = to
	}
	return out
}
