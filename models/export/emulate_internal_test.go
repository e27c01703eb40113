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
