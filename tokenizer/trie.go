package tokenizer

import (
	"bytes"
	"sort"
)

// trie maps byte strings to values. Its nodes are numbered breadth first, so
// the children of a node are neighbours: child number = first + position of
// the byte among the labels.
type trie struct {
	root  [256]uint32 // first byte → node, 0 none
	first []uint32    // node → first child; first[node+1] is where they end
	label []byte      // node → the byte that leads to it
	value []int32     // node → value or -1
}

// newTrie builds a trie; of equal keys the last one's value stays, empty keys
// are left out.
func newTrie(keys []string, values []int32) *trie {
	order := make([]int, 0, len(keys))
	for i, k := range keys {
		if k != "" {
			order = append(order, i)
		}
	}
	sort.SliceStable(order, func(a, b int) bool { return keys[order[a]] < keys[order[b]] })
	t := &trie{first: []uint32{1}, label: []byte{0}, value: []int32{-1}}
	type span struct{ lo, hi, depth int }
	level := []span{{0, len(order), 0}}
	for head := 0; head < len(level); head++ {
		s := level[head]
		t.first[head] = uint32(len(t.label))
		for lo := s.lo; lo < s.hi; {
			key := keys[order[lo]]
			if len(key) == s.depth { // the node's own value
				t.value[head] = values[order[lo]]
				lo++
				continue
			}
			hi := lo
			for hi < s.hi && keys[order[hi]][s.depth] == key[s.depth] {
				hi++
			}
			if head == 0 {
				t.root[key[0]] = uint32(len(t.label))
			}
			t.label = append(t.label, key[s.depth])
			t.value = append(t.value, -1)
			t.first = append(t.first, 0)
			level = append(level, span{lo, hi, s.depth + 1})
			lo = hi
		}
	}
	t.first = append(t.first, uint32(len(t.label)))
	return t
}

// child is the node that b leads to from node, 0 if none.
func (t *trie) child(node uint32, b byte) uint32 {
	if node == 0 {
		return t.root[b]
	}
	first, end := t.first[node], t.first[node+1]
	if i := bytes.IndexByte(t.label[first:end], b); i >= 0 {
		return first + uint32(i)
	}
	return 0
}

// longest is the longest key at the start of b.
func (t *trie) longest(b []byte) (value int32, length int) {
	value = -1
	node := uint32(0)
	for i, c := range b {
		if node = t.child(node, c); node == 0 {
			break
		}
		if v := t.value[node]; v >= 0 {
			value, length = v, i+1
		}
	}
	return value, length
}
