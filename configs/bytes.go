package configs

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a number of bytes, written as 4096, 512MiB or 2GB.
type Bytes int64

var units = []struct {
	name string
	size float64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"kB", 1e3},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"B", 1},
}

// ParseBytes reads a size with or without a unit.
func ParseBytes(s string) (Bytes, error) {
	number, size := strings.TrimSpace(s), 1.0
	for _, u := range units {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, size = strings.TrimSpace(rest), u.size
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || v < 0 || math.IsNaN(v) || v*size >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is not a size: write it as 4096, 512MiB or 2GB", s)
	}
	return Bytes(v * size), nil
}

// String uses the largest unit that leaves an integer.
func (b Bytes) String() string {
	for i := 3; i >= 0; i-- {
		if size := Bytes(units[i].size); b >= size && b%size == 0 {
			return fmt.Sprintf("%d%s", b/size, units[i].name)
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// About rounds to what a person reads: 1.3 GiB.
func (b Bytes) About() string {
	for i := 3; i >= 0; i-- {
		if size := units[i].size; float64(b) >= size {
			return fmt.Sprintf("%.1f %s", float64(b)/size, units[i].name)
		}
	}
	return fmt.Sprintf("%d B", int64(b))
}

// UnmarshalText makes YAML, environment and flags read sizes alike.
func (b *Bytes) UnmarshalText(text []byte) error {
	v, err := ParseBytes(string(text))
	*b = v
	return err
}

// MarshalText writes what UnmarshalText reads.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }
