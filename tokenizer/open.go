package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

// Tokenizer turns text into ids and back. It never changes after loading and
// is safe for concurrent use.
type Tokenizer interface {
	// Encode returns the ids of text, with the special tokens that the
	// post-processor puts around it where addSpecial. Each byte that is
	// not UTF-8 counts as one U+FFFD.
	Encode(text string, addSpecial bool) ([]int32, error)
	// Decode returns the text of ids, leaving out special tokens where
	// skipSpecial. Ids outside the vocabulary add
	// nothing.
	Decode(ids []int32, skipSpecial bool) (string, error)
	// NewDecoder starts a stream.
	NewDecoder(skipSpecial bool) Decoder
	// IDToToken is a token as the vocabulary spells it.
	IDToToken(id int32) (string, bool)
	// TokenBytes returns the bytes that a token adds inside a text: often
	// part of a character. It is nil for ids outside the vocabulary.
	TokenBytes(id int32) []byte
	// VocabSize counts the tokens, added ones included. Ids may have gaps, so
	// it does not bound them.
	VocabSize() int
	// IsSpecial tells whether Decode may leave the id out.
	IsSpecial(id int32) bool
	// Config is what the tokenizer_config.json beside it says.
	Config() Config
}

// Backends that Open can choose between.
const (
	Native  = "native"  // this package's own, exact; the default
	Sugarme = "sugarme" // github.com/sugarme/tokenizer, for comparison
)

// Parse loads a tokenizer with the native backend from the contents of
// tokenizer.json and of tokenizer_config.json, which may be empty.
func Parse(tokenizerJSON, tokenizerConfigJSON []byte) (Tokenizer, error) {
	config, err := parseConfig(tokenizerConfigJSON, nil, nil)
	if err != nil {
		return nil, err
	}
	return parseNative(tokenizerJSON, config)
}

var backends = map[string]func(tokenizerJSON []byte, config Config) (Tokenizer, error){
	"": parseNative, Native: parseNative, Sugarme: parseSugarme,
}

// Files are those that Open reads, of which only the first must be there.
var Files = []string{
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja",
	"additional_chat_templates/tool_use.jinja",
}

// Open loads tokenizer.json from a folder, with tokenizer_config.json and
// chat_template.jinja where they lie beside it. backend is Native, Sugarme or
// "" for Native.
func Open(dir fs.FS, backend string) (Tokenizer, error) {
	parse, ok := backends[backend]
	if !ok {
		return nil, fmt.Errorf("open tokenizer: backend %q is unknown; use %q or %q", backend, Native, Sugarme)
	}
	data, err := fs.ReadFile(dir, "tokenizer.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open tokenizer: %w%s: Python writes one: transformers.AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)", err, instead(dir))
	}
	if err != nil {
		return nil, fmt.Errorf("open tokenizer: %w", err)
	}
	config, err := openConfig(dir)
	if err != nil {
		return nil, fmt.Errorf("open tokenizer: %w", err)
	}
	t, err := parse(data, config)
	if err != nil {
		return nil, fmt.Errorf("open tokenizer: %w", err)
	}
	return t, nil
}

// instead names a tokenizer of another format that is in the folder.
func instead(dir fs.FS) string {
	for _, name := range []string{"tokenizer.model", "spiece.model", "tiktoken.model", "vocab.json", "vocab.txt"} {
		if _, err := fs.Stat(dir, name); err == nil {
			return fmt.Sprintf(" (%s is there, which is not read)", name)
		}
	}
	return ""
}

// OpenDir is Open on a folder of the file system.
func OpenDir(path, backend string) (Tokenizer, error) {
	t, err := Open(os.DirFS(path), backend)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

func openConfig(dir fs.FS) (Config, error) {
	var files [5][]byte
	for i, name := range Files[1:] {
		var err error
		if files[i], err = optional(dir, name); err != nil {
			return Config{}, err
		}
	}
	config, err := parseConfig(files[0], files[1], files[2])
	if err != nil {
		return config, err
	}
	if text := files[3]; len(text) > 0 { // files win over all entries
		config.ChatTemplate, config.ChatTemplates = string(text), map[string]string{"default": string(text)}
	}
	if text := files[4]; len(text) > 0 {
		if config.ChatTemplates == nil {
			config.ChatTemplates = map[string]string{}
		}
		config.ChatTemplates["tool_use"] = string(text)
	}
	return config, nil
}

// optional reads a file that may be missing. A bundle, which has no folders, has it under the last part of its name.
func optional(dir fs.FS, name string) ([]byte, error) {
	data, err := fs.ReadFile(dir, name)
	if base := path.Base(name); err != nil && base != name {
		data, err = fs.ReadFile(dir, base)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
