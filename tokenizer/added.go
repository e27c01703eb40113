package tokenizer

import (
	"bytes"
	"fmt"
	"iter"
	"unicode/utf8"

	"github.com/loopserve/loopserve/tokenizer/internal/ucd"
)

// addedToken is a token that is found in the text before the model sees it.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// addedVocab is the added tokens with their two matchers: tokens that are
// found in the text as given, and those that are found in the normalized one.
type addedVocab struct {
	byContent map[string]int32
	byID      map[int32]addedToken
	special   map[string]bool
	form      map[int32]string // normalized form, where it differs
	raw       *finder
	after     *finder
}

// newAddedVocab gives ids as Hugging Face does: the model's own where it
// knows the content, else the next free one; the file's "id" is not used.
func newAddedVocab(tokens []addedToken, m vocabModel, normalize func(string) (string, error)) (*addedVocab, error) {
	v := &addedVocab{
		byContent: map[string]int32{}, byID: map[int32]addedToken{}, special: map[string]bool{}, form: map[int32]string{},
	}
	next := int32(m.size())
	for _, tok := range tokens {
		if tok.Content == "" {
			continue
		}
		id, ok := v.byContent[tok.Content]
		if !ok {
			id, ok = m.id(tok.Content)
		}
		if !ok {
			id = next
			next++
		}
		tok.ID = id
		if tok.Normalized {
			form, err := normalize(tok.Content)
			if err != nil {
				return nil, fmt.Errorf("added token %q: %w", tok.Content, err)
			}
			if form == "" {
				return nil, unsupported("added token %q, which normalizes to nothing", tok.Content)
			}
			delete(v.form, id)
			if form != tok.Content {
				v.form[id] = form
			}
		}
		v.byContent[tok.Content] = id
		v.byID[id] = tok
		if tok.Special {
			v.special[tok.Content] = true
		}
	}
	v.raw = newFinder(v, false)
	v.after = newFinder(v, true)
	return v, nil
}

// token is the text of an added token for decoding: what the decoder will
// turn back, so the normalized form where there is one.
func (v *addedVocab) token(id int32) (string, bool) {
	if form, ok := v.form[id]; ok {
		return form, true
	}
	tok, ok := v.byID[id]
	return tok.Content, ok
}

// finder finds the leftmost longest added token.
type finder struct {
	vocab *addedVocab
	trie  *trie
	only  int // the first byte, where all tokens share it, else -1
}

func newFinder(v *addedVocab, normalized bool) *finder {
	var keys []string
	var ids []int32
	for id, tok := range v.byID {
		if tok.Normalized != normalized {
			continue
		}
		key, ok := v.form[id]
		if !ok {
			key = tok.Content
		}
		keys, ids = append(keys, key), append(ids, id)
	}
	if len(keys) == 0 {
		return nil
	}
	f := &finder{vocab: v, trie: newTrie(keys, ids), only: -1}
	for b, node := range f.trie.root {
		if node == 0 {
			continue
		}
		if f.only >= 0 {
			f.only = -1
			break
		}
		f.only = b
	}
	return f
}

// find is the next token in b at or after from.
func (f *finder) find(b []byte, from int) (id int32, start, end int) {
	for i := from; i < len(b); i++ {
		if f.only >= 0 {
			skip := bytes.IndexByte(b[i:], byte(f.only))
			if skip < 0 {
				break
			}
			i += skip
		} else if f.trie.root[b[i]] == 0 {
			continue
		}
		if id, n := f.trie.longest(b[i:]); n > 0 {
			return id, i, i + n
		}
	}
	return -1, len(b), len(b)
}

// parts gives b in order: plain text with id -1, and added tokens. Spaces that
// a token with lstrip or rstrip takes are part of it.
func (f *finder) parts(b []byte) iter.Seq2[int32, span] {
	return func(yield func(int32, span) bool) {
		done := 0
		for at := 0; f != nil && at < len(b); {
			id, start, end := f.find(b, at)
			at = end
			if id < 0 {
				break
			}
			tok := f.vocab.byID[id]
			if tok.SingleWord && (endsWithWord(b[:start]) || startsWithWord(b[end:])) {
				continue
			}
			if tok.LStrip {
				start = max(len(trimSpaceRight(b[:start])), done)
			}
			if tok.RStrip {
				end = len(b) - len(trimSpaceLeft(b[end:]))
			}
			if start >= end { // another token took the spaces that it is made of
				done = max(done, end)
				continue
			}
			if done < start && !yield(-1, span{done, start}) || !yield(id, span{start, end}) {
				return
			}
			done = end
		}
		if done < len(b) {
			yield(-1, span{done, len(b)})
		}
	}
}

func startsWithWord(b []byte) bool {
	r, n := utf8.DecodeRune(b)
	return n > 0 && ucd.IsWord(r)
}

func endsWithWord(b []byte) bool {
	r, n := utf8.DecodeLastRune(b)
	return n > 0 && ucd.IsWord(r)
}

func trimSpaceLeft(b []byte) []byte  { return bytes.TrimLeftFunc(b, ucd.IsSpace) }
func trimSpaceRight(b []byte) []byte { return bytes.TrimRightFunc(b, ucd.IsSpace) }
