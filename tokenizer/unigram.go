package tokenizer

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// unigram finds the segmentation of a piece with the highest sum of scores.
type unigram struct {
	*vocabulary
	scores       []float64
	trie         *trie
	unk          int32 // -1: an unknown character is an error
	unkScore     float64
	byteFallback bool
	fallback     [256]int32
	byteLevel    bool
}

// unkPenalty is how far an unknown character lies below the worst token
// (SentencePiece's kUnkPenalty).
const unkPenalty = 10.0

type unigramScratch struct {
	nodes []pathNode
	found []int32
	ends  []int32
}

// pathNode is the best path that ends at a position.
type pathNode struct {
	score float64
	id    int32
	start int32 // where its last token starts, -1: none yet
}

func parseUnigram(raw json.RawMessage, byteLevel bool) (vocabModel, error) {
	var v struct {
		Unk          *int32              `json:"unk_id"`
		Vocab        [][]json.RawMessage `json:"vocab"`
		ByteFallback bool                `json:"byte_fallback"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("model Unigram: %w", err)
	}
	if len(v.Vocab) >= maxID {
		return nil, fmt.Errorf("model Unigram: %d tokens, at most %d", len(v.Vocab), maxID-1)
	}
	m := &unigram{
		vocabulary: newVocabulary(make(map[string]int32, len(v.Vocab)), len(v.Vocab)),
		unk:        -1, byteFallback: v.ByteFallback, byteLevel: byteLevel,
	}
	lowest := math.Inf(1)
	order := make([]int32, len(v.Vocab))
	for i, entry := range v.Vocab {
		var token string
		if len(entry) != 2 || json.Unmarshal(entry[0], &token) != nil {
			return nil, fmt.Errorf("model Unigram: vocab entry %d is not [token, score]", i)
		}
		score, ok := parseScore(string(entry[1]))
		if !ok {
			return nil, fmt.Errorf("model Unigram: vocab entry %d: %s is not a score", i, clip(entry[1]))
		}
		m.ids[token] = int32(i)
		m.put(token, int32(i))
		m.scores = append(m.scores, score)
		order[i] = int32(i)
		lowest = min(lowest, score)
	}
	if v.Unk != nil {
		if *v.Unk < 0 || int(*v.Unk) >= m.size() {
			return nil, fmt.Errorf("model Unigram: unk_id %d is not in the vocabulary of %d", *v.Unk, m.size())
		}
		m.unk = *v.Unk
	}
	m.unkScore = lowest - unkPenalty
	m.trie = newTrie(m.tokens, order)
	m.fallback = byteFallback(m.id)
	return m, nil
}

// size counts tokens that stand twice, too.
func (m *unigram) size() int { return len(m.scores) }

func (m *unigram) append(dst []int32, s *scratch, text []byte) ([]int32, error) {
	if m.byteLevel {
		s.spare = appendAlphabet(s.spare[:0], text)
		text = s.spare
	}
	if len(text) > maxPiece {
		return dst, errPieceTooLong
	}
	u := &s.unigram
	if err := m.search(u, text); err != nil {
		return dst, err
	}
	// Walk back; neighbouring unknowns are one.
	u.found, u.ends = u.found[:0], u.ends[:0]
	for at := int32(len(text)); at > 0; {
		node := u.nodes[at]
		if k := len(u.found); m.unk < 0 || node.id != m.unk || k == 0 || u.found[k-1] != m.unk {
			u.found, u.ends = append(u.found, node.id), append(u.ends, at)
		}
		at = node.start
	}
	slices.Reverse(u.found)
	slices.Reverse(u.ends)
	start := int32(0)
	for i, id := range u.found {
		part := text[start:u.ends[i]]
		start = u.ends[i]
		if id != m.unk {
			dst = append(dst, id)
			continue
		}
		dst = m.unknown(dst, part)
	}
	return dst, nil
}

// unknown appends the ids of text that has no single known character: it may
// still be a token as a whole, or bytes.
func (m *unigram) unknown(dst []int32, text []byte) []int32 {
	if id, ok := m.ids[string(text)]; ok {
		return append(dst, id)
	}
	if m.byteFallback {
		if out, ok := appendFallback(dst, &m.fallback, text); ok {
			return out
		}
	}
	return append(dst, m.unk)
}

// search fills the best paths to every position (Viterbi). Of equal scores
// the path found first stays: the one whose last token is longest.
func (m *unigram) search(u *unigramScratch, text []byte) error {
	if cap(u.nodes) <= len(text) {
		u.nodes = make([]pathNode, len(text)+1+len(text)/4)
	}
	nodes := u.nodes[:len(text)+1]
	for i := range nodes {
		nodes[i] = pathNode{start: -1}
	}
	for at := 0; at < len(text); {
		size := runeLen(text[at:])
		here, single := nodes[at].score, false
		reach := func(end int, id int32, score float64) {
			if node := &nodes[end]; node.start < 0 || score > node.score {
				*node = pathNode{score, id, int32(at)}
			}
		}
		node := uint32(0)
		for i := at; i < len(text); i++ {
			if node = m.trie.child(node, text[i]); node == 0 {
				break
			}
			if id := m.trie.value[node]; id >= 0 {
				reach(i+1, id, m.scores[id]+here)
				single = single || i+1-at == size
			}
		}
		if !single {
			if m.unk < 0 {
				return fmt.Errorf("character %q is not in the vocabulary, which has no unk_id", text[at:at+size])
			}
			reach(at+size, m.unk, m.unkScore+here)
		}
		at += size
	}
	return nil
}

// parseScore reads a number of JSON as serde_json does without its
// float_roundtrip feature: digits into 64 bits, further ones dropped, then one
// multiplication or division by a power of ten. The last bit may differ from
// the nearest double, and where two segmentations of Unigram tie but for that
// bit it decides which one wins.
func parseScore(text string) (float64, bool) {
	digits, negative := strings.CutPrefix(text, "-")
	if digits == "" || digits[0] < '0' || digits[0] > '9' { // JSON, but no number
		return 0, false
	}
	exponent := 0
	if e := strings.IndexAny(digits, "eE"); e >= 0 {
		var err error
		if exponent, err = strconv.Atoi(digits[e+1:]); err != nil || exponent > 1<<20 || exponent < -1<<20 {
			return 0, false
		}
		digits = digits[:e]
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	significand, full := uint64(0), false
	for i, c := range whole + fraction {
		digit := uint64(c - '0')
		full = full || significand > (math.MaxUint64-digit)/10
		switch {
		case full && i < len(whole): // dropped, but its place counts
			exponent++
		case !full:
			significand = significand*10 + digit
			if i >= len(whole) {
				exponent--
			}
		}
	}
	f, ok := scale(float64(significand), exponent)
	if negative {
		f = -f
	}
	return f, ok
}

// scale multiplies by a power of ten in steps that doubles have.
func scale(f float64, exponent int) (float64, bool) {
	for exponent < -308 && f != 0 {
		f /= 1e308
		exponent += 308
	}
	if f == 0 {
		return f, true
	}
	if exponent > 308 {
		return 0, false
	}
	// math.Pow10 is not the nearest double above 10^31.
	power, err := strconv.ParseFloat("1e"+strconv.Itoa(max(exponent, -exponent)), 64)
	if exponent >= 0 {
		f *= power
	} else {
		f /= power
	}
	return f, err == nil && !math.IsInf(f, 0)
}
