package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"unicode/utf8"
)

// bpe is byte-pair encoding, over the characters of a piece or, behind a
// ByteLevel pre-tokenizer, over its bytes.
type bpe struct {
	*vocabulary
	merges    *pairTable
	byteLevel bool

	bytes    [256]int32       // byte-level: the symbol of each byte, -1 none
	whole    map[string]int32 // byte-level with ignoreMerges: pieces that are tokens
	fallback [256]int32       // <0x00> …

	unk           int32 // -1: unknown characters are dropped
	fuseUnk       bool
	byteFallback  bool
	ignoreMerges  bool
	prefix, after string // continuing_subword_prefix, end_of_word_suffix
}

type bpeFile struct {
	Dropout      *float64         `json:"dropout"`
	Unk          *string          `json:"unk_token"`
	Prefix       *string          `json:"continuing_subword_prefix"`
	Suffix       *string          `json:"end_of_word_suffix"`
	FuseUnk      bool             `json:"fuse_unk"`
	ByteFallback bool             `json:"byte_fallback"`
	IgnoreMerges bool             `json:"ignore_merges"`
	Vocab        map[string]int32 `json:"vocab"`
	Merges       mergeList        `json:"merges"`
}

func parseBPE(raw json.RawMessage, byteLevel bool) (vocabModel, error) {
	var v bpeFile
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("model BPE: %w", err)
	}
	if v.Dropout != nil && *v.Dropout != 0 {
		return nil, unsupported("model BPE with dropout %g (its ids are random)", *v.Dropout)
	}
	vocab, err := readVocabulary(v.Vocab)
	if err != nil {
		return nil, fmt.Errorf("model BPE: %w", err)
	}
	m := &bpe{
		vocabulary: vocab, byteLevel: byteLevel, unk: -1,
		fuseUnk: v.FuseUnk, byteFallback: v.ByteFallback, ignoreMerges: v.IgnoreMerges,
	}
	if v.Prefix != nil {
		m.prefix = *v.Prefix
	}
	if v.Suffix != nil {
		m.after = *v.Suffix
	}
	if v.Unk != nil {
		id, ok := vocab.id(*v.Unk)
		if !ok {
			return nil, fmt.Errorf("model BPE: unk_token %q is not in the vocabulary", *v.Unk)
		}
		m.unk = id
	}
	if m.byteFallback {
		m.fallback = byteFallback(vocab.id)
	}
	if byteLevel {
		m.indexBytes()
	}
	return m, m.readMerges(v.Merges)
}

func (m *bpe) indexBytes() {
	for b, r := range charOfByte {
		m.bytes[b] = -1
		if id, ok := m.id(string(r)); ok {
			m.bytes[b] = id
		}
	}
	if m.ignoreMerges {
		m.whole = make(map[string]int32, len(m.ids))
		var buf []byte
		for token, id := range m.ids {
			if b, ok := appendBytes(buf[:0], token); ok {
				buf = b
				m.whole[string(b)] = id
			}
		}
	}
}

func (m *bpe) readMerges(list mergeList) error {
	m.merges = newPairTable(len(list))
	for rank, pair := range list {
		if len(pair[1]) < len(m.prefix) {
			return fmt.Errorf("model BPE: merge %d: %q is shorter than the prefix %q", rank+1, pair[1], m.prefix)
		}
		var ids [3]int32 // left, right, and what they become
		for i, token := range []string{pair[0], pair[1], pair[0] + pair[1][len(m.prefix):]} {
			var ok bool
			if ids[i], ok = m.id(token); !ok {
				return fmt.Errorf("model BPE: merge %d: %q is not in the vocabulary", rank+1, token)
			}
		}
		m.merges.set(ids[0], ids[1], uint32(rank), ids[2])
	}
	return nil
}

func (m *bpe) append(dst []int32, s *scratch, text []byte) ([]int32, error) {
	slot := s.words.slot(text)
	if slot != nil && slot.holds(text) {
		return append(dst, slot.ids[:slot.idLen]...), nil
	}
	from := len(dst)
	dst, err := m.encode(dst, s, text)
	if err == nil && slot != nil {
		slot.put(text, dst[from:])
	}
	return dst, err
}

