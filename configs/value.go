package configs

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// field is one setting of a Config: its name in YAML and where its value is.
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

func (f field) env() string  { return envPrefix + strings.ToUpper(f.name) }
func (f field) flag() string { return strings.ReplaceAll(f.name, "_", "-") }

// kind names the type of a setting, as the help of a command shows it.
func (f field) kind() string {
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
			return fmt.Errorf("%q is not an integer", text)
		}
		*p = v
	case *float64:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		*p = v
	case *time.Duration:
		v, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a duration: write it as 500ms, 30s or 2m", text)
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
				return fmt.Errorf("%q is not a list of numbers: write it as 1,0.5", text)
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
