package configs

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Field is one setting of a Config. It is a flag.Value, too: one that Fields gives holds the default until it is Set, and
// changes no Config.
type Field struct {
	Name  string // as in YAML
	tag   reflect.StructTag
	value reflect.Value
}

// Fields lists every setting, in the order of default.yaml.
func Fields() []Field {
	c, _ := defaults() // LoadWithOrigins tells of an error
	return fields(&c)
}

// defaults are read once: each command that has flags for settings asks, whichever is run. What is set later replaces lists, and
// changes none.
var defaults = sync.OnceValues(func() (c Config, err error) {
	err = decode([]byte(defaultYAML), &c)
	return c, err
})

func fields(c *Config) []Field {
	v := reflect.ValueOf(c).Elem()
	var out []Field
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		out = append(out, Field{tag.Get("yaml"), tag, v.Field(i)})
	}
	return out
}

// Env is the environment variable.
func (f Field) Env() string { return envPrefix + strings.ToUpper(f.Name) }

// Flag is the flag, without dashes.
func (f Field) Flag() string { return strings.ReplaceAll(f.Name, "_", "-") }

// Usage is what stands beside the setting in default.yaml.
func (f Field) Usage() string {
	_, line, _ := strings.Cut(defaultYAML, "\n"+f.Name+":")
	line, _, _ = strings.Cut(line, "\n")
	_, text, _ := strings.Cut(line, "#")
	return strings.TrimSpace(text)
}

// Type names the type of the value: bool, int, float, duration, size, string or list.
func (f Field) Type() string {
	switch f.value.Interface().(type) {
	case Bytes:
		return "size"
	case time.Duration:
		return "duration"
	case float64:
		return "float"
	case []string, []float64:
		return "list"
	default:
		return f.value.Kind().String()
	}
}

// IsBoolFlag says that the flag needs no value, and makes its help the same as that of other bools.
func (f Field) IsBoolFlag() bool { return f.Type() == "bool" }

// Set reads a value from the text of an environment variable or a flag. It checks its type, not whether Validate takes it.
func (f Field) Set(text string) error {
	switch p := f.value.Addr().Interface().(type) {
	case *string:
		*p = text
		return nil
	case *bool:
		return read(p, text, strconv.ParseBool, "is neither true nor false")
	case *int:
		return read(p, text, strconv.Atoi, "is not an integer")
	case *float64:
		return read(p, text, parseFloat, "is not a number")
	case *time.Duration:
		return read(p, text, time.ParseDuration, "is not a duration: write it as 500ms, 30s or 2m")
	case *Bytes:
		return p.UnmarshalText([]byte(text))
	case *[]string:
		*p = []string{}
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				*p = append(*p, item)
			}
		}
		return nil
	case *[]float64:
		return read(p, text, parseFloats, "is not a list of numbers: write it as 1,0.5")
	}
	return fmt.Errorf("setting %s has the type %s, which cannot be read from text", f.Name, f.value.Type())
}

func read[T any](to *T, text string, parse func(string) (T, error), wrong string) error {
	v, err := parse(text)
	if err != nil {
		return fmt.Errorf("%q %s", text, wrong)
	}
	*to = v
	return nil
}

func parseFloat(text string) (float64, error) { return strconv.ParseFloat(text, 64) }

func parseFloats(text string) (out []float64, err error) {
	for item := range strings.SplitSeq(text, ",") {
		v, err := parseFloat(strings.TrimSpace(item))
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// String is what Set reads.
func (f Field) String() string {
	switch v := f.value.Interface().(type) {
	case []string:
		return strings.Join(v, ",")
	case []float64:
		return strings.ReplaceAll(strings.Trim(fmt.Sprint(v), "[]"), " ", ",")
	default:
		return fmt.Sprint(v)
	}
}
