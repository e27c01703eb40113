package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

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
	settings, err := defaults()
	if err != nil {
		return nil, nil, fmt.Errorf("embedded default.yaml: %w", err)
	}
	c := &settings
	for _, f := range fields(c) {
		origins[f.Name] = "default"
	}
	if from.File != "" {
		data, err := os.ReadFile(from.File)
		if err != nil {
			return nil, nil, fmt.Errorf("configuration: %w", err)
		}
		if err := decode(data, c); err != nil {
			return nil, nil, fmt.Errorf("configuration %s: %w", from.File, err)
		}
		var keys map[string]any
		if err := yaml.Unmarshal(data, &keys); err != nil {
			return nil, nil, fmt.Errorf("configuration %s: %w", from.File, err)
		}
		for name := range keys {
			origins[name] = "file " + from.File
		}
	}
	env, err := environment(from.Environ)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range fields(c) {
		if text, ok := env[f.Env()]; ok {
			if err := f.Set(text); err != nil {
				return nil, nil, fmt.Errorf("environment %s: %w", f.Env(), err)
			}
			origins[f.Name] = "environment " + f.Env()
		}
		if text, ok := from.Flags[f.Name]; ok {
			if err := f.Set(text); err != nil {
				return nil, nil, fmt.Errorf("flag --%s: %w", f.Flag(), err)
			}
			origins[f.Name] = "flag --" + f.Flag()
		}
	}
	if err := c.Validate(); err != nil {
		return nil, nil, fmt.Errorf("configuration: %w", err)
	}
	c.MaxSequences = min(c.MaxSequences, c.QueueLimit) // a larger group could never be admitted
	return c, origins, nil
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
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\n", f.Name, f, origins[f.Name]); err != nil {
			return err
		}
	}
	return nil
}
