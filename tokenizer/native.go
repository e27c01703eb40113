package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"unicode/utf8"
)

// native is this package's own implementation.
type native struct {
	added   *addedVocab
	norm    normChain
	pre     *preChain
	model   vocabModel
	affixes affixes

	decode []decodeOp
	fused  int // the first decoder that makes one token of all, else their number

	config   Config
	size     int
	scratch  sync.Pool
	decoders [2]sync.Pool // for Decode: without and with skipping
}

// parseNative reads a tokenizer.json. What is not implemented exactly is
// refused with its name.
func parseNative(tokenizerJSON []byte, config Config) (Tokenizer, error) {
	var f file
	if err := json.Unmarshal(tokenizerJSON, &f); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	t, err := buildNative(&f, config)
	if err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	return t, nil
}

func buildNative(f *file, config Config) (*native, error) {
	t := &native{config: config}
	var err error
	if t.norm, err = parseNormalizer(f.Normalizer); err != nil {
		return nil, err
	}
	if t.pre, err = parsePreTokenizer(f.PreTokenizer); err != nil {
		return nil, err
	}
	if t.model, err = parseModel(f.Model, t.pre.byteLevel); err != nil {
		return nil, err
	}
	if t.affixes, err = parsePostProcessor(f.PostProcessor); err != nil {
		return nil, err
	}
	if t.decode, err = parseDecoder(f.Decoder); err != nil {
		return nil, err
	}
	t.fused = len(t.decode)
	for i, op := range t.decode {
		if op.kind == opFuse || op.kind == opByteLevel {
			t.fused = i
			break
		}
	}
	t.scratch.New = func() any { return &scratch{words: newWordCache()} }
	for i := range t.decoders {
		t.decoders[i].New = func() any {
			d := newStreamDecoder(t, i == 1)
			d.waits = true
			return d
		}
	}
	tokens := config.merge(f.AddedTokens)
	if t.added, err = newAddedVocab(tokens, t.model, t.normalForm); err != nil {
		return nil, err
	}
	t.size = t.model.size()
	for content := range t.added.byContent {
		if _, ok := t.model.id(content); !ok {
			t.size++
		}
	}
	return t, t.applyConfig()
}

// normalForm normalizes the content of an added token.
func (t *native) normalForm(content string) (string, error) {
	if content == "" {
		return "", nil
	}
	s := t.scratch.Get().(*scratch)
	defer t.scratch.Put(s)
	err := t.norm.run(s, []byte(content))
	return string(s.text), err
}

// classFlags are add_bos_token and add_eos_token of the classes of
// transformers that make a post-processor of their own, where the
// configuration has neither.
var classFlags = map[string][2]bool{
	"LlamaTokenizer": {true, false}, "CodeLlamaTokenizer": {true, false}, "GemmaTokenizer": {true, false},
	"CohereTokenizer": {true, false}, "GPTNeoXTokenizer": {false, false},
}

// deafClasses leave everything to the post-processor of tokenizer.json.
var deafClasses = []string{"PreTrainedTokenizer", "TokenizersBackend", "GPT2Tokenizer", "Qwen2Tokenizer"}

// applyConfig lets add_bos_token and add_eos_token of the configuration have
// their way over the post-processor, as tokenizer_class makes transformers do.
// Where no class, or one that is not known here, is named, they do.
func (t *native) applyConfig() error {
	if slices.Contains(deafClasses, t.config.class) {
		return nil
	}
	if flags, ok := classFlags[t.config.class]; ok {
		t.affixes = affixes{parts: [][]int32{nil, nil}}
		t.config.AddBOS, t.config.AddEOS = cmp.Or(t.config.AddBOS, &flags[0]), cmp.Or(t.config.AddEOS, &flags[1])
	}
	for _, c := range []struct {
		key, token string
		want       *bool
		set        func(int32, bool)
	}{
		{"add_bos_token", t.config.BOS, t.config.AddBOS, t.affixes.setBOS},
		{"add_eos_token", t.config.EOS, t.config.AddEOS, t.affixes.setEOS},
	} {
		if c.want == nil || c.token == "" { // what is not named is not added: transformers#44090
			continue
		}
		id, ok := t.tokenToID(c.token)
		if !ok && *c.want {
			return fmt.Errorf("tokenizer_config.json: %s is true but its token %q is not in the vocabulary", c.key, c.token)
		}
		if ok {
			c.set(id, *c.want)
		}
	}
	return nil
}

func (t *native) Encode(text string, addSpecial bool) ([]int32, error) {
	return t.appendEncode(make([]int32, 0, len(text)/3+8), text, addSpecial)
}

