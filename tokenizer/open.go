package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Backends that Open can choose between.
const (
	Native  = "native"  // this package's own, exact; the default
	Sugarme = "sugarme" // github.com/sugarme/tokenizer, for comparison
)

// Parse loads a tokenizer with the native backend from the contents of
// tokenizer.json and of tokenizer_config.json, which may be empty.
func Parse(tokenizerJSON, tokenizerConfigJSON []byte) (Tokenizer, error) {
	config, err := ParseConfig(tokenizerConfigJSON)
	if err != nil {
		return nil, err
	}
	t, err := parseNative(tokenizerJSON, config)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Open loads tokenizer.json from a folder, with tokenizer_config.json and
// chat_template.jinja where they lie beside it. backend is Native, Sugarme or
// "" for Native.
func Open(dir fs.FS, backend string) (Tokenizer, error) {
	data, err := fs.ReadFile(dir, "tokenizer.json")
	if err != nil {
		return nil, fmt.Errorf("open tokenizer: %w", err)
	}
	config, err := openConfig(dir)
	if err != nil {
		return nil, fmt.Errorf("open tokenizer: %w", err)
	}
	switch backend {
	case "", Native:
		t, err := parseNative(data, config)
		if err != nil {
			return nil, fmt.Errorf("open tokenizer: %w", err)
		}
		return t, nil
	case Sugarme:
		t, err := parseSugarme(data, config)
		if err != nil {
			return nil, fmt.Errorf("open tokenizer: %w", err)
		}
		return t, nil
	}
	return nil, fmt.Errorf("open tokenizer: backend %q is unknown; use %q or %q", backend, Native, Sugarme)
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
	data, err := optional(dir, "tokenizer_config.json")
	if err != nil {
		return Config{}, err
	}
	config, err := ParseConfig(data)
	if err != nil {
		return config, err
	}
	text, err := optional(dir, "chat_template.jinja")
	if err != nil {
		return config, err
	}
	if len(text) > 0 { // a file of its own wins over the entry
		config.ChatTemplate = string(text)
	}
	return config, nil
}

func optional(dir fs.FS, name string) ([]byte, error) {
	data, err := fs.ReadFile(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
