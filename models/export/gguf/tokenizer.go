package gguf

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

type object = map[string]any

// Types of tokens.
const (
	tokenNormal  = 1
	tokenUnknown = 2
	tokenControl = 3
	tokenUser    = 4
	tokenUnused  = 5
)

// preTokenizer is what stands behind a name of tokenizer.ggml.pre, as Hugging Face's tokenizers of those models have it.
type preTokenizer struct {
	normalizer any
	split      []any // before ByteLevel
	regex      bool  // ByteLevel splits, too
	ignore     bool  // ignore_merges
	bos        bool  // add_bos_token, where the file has none
}

var (
	digits  = []any{object{"type": "Digits", "individual_digits": true}}
	smollm  = preTokenizer{split: digits, regex: true}
	qwen2   = preTokenizer{split: splitAt(`\p{N}`), normalizer: object{"type": "NFC"}}
	llama3  = preTokenizer{split: splitAt(`\p{N}{1,3}`), ignore: true, bos: true}
	knownBy = map[string]preTokenizer{
		"gpt-2": {regex: true}, "smollm": smollm, "starcoder": smollm, "refact": smollm, "qwen2": qwen2, "deepseek-r1-qwen": qwen2,
		"llama-bpe": llama3, "llama3": llama3, "llama-v3": llama3,
	}
)

