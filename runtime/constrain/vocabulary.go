package constrain

import (
	"bytes"
	"slices"
)

// Vocabulary is the tokens' bytes, as a trie in the order of a walk from its root. It does not change.
type Vocabulary struct {
	trie     []trieNode
	tokens   []int32 // ids, those of a node together
	first    []int   // of each id: where its bytes begin in text; one more at the end
	text     []byte
	depth    int       // of the deepest node; the first bytes are at 1
	alphabet [256]bool // bytes that are a token of their own
}

// trieNode is one byte behind its parent's.
type trieNode struct {
	letter   byte
	depth    uint16
	height   uint16 // bytes from here to the end of its longest descendant
	end      int32  // the node behind the last of its descendants
	from, to int32  // its tokens
	last     int32  // behind its descendants' tokens, which follow its own
	groups   uint64 // of its descendants' bytes
}

// NewVocabulary makes the trie of the ids below size. text gives the bytes that a token adds to a text, none for those
// that never may come: special tokens, and ids without a token.
func NewVocabulary(size int, text func(id int32) []byte) *Vocabulary {
	v := &Vocabulary{first: make([]int, size+1)}
	var ids []int32
	for id := range int32(size) {
		b := text(id)
		if len(b) > 0 && len(b) <= maxTokenBytes {
			v.text = append(v.text, b...)
			ids = append(ids, id)
			if len(b) == 1 {
				v.alphabet[b[0]] = true
			}
		}
		v.first[id+1] = len(v.text)
	}
	slices.SortStableFunc(ids, func(a, b int32) int { return bytes.Compare(v.bytes(a), v.bytes(b)) })
	v.build(ids)
	return v
}

// bytes is empty for an id that never may come.
func (v *Vocabulary) bytes(id int32) []byte {
	if id < 0 || int(id) >= len(v.first)-1 {
		return nil
	}
	return v.text[v.first[id]:v.first[id+1]]
}

// size is one more than the largest id.
func (v *Vocabulary) size() int { return len(v.first) - 1 }

// build makes a node for each prefix, from the ids in the order of their bytes.
func (v *Vocabulary) build(ids []int32) {
	var path []int32 // the nodes of the last token's prefixes
	var last []byte
	closeTo := func(depth int) {
		for len(path) > depth {
			n := &v.trie[path[len(path)-1]]
			n.end, n.last = int32(len(v.trie)), int32(len(v.tokens))
			path = path[:len(path)-1]
			if len(path) > 0 {
				up := &v.trie[path[len(path)-1]]
				up.height = max(up.height, n.height+1)
				up.groups |= n.groups | 1<<groupOf[n.letter]
			}
		}
	}
	for _, id := range ids {
		b := v.bytes(id)
		same := 0
		for same < len(b) && same < len(last) && b[same] == last[same] {
			same++
		}
		closeTo(same)
		for d := same; d < len(b); d++ {
			path = append(path, int32(len(v.trie)))
			at := int32(len(v.tokens))
			v.trie = append(v.trie, trieNode{letter: b[d], depth: uint16(d + 1), from: at, to: at})
		}
		v.tokens = append(v.tokens, id)
		v.trie[path[len(path)-1]].to = int32(len(v.tokens))
		v.depth = max(v.depth, len(b))
		last = b
	}
	closeTo(0)
}
