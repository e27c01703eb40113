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
	classTable    = unpackRuns(ccc9)

	lowerMap     = unpackMappings(lower17)
	canonicalMap = unpackMappings(canonical9)
	compatMap    = unpackMappings(compat9)
	composeMap   = unpackPairs(compose9)
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
	var block [128]uint8
	at := 0
	for len(data) > 0 {
		n, size := binary.Uvarint(data)
		value := data[size]
		data = data[size+1:]
		for ; n > 0; n-- {
			block[at&127] = value
			at++
			if at&127 != 0 {
				continue
			}
			i, ok := seen[block]
			if !ok {
				i = uint16(len(t.blocks))
				seen[block] = i
				t.blocks = append(t.blocks, block)
			}
			t.index[at>>7-1] = i
			// Long runs of whole blocks need no walk.
			for ok = true; n > 128 && ok; n -= 128 {
				full := block
				for j := range full {
					full[j] = value
				}
				j, known := seen[full]
				if !known {
					break
				}
				at += 128
				t.index[at>>7-1] = j
			}
		}
	}
	return t
}

func unpackMappings(text string) map[rune][]rune {
	out := map[rune][]rune{}
	eachMapping(text, func(from rune, to []rune) { out[from] = to })
	return out
}

// unpackPairs maps the pair first<<32|second to its composite.
func unpackPairs(text string) map[uint64]rune {
	out := map[uint64]rune{}
	eachMapping(text, func(composite rune, pair []rune) {
		out[uint64(pair[0])<<32|uint64(pair[1])] = composite
	})
	return out
}

func eachMapping(text string, visit func(from rune, to []rune)) {
	data := decode(text)
	next := func() uint64 {
		v, size := binary.Uvarint(data)
		data = data[size:]
		return v
	}
	from := rune(0)
	for len(data) > 0 {
		from += rune(next())
		to := make([]rune, next())
		for i := range to {
			v, size := binary.Varint(data)
			data = data[size:]
			to[i] = from + rune(v)
		}
		visit(from, to)
	}
}
