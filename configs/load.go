package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	for _, f := range fields(c) {
		if from.Env != nil {
			if text, ok := from.Env(f.env()); ok {
				if err := f.set(text); err != nil {
					return nil, fmt.Errorf("environment %s: %w", f.env(), err)
				}
				origins[f.name] = "environment " + f.env()
			}
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
			Name: f.name, Env: f.env(), Flag: f.flag(), Default: f.text(), Usage: comment(f.name),
			Bool: f.value.Kind() == reflect.Bool,
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
	case *float64:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q is no number", text)
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
	case *[]float64:
		*p = []float64{}
		for item := range strings.SplitSeq(text, ",") {
			v, err := strconv.ParseFloat(strings.TrimSpace(item), 64)
			if err != nil {
				return fmt.Errorf("%q is no list of numbers: write it as 1,0.5", text)
			}
			*p = append(*p, v)
		}
	default:
		return fmt.Errorf("setting %s has the type %s, which cannot be read from text", f.name, f.value.Type())
	}
	return nil
}

// text is what set reads.
func (f field) text() string {
	switch v := f.value.Interface().(type) {
	case []string:
		return strings.Join(v, ",")
	case []float64:
		return strings.ReplaceAll(strings.Trim(fmt.Sprint(v), "[]"), " ", ",")
	default:
		return fmt.Sprint(v)
	}
}
