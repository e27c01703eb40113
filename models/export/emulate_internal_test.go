package export

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/loopserve/loopserve/models/bundle"
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

// Planned is what a checkpoint's config makes of a manifest, before any graph or weight is there.
func Planned(dir string, has func(tensor string) bool) (*bundle.Manifest, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer f.close()
	c, err := readConfig(f, nil)
	if err != nil {
		return nil, err
	}
	m := &bundle.Manifest{Kind: bundle.KindPaged, Precision: bundle.Precision{Activations: F32}}
	class := c.names(&m.Family)
	m.Family = cmp.Or(m.Family, classNames[class])
	made, err := families[m.Family](c, has)
	if err == nil {
		made.describe(m)
	}
	return m, err
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
