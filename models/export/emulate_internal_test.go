package export

import (
	"fmt"
	"strings"
)

// Emulated asks for 16-bit graphs that run on the CPU: the same nodes, with the CPU's float32 attention between casts
// where CUDA's operator would be, and float32 at the graph's inputs and outputs, which takes nothing from 16 bits.
func Emulated(o Options) Options {
	o.emulate = true
	return o
}

// KeysOf is what a checkpoint's family makes of the keys of a config.json, save those that are inert in all: "honoured", "inert",
// or the only values that it takes.
func KeysOf(dir string) (map[string]string, error) {
	s := &source{}
	defer s.close()
	var err error
	if s.dir, err = openFolder(dir); err != nil {
		return nil, err
	}
	c, err := readConfig(s.dir, nil)
	if err != nil {
		return nil, err
	}
	if s.ckpt, err = openWeights(s.dir); err != nil {
		return nil, err
	}
	err = s.choose(c)
	for _, of := range inert {
		for _, key := range of.keys {
			if of.only != "" || c.seen[key] == keyInert { // a family may honour one: initializer_range
				delete(c.seen, key)
			}
		}
	}
	return c.seen, err
}

// InertKeys are the rows of the table in docs/export.md.
func InertKeys() []string {
	rows := make([]string, len(inert))
	for i, k := range inert {
		value := ""
		if k.only != "" {
			value = fmt.Sprintf(" (only `%s`)", k.only)
		}
		rows[i] = fmt.Sprintf("| %s%s | `%s` |", k.why, value, strings.Join(k.keys, "` `"))
	}
	return rows
}
