package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Sources are where settings come from beside the defaults. Each may be missing.
type Sources struct {
	File string // path of a YAML file
	// Env looks up an environment variable, as os.LookupEnv does; nil means none is read.
	Env func(name string) (string, bool)
	// Flags has the values of flags that were given, by field name.
	Flags map[string]string
}

// Field is one setting, for who registers flags.
type Field struct {
	Name    string // as in YAML
	Env     string
	Flag    string // without dashes
	Default string
	Usage   string // the comment beside it in default.yaml
	Bool    bool
}

// Load lays file, environment and flags over the defaults, and checks the result.
func Load(from Sources) (*Config, error) {
	c := &Config{}
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
	}
	for _, f := range fields(c) {
		if from.Env != nil {
			if text, ok := from.Env(f.env()); ok {
				if err := f.set(text); err != nil {
					return nil, fmt.Errorf("environment %s: %w", f.env(), err)
				}
			}
		}
		if text, ok := from.Flags[f.name]; ok {
			if err := f.set(text); err != nil {
				return nil, fmt.Errorf("flag --%s: %w", f.flag(), err)
			}
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

// YAML writes a configuration as a file that Load reads. API keys are left out: it is printed and logged.
func (c *Config) YAML() (string, error) {
	shown := *c
	if len(shown.APIKeys) > 0 {
		shown.APIKeys = []string{"(hidden)"}
	}
	data, err := yaml.Marshal(&shown)
	return string(data), err
}

// Fields lists every setting, in the order of default.yaml.
func Fields() []Field {
	c := &Config{}
	_ = decode(defaultYAML, c) // a test proves that it is valid
	var out []Field
	for _, f := range fields(c) {
		out = append(out, Field{
			Name: f.name, Env: f.env(), Flag: f.flag(), Default: f.text(), Usage: comment(f.name),
			Bool: f.value.Kind() == reflect.Bool,
		})
	}
	return out
}

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

// field is one setting of a Config.
type field struct {
	name  string
	value reflect.Value
}

func fields(c *Config) []field {
	v := reflect.ValueOf(c).Elem()
	var out []field
	for i := range v.NumField() {
		out = append(out, field{v.Type().Field(i).Tag.Get("yaml"), v.Field(i)})
	}
	return out
}

func (f field) env() string  { return "LOOPSERVE_" + strings.ToUpper(f.name) }
func (f field) flag() string { return strings.ReplaceAll(f.name, "_", "-") }

// set reads a value from the text of an environment variable or a flag.
func (f field) set(text string) error {
	switch p := f.value.Addr().Interface().(type) {
	case *string:
		*p = text
	case *bool:
		v, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		*p = v
	case *int:
		v, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is no whole number", text)
		}
		*p = v
	case *time.Duration:
		v, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is no time: write it as 500ms, 30s or 2m", text)
		}
		*p = v
	case *Bytes:
		return p.UnmarshalText([]byte(text))
	case *[]string:
		*p = []string{}
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				*p = append(*p, item)
			}
		}
	default:
		return fmt.Errorf("setting %s has the type %s, which cannot be read from text", f.name, f.value.Type())
	}
	return nil
}

// text is what set reads.
func (f field) text() string {
	if list, ok := f.value.Interface().([]string); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(f.value.Interface())
}