func (m *bpe) encode(dst []int32, s *scratch, text []byte) ([]int32, error) {
	if m.ignoreMerges {
		words := m.ids
		if m.byteLevel {
			words = m.whole
		}
		if id, ok := words[string(text)]; ok {
			return append(dst, id), nil
		}
	}
	if len(text) > maxPiece {
		return dst, errPieceTooLong
	}
	symbols := m.symbols(s.bpe.ids[:0], s, text)
	s.bpe.ids = symbols
	return append(dst, m.merge(&s.bpe, symbols)...), nil
}

// maxPiece bounds a piece so that positions fit 32 bits.
const maxPiece = 1 << 30

var errPieceTooLong = errors.New("a piece of text is over 1 GiB; shorten the prompt")

// symbols appends the symbols that merging starts from.
func (m *bpe) symbols(dst []int32, s *scratch, text []byte) []int32 {
	if !m.byteLevel {
		return m.characters(dst, s, text, nil)
	}
	if m.prefix == "" && m.after == "" {
		for i, b := range text {
			id := m.bytes[b]
			if id < 0 { // a byte without a symbol: the general way from the start
				return m.characters(dst[:len(dst)-i], s, nil, text)
			}
			dst = append(dst, id)
		}
		return dst
	}
	return m.characters(dst, s, nil, text)
}

// characters appends the symbols of each character of text, or of the letters
// of the byte alphabet for raw.
func (m *bpe) characters(dst []int32, s *scratch, text, raw []byte) []int32 {
	if raw != nil {
		s.bpe.spelled = appendAlphabet(s.bpe.spelled[:0], raw)
		text = s.bpe.spelled
	}
	pending := false // an unknown character waits to be fused with more
	for i := 0; i < len(text); {
		end := i + runeLen(text[i:])
		symbol := text[i:end]
		if i > 0 && m.prefix != "" || end == len(text) && m.after != "" {
			buf := s.bpe.affixed[:0]
			if i > 0 {
				buf = append(buf, m.prefix...)
			}
			buf = append(buf, symbol...)
			if end == len(text) {
				buf = append(buf, m.after...)
			}
			s.bpe.affixed, symbol = buf, buf
		}
		i = end
		if id, ok := m.ids[string(symbol)]; ok {
			if pending {
				dst, pending = append(dst, m.unk), false
			}
			dst = append(dst, id)
			continue
		}
		if m.byteFallback {
			var ok bool
			// A waiting unknown stays behind these: as the reference does.
			if dst, ok = appendFallback(dst, &m.fallback, symbol); ok {
				continue
			}
		}
		if m.unk >= 0 {
			if pending && !m.fuseUnk {
				dst = append(dst, m.unk)
			}
			pending = true
		}
	}
	if pending {
		dst = append(dst, m.unk)
	}
	return dst
}

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

// The byte alphabet of GPT-2 writes each byte as one printable character:
// most of Latin-1 stands for itself, the rest follows from U+0100 on.
var (
	charOfByte = func() (t [256]rune) {
		next := rune(256)
		for b := range 256 {
			switch r := rune(b); {
			case '!' <= r && r <= '~', 0xA1 <= r && r <= 0xAC, 0xAE <= r && r <= 0xFF:
				t[b] = r
			default:
				t[b] = next
				next++
			}
		}
		return t
	}()
	byteOfChar = func() (t [324]int16) {
		for i := range t {
			t[i] = -1
		}
		for b, r := range charOfByte {
			t[r] = int16(b)
		}
		return t
	}()
)

// appendBytes appends the bytes that a token spells in the byte alphabet; ok
// is false, and dst unchanged, where a character is not of it.
func appendBytes(dst []byte, token string) (out []byte, ok bool) {
	n := len(dst)
	for _, r := range token {
		if int(r) >= len(byteOfChar) || byteOfChar[r] < 0 {
			return dst[:n], false
		}
		dst = append(dst, byte(byteOfChar[r]))
	}
	return dst, true
}

// appendAlphabet appends b in the byte alphabet.
func appendAlphabet(dst, b []byte) []byte {
	for _, c := range b {
		dst = utf8.AppendRune(dst, charOfByte[c])
	}
	return dst
}