// appendEncode appends the ids to dst; beyond dst's growth it allocates nothing
// in the steady state.
func (t *native) appendEncode(dst []int32, text string, addSpecial bool) ([]int32, error) {
	s := t.scratch.Get().(*scratch)
	defer func() {
		if s.keep() {
			t.scratch.Put(s)
		}
	}()
	s.input = s.input[:0]
	if utf8.ValidString(text) {
		s.input = append(s.input, text...)
	} else {
		for _, r := range text {
			s.input = utf8.AppendRune(s.input, r)
		}
	}
	from := len(dst)
	if !addSpecial {
		return t.text(dst, s)
	}
	dst = append(dst, t.affixes.parts[0]...)
	start := len(dst)
	dst, err := t.text(dst, s)
	if err != nil {
		return dst[:from], err
	}
	end := len(dst)
	for i, part := range t.affixes.parts[1:] {
		if i > 0 {
			dst = append(dst, dst[start:end]...)
		}
		dst = append(dst, part...)
	}
	return dst, nil
}

// text appends the ids of s.input: added tokens are cut out of the text, and
// those that say so out of its normal form; the model sees what is left.
func (t *native) text(dst []int32, s *scratch) ([]int32, error) {
	for id, at := range t.added.raw.parts(s.input) {
		if id >= 0 {
			dst = append(dst, id)
			continue
		}
		s.head = at.start == 0
		if err := t.norm.run(s, s.input[at.start:at.end]); err != nil {
			return dst, err
		}
		var err error
		if t.added.after == nil {
			dst, err = t.plain(dst, s, s.head)
		} else {
			dst, err = t.normalized(dst, s, s.head)
		}
		if err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// normalized cuts added tokens out of the normal form in s.text.
func (t *native) normalized(dst []int32, s *scratch, head bool) ([]int32, error) {
	s.normal = append(s.normal[:0], s.text...)
	for id, at := range t.added.after.parts(s.normal) {
		if id >= 0 {
			dst = append(dst, id)
			continue
		}
		s.text = append(s.text[:0], s.normal[at.start:at.end]...)
		var err error
		if dst, err = t.plain(dst, s, head && at.start == 0); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// plain appends the ids of s.text, in which there are no added tokens.
func (t *native) plain(dst []int32, s *scratch, head bool) ([]int32, error) {
	if len(s.text) == 0 {
		return dst, nil
	}
	s.pieces = append(s.pieces[:0], piece{0, len(s.text), head})
	if err := t.pre.run(s); err != nil {
		return dst, err
	}
	var err error
	for _, p := range s.pieces {
		if dst, err = t.model.append(dst, s, s.text[p.start:p.end]); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func (t *native) Decode(ids []int32, skipSpecial bool) (string, error) {
	pool := &t.decoders[0]
	if skipSpecial {
		pool = &t.decoders[1]
	}
	d := pool.Get().(*streamDecoder)
	defer pool.Put(d)
	for _, id := range ids {
		d.push(id)
	}
	return d.Flush(), nil
}

func (t *native) NewDecoder(skipSpecial bool) Decoder { return newStreamDecoder(t, skipSpecial) }

// decodeToken is the text of an id that the decoders start from.
func (t *native) decodeToken(id int32) (string, bool) {
	if token, ok := t.added.token(id); ok {
		return token, true
	}
	return t.model.token(id)
}

func (t *native) tokenToID(token string) (int32, bool) {
	if id, ok := t.added.byContent[token]; ok {
		return id, true
	}
	return t.model.id(token)
}

func (t *native) IDToToken(id int32) (string, bool) {
	if tok, ok := t.added.byID[id]; ok {
		return tok.Content, true
	}
	return t.model.token(id)
}

func (t *native) TokenBytes(id int32) []byte {
	token, ok := t.decodeToken(id)
	if !ok {
		return nil
	}
	text := []byte(token)
	for i := range t.decode {
		op := &t.decode[i]
		switch op.kind {
		case opByteLevel:
			if raw, ok := appendBytes(nil, string(text)); ok {
				text = raw
			}
		case opByteFallback:
			if b, ok := byteToken(text); ok {
				text = []byte{b}
			}
		case opReplace, opMetaspace:
			if i < t.fused && utf8.Valid(text) { // and not a byte of <0x…>
				text = op.apply([]byte{}, text, 1)
			}
		}
	}
	return text
}

func (t *native) VocabSize() int { return t.size }

func (t *native) IsSpecial(id int32) bool {
	token, ok := t.decodeToken(id)
	return ok && t.added.special[token]
}

func (t *native) Config() Config { return t.config }

// errTimeout is what an expression of a tokenizer.json that takes too long
// ends in.
var errTimeout = errors.New("an expression of tokenizer.json took too long on this text; shorten or change the text")
