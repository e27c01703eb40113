package tokenizer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/loopserve/loopserve/tokenizer/internal/ucd"
)

// precompiled is SentencePiece's normalizer: a double array (darts-clone) of
// the strings it replaces, and their replacements, each ended by a zero byte.
type precompiled struct {
	units []uint32
	texts []byte
}

func newPrecompiled(charsmap []byte) (*precompiled, error) {
	if len(charsmap) < 4 {
		return nil, errors.New("charsmap is shorter than its header")
	}
	size := int64(binary.LittleEndian.Uint32(charsmap))
	rest := charsmap[4:]
	if size%4 != 0 || size == 0 || size > int64(len(rest)) {
		return nil, fmt.Errorf("charsmap declares a trie of %d bytes and holds %d", size, len(rest))
	}
	p := &precompiled{units: make([]uint32, size/4), texts: rest[size:]}
	for i := range p.units {
		p.units[i] = binary.LittleEndian.Uint32(rest[4*i:])
	}
	for _, text := range bytes.Split(p.texts, []byte{0}) {
		if len(text) > maxReplacement {
			return nil, fmt.Errorf("charsmap has a replacement of %d bytes, at most %d are taken", len(text), maxReplacement)
		}
	}
	return p, nil
}

// maxReplacement bounds a replacement; the longest of Unicode's own has 33 bytes.
const maxReplacement = 256

func offset(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }

// transform is the replacement for the shortest key at the start of b.
func (p *precompiled) transform(b []byte) ([]byte, bool) {
	at := offset(p.units[0])
	for _, c := range b {
		if c == 0 {
			break
		}
		at ^= uint32(c)
		if int64(at) >= int64(len(p.units)) {
			return nil, false
		}
		unit := p.units[at]
		if unit&(1<<31|0xFF) != uint32(c) {
			return nil, false
		}
		at ^= offset(unit)
		if int64(at) >= int64(len(p.units)) {
			return nil, false
		}
		if unit>>8&1 == 1 {
			return p.text(p.units[at] & (1<<31 - 1)), true
		}
	}
	return nil, false
}

func (p *precompiled) text(at uint32) []byte {
	if int64(at) >= int64(len(p.texts)) {
		return nil
	}
	end := at
	for int(end) < len(p.texts) && p.texts[end] != 0 {
		end++
	}
	return p.texts[at:end]
}

// apply replaces whole grapheme clusters under six bytes where they have a
// replacement, else their characters one by one.
func (p *precompiled) apply(s *scratch, dst, src []byte) ([]byte, error) {
	for i := 0; i < len(src); {
		end := cluster(src, i)
		if end-i < 6 {
			if text, ok := p.transform(src[i:end]); ok {
				dst = append(dst, text...)
				if len(dst) == 0 {
					s.head = false
				}
				i = end
				continue
			}
		}
		for i < end {
			n := runeLen(src[i:])
			if text, ok := p.transform(src[i : i+n]); ok {
				dst = append(dst, text...)
				if len(dst) == 0 {
					s.head = false
				}
			} else {
				dst = append(dst, src[i:i+n]...)
			}
			i += n
		}
	}
	return dst, nil
}

// cluster is the end of the grapheme cluster at i. Hangul syllables, flags,
// emoji sequences and conjuncts are cut here, since each of their parts alone
// has three bytes or more: the whole is never under six.
func cluster(b []byte, i int) int {
	r, n := decodeRune(b[i:])
	i += n
	previous := ucd.BreakOf(r)
	for i < len(b) {
		r, n = decodeRune(b[i:])
		next := ucd.BreakOf(r)
		switch {
		case previous == ucd.CR && next == ucd.LF:
		case previous == ucd.CR, previous == ucd.LF, previous == ucd.Control:
			return i
		case next == ucd.CR, next == ucd.LF, next == ucd.Control:
			return i
		case next == ucd.Extend, previous == ucd.Prepend:
		default:
			return i
		}
		previous = next
		i += n
	}
	return i
}