// splitAt is the expression of Llama 3 and Qwen 2, which differ in how many digits make a piece.
func splitAt(number string) []any {
	return []any{object{"type": "Split", "behavior": "Isolated", "invert": false, "pattern": object{
		"Regex": `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|` + number + `| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
	}}}
}

const exportWith = "export it with the model's tokenizer: loopserve export … --tokenizer FOLDER"

// vocabulary is what the metadata says of tokens.
type vocabulary struct {
	list   []string
	types  []int64
	scores []float64
	merges []string
}

// Tokenizer is tokenizer.json, tokenizer_config.json and generation_config.json, by name, as the metadata has it. A tokenizer that
// can't be told from that is an error that says what was found.
func (m *Model) Tokenizer() (map[string]any, error) {
	f := &fields{metadata: m.header.metadata}
	model, pre := take(f, "model", ""), take(f, "pre", "")
	v := vocabulary{
		list: take[[]string](f, "tokens", nil), types: take[[]int64](f, "token_type", nil),
		scores: take[[]float64](f, "scores", nil), merges: take[[]string](f, "merges", nil),
	}
	if f.err != nil {
		return nil, f.err
	}
	if err := v.check(); err != nil {
		return nil, err
	}
	var file object
	bos := true
	switch model {
	case "gpt2":
		p, ok := knownBy[pre]
		if !ok {
			return nil, fmt.Errorf("tokenizer.ggml.pre is %q, a pre-tokenizer that is not known by name here (only %s): %s", pre, strings.Join(slices.Sorted(maps.Keys(knownBy)), ", "), exportWith)
		}
		bos, file = p.bos, v.byteLevel(p)
	case "llama":
		if len(v.scores) == 0 {
			return nil, fmt.Errorf("%w: tokenizer.ggml.scores is missing, which SentencePiece's order of merges is in", ErrFormat)
		}
		file = v.sentencePiece(take(f, "add_space_prefix", true))
	default:
		return nil, fmt.Errorf("tokenizer.ggml.model is %q, which is not read (only gpt2 and llama): %s", model, exportWith)
	}
	bos = take(f, "add_bos_token", bos)
	eos := take(f, "add_eos_token", false)
	config := object{"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": bos, "add_eos_token": eos}
	special := map[string]int64{}
	for _, n := range []struct{ key, token string }{{"bos", "bos_token"}, {"eos", "eos_token"}, {"unknown", "unk_token"}, {"padding", "pad_token"}} {
		id := take(f, n.key+"_token_id", int64(-1))
		if f.err == nil && id >= int64(len(v.list)) {
			f.err = fmt.Errorf("%w: tokenizer.ggml.%s_token_id is %d, but there are %d tokens", ErrFormat, n.key, id, len(v.list))
		}
		if f.err == nil && id >= 0 {
			special[n.token], config[n.token] = id, v.list[id]
		}
	}
	if f.err != nil {
		return nil, f.err
	}
	around, err := v.around(special, bos, eos)
	if err != nil {
		return nil, err
	}
	file["post_processor"] = around
	m.templates(config)
	return map[string]any{"tokenizer.json": file, "tokenizer_config.json": config, "generation_config.json": m.generation()}, nil
}

// fields are the metadata's values of tokenizer.ggml. err is the first that has another type.
type fields struct {
	metadata map[string]any
	err      error
}

// take is the value of a key, or byDefault where it is not there.
func take[T any](f *fields, key string, byDefault T) T {
	key = "tokenizer.ggml." + key
	v, there := f.metadata[key]
	if !there {
		return byDefault
	}
	out, ok := v.(T)
	if !ok && f.err == nil {
		f.err = fmt.Errorf("%w: %s is of the type %T", ErrFormat, key, v)
	}
	return out
}

// check makes the lists equally long, and refuses tokens that no text file can hold.
func (v *vocabulary) check() error {
	if len(v.list) == 0 {
		return fmt.Errorf("%w: tokenizer.ggml.tokens is missing or empty", ErrFormat)
	}
	if v.types == nil {
		v.types = slices.Repeat([]int64{tokenNormal}, len(v.list))
	}
	if len(v.types) != len(v.list) || v.scores != nil && len(v.scores) != len(v.list) {
		return fmt.Errorf("%w: tokenizer.ggml.tokens has %d entries, token_type %d, scores %d", ErrFormat, len(v.list), len(v.types), len(v.scores))
	}
	work := 0
	for id, token := range v.list {
		if !utf8.ValidString(token) {
			return fmt.Errorf("%w: tokenizer.ggml.tokens: token %d, %q, is not UTF-8", ErrFormat, id, token)
		}
		if work += min(len(token), 1<<16) * min(len(token), 1<<16); work > 1<<30 { // all the ways to cut it are hashed
			return fmt.Errorf("%w: tokenizer.ggml.tokens: token %d, %.20q…, is %d bytes long, and tokens that are so long take hours to read", ErrFormat, id, token, len(token))
		}
	}
	return nil
}

// added are the tokens that are cut out of a text before it is split.
func (v *vocabulary) added() []any {
	out := []any{}
	for id, token := range v.list {
		if kind := v.types[id]; token != "" && (kind == tokenControl || kind == tokenUser || kind == tokenUnknown) {
			out = append(out, object{
				"id": id, "content": token, "special": kind != tokenUser, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
			})
		}
	}
	return out
}

// ids are those of the tokens, without what only fills the table up. Added tokens are here too: elsewhere they would get other ids.
func (v *vocabulary) ids() map[string]int {
	out := make(map[string]int, len(v.list))
	for id, token := range v.list {
		if _, twice := out[token]; !twice && v.types[id] != tokenUnused {
			out[token] = id
		}
	}
	return out
}

// byteLevel is a BPE over bytes, as of GPT-2.
func (v *vocabulary) byteLevel(p preTokenizer) object {
	level := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": p.regex}
	return object{
		"version": "1.0", "added_tokens": v.added(), "normalizer": p.normalizer, "decoder": level,
		"pre_tokenizer": object{"type": "Sequence", "pretokenizers": append(slices.Clone(p.split), level)},
		"model": object{
			"type": "BPE", "vocab": v.ids(), "merges": append([]string{}, v.merges...), "ignore_merges": p.ignore,
		},
	}
}

// sentencePiece is a BPE of SentencePiece as transformers converts it: merges are all the ways to put a token together from two,
// the best score first.
func (v *vocabulary) sentencePiece(space bool) object {
	ids := v.ids()
	type merge struct {
		left, right string
		score       float64
	}
	var merges []merge
	for id, token := range v.list {
		if ids[token] != id {
			continue
		}
		first := len(merges)
		for at := range token {
			_, left := ids[token[:at]]
			if _, right := ids[token[at:]]; left && right && at > 0 {
				merges = append(merges, merge{token[:at], token[at:], v.scores[id]})
			}
		}
		slices.SortStableFunc(merges[first:], func(a, b merge) int {
			return cmp.Or(cmp.Compare(ids[a.left], ids[b.left]), cmp.Compare(ids[a.right], ids[b.right]))
		})
	}
	// Python's sort in reverse keeps the order of equals, as this does.
	slices.SortStableFunc(merges, func(a, b merge) int {
		return -cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(utf8.RuneCountInString(a.left), utf8.RuneCountInString(b.left)),
			cmp.Compare(utf8.RuneCountInString(a.right), utf8.RuneCountInString(b.right)))
	})
	pairs := make([][2]string, len(merges))
	for i, m := range merges {
		pairs[i] = [2]string{m.left, m.right}
	}
	const mark = "▁"
	normalizers := []any{object{"type": "Replace", "pattern": object{"String": " "}, "content": mark}}
	decoders := []any{object{"type": "Replace", "pattern": object{"String": mark}, "content": " "}, object{"type": "ByteFallback"}, object{"type": "Fuse"}}
	if space {
		normalizers = slices.Insert(normalizers, 0, any(object{"type": "Prepend", "prepend": mark}))
		decoders = append(decoders, object{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	model := object{"type": "BPE", "vocab": ids, "merges": pairs, "byte_fallback": true, "fuse_unk": true}
	if i := slices.Index(v.types, tokenUnknown); i >= 0 {
		model["unk_token"] = v.list[i]
	}
	return object{
		"version": "1.0", "added_tokens": v.added(), "normalizer": object{"type": "Sequence", "normalizers": normalizers}, "pre_tokenizer": nil,
		"decoder": object{"type": "Sequence", "decoders": decoders}, "model": model,
	}
}

// around is the post-processor that puts special tokens around a text.
func (v *vocabulary) around(special map[string]int64, bos, eos bool) (any, error) {
	var single []any
	used := object{}
	add := func(name string) error {
		id, ok := special[name]
		if !ok {
			return fmt.Errorf("%w: tokenizer.ggml.add_%s is true, but tokenizer.ggml.%s_id is missing", ErrFormat, name, name)
		}
		token := v.list[id]
		used[token] = object{"id": token, "ids": []int64{id}, "tokens": []string{token}}
		single = append(single, object{"SpecialToken": object{"id": token, "type_id": 0}})
		return nil
	}
	if bos {
		if err := add("bos_token"); err != nil {
			return nil, err
		}
	}
	single = append(single, object{"Sequence": object{"id": "A", "type_id": 0}})
	if eos {
		if err := add("eos_token"); err != nil {
			return nil, err
		}
	}
	if len(used) == 0 {
		return nil, nil //nolint:nilnil // JSON's null: nothing stands around a text
	}
	pair := append(slices.Clone(single), object{"Sequence": object{"id": "B", "type_id": 1}}) // never used here
	return object{"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": used}, nil
}

// templates takes the chat templates, of which the default has no name.
func (m *Model) templates(config object) {
	const key = "tokenizer.chat_template"
	var list []any
	for _, k := range slices.Sorted(maps.Keys(m.header.metadata)) {
		name, ok := strings.CutPrefix(k, key)
		text, isText := m.header.metadata[k].(string)
		if ok && isText && (name == "" || name[0] == '.') {
			list = append(list, object{"name": cmp.Or(strings.TrimPrefix(name, "."), "default"), "template": text})
		}
	}
	if len(list) > 0 {
		config["chat_template"] = list
	}
}

// generation are all tokens that end an answer: of a text, a turn, a message.
func (m *Model) generation() object {
	ids := []int64{}
	for _, name := range []string{"eos", "eot", "eom"} {
		if id, ok := m.header.metadata["tokenizer.ggml."+name+"_token_id"].(int64); ok && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return object{"eos_token_id": ids}
}
