package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
)

// Sources are where settings come from beside the defaults. Each may be missing.
type Sources struct {
	File string // path of a YAML file
	// Environ is the environment, as os.Environ returns it; nil means that none is read.
	Environ []string
	// Flags has the values of the flags that were given, by field name.
	Flags map[string]string
}

// Field is one setting, for who registers flags.
type Field struct {
	Name    string // as in YAML
	Env     string
	Flag    string // without dashes
	Type    string // of the value: bool, int, float, duration, size, string or list
	Default string
	Usage   string // the comment beside it in default.yaml
}

// Check says whether text can be a value of this setting: whether it is of its type, not whether Validate takes it.
func (f Field) Check(text string) error {
	for _, own := range fields(&Config{}) {
		if own.name == f.Name {
			return own.set(text)
		}
	}
	return fmt.Errorf("there is no setting %s", f.Name)
}

// Load lays file, environment and flags over the defaults, and checks the result.
func Load(from Sources) (*Config, error) {
	c, _, err := LoadWithOrigins(from)
	return c, err
}

// Origins says where each setting of a Config came from, by field name: "default", "file PATH", "environment NAME" or
// "flag --NAME".
type Origins map[string]string

// LoadWithOrigins is Load, and tells where each value came from.
func LoadWithOrigins(from Sources) (*Config, Origins, error) {
	origins := Origins{}
	c, err := load(from, origins)
	return c, origins, err
}

func load(from Sources, origins Origins) (*Config, error) {
	c := &Config{}
	for _, f := range fields(c) {
		origins[f.name] = "default"
	}
	if err := decode(defaultYAML, c); err != nil {
		return nil, fmt.Errorf("embedded default.yaml: %w", err)
	}
	if from.File != "" {
		data, err := os.ReadFile(from.File)
		if err != nil {
			return nil, fmt.Errorf("configuration: %w", err)
		}
		if err := decode(data, c); err != nil {
			return nil, fmt.Errorf("configuration %s: %w", from.File, err)
		}
		var keys map[string]any
		if err := yaml.Unmarshal(data, &keys); err != nil {
			return nil, fmt.Errorf("configuration %s: %w", from.File, err)
		}
		for name := range keys {
			origins[name] = "file " + from.File
		}
	}
	env, err := environment(from.Environ)
	if err != nil {
		return nil, err
	}
	for _, f := range fields(c) {
		if text, ok := env[f.env()]; ok {
			if err := f.set(text); err != nil {
				return nil, fmt.Errorf("environment %s: %w", f.env(), err)
			}
			origins[f.name] = "environment " + f.env()
		}
		if text, ok := from.Flags[f.name]; ok {
			if err := f.set(text); err != nil {
				return nil, fmt.Errorf("flag --%s: %w", f.flag(), err)
			}
			origins[f.name] = "flag --" + f.flag()
		}
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	c.MaxSequences = min(c.MaxSequences, c.QueueLimit) // a larger group could never be admitted
	return c, nil
}

// decode is strict: an unknown key, a key given twice or a wrong type is an error with its line.
func decode(data []byte, c *Config) error {
	err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(c)
	if errors.Is(err, io.EOF) { // nothing but comments
		return nil
	}
	return err
}

// shown is a copy without API keys: it is printed and logged.
func (c *Config) shown() *Config {
	s := *c
	if len(s.APIKeys) > 0 {
		s.APIKeys = []string{"(hidden)"}
	}
	return &s
}

// YAML writes a configuration as a file that Load reads. API keys are left out.
func (c *Config) YAML() (string, error) {
	data, err := yaml.Marshal(c.shown())
	return string(data), err
}

// Table writes each setting with its value and where it came from. API keys are left out.
func (c *Config) Table(w io.Writer, origins Origins) error {
	for _, f := range fields(c.shown()) {
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\n", f.name, f.text(), origins[f.name]); err != nil {
			return err
		}
	}
	return nil
}

// Fields lists every setting, in the order of default.yaml.
func Fields() []Field { return slices.Clone(settings()) }

// settings are read once: each command that has flags for them asks, whichever is run.
var settings = sync.OnceValue(func() []Field {
	c := &Config{}
	_ = decode(defaultYAML, c) // a test proves that it is valid
	var out []Field
	for _, f := range fields(c) {
		out = append(out, Field{
			Name: f.name, Env: f.env(), Flag: f.flag(), Type: f.kind(), Default: f.text(), Usage: comment(f.name),
		})
	}
	return out
})

// comment is what stands beside a key in default.yaml.
func comment(name string) string {
	for line := range strings.Lines(string(defaultYAML)) {
		if strings.HasPrefix(line, name+":") {
			_, text, _ := strings.Cut(line, "#")
			return strings.TrimSpace(text)
		}
	}
	return ""
}
