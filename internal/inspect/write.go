package inspect

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/loopserve/loopserve/models/bundle"
)

// Write prints the facts as a page.
func (f *Facts) Write(w io.Writer) error {
	fmt.Fprintf(w, "%s: %s, family %s, for the %s provider\n", f.Name, f.Kind, f.Family, f.Provider)
	if f.Description != "" {
		fmt.Fprintln(w, f.Description)
	}
	fmt.Fprintf(w, "\nhidden %d, vocabulary %d, context %d tokens", f.HiddenSize, f.VocabSize, f.Context)
	if f.Heads > 0 {
		fmt.Fprintf(w, ", %d query heads and %d KV heads of %d", f.Heads, f.KVHeads, f.HeadDim)
	}
	fmt.Fprintf(w, "\nstate before the first loop: %s", f.State)
	if f.Inject {
		fmt.Fprint(w, "; the prelude's output is injected into every loop")
	}
	if f.Gate {
		fmt.Fprint(w, "; the block has an exit gate")
	}
	fmt.Fprintf(w, "\nloops %d to %d, default %d, trained %d: %d layers deep at the default\n",
		f.Loops.Min, f.Loops.Max, f.Loops.Default, f.Loops.Trained, f.Stages[0].Layers+f.Loops.Default*f.Stages[1].Layers+f.Stages[2].Layers)
	fmt.Fprintf(w, "precision: activations %s, weights %s, embedding %s, head %s; %s on disk\n\n",
		f.Precision.Activations, f.Precision.Weights, f.Precision.Embedding, f.Precision.Head, size(f.FileBytes))

	cache := "KV bytes of a token in a plane"
	if f.Kind == bundle.KindDense {
		cache = "bytes of a token in a plane"
	}
	var table strings.Builder
	t := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "stage\tlayers\tparameters\tFLOPs of a row\t%s\tplanes at %d loops\t\n", cache, f.Load.Loops)
	for _, s := range f.Stages {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%d\t%d\t\n", s.Name, s.Layers, count(s.Parameters), count(s.RowFLOPs), s.TokenBytes, s.Planes)
	}
	fmt.Fprintf(t, "all\t\t%s\t\t\t\t\n", count(f.Parameters))
	if err := t.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(table.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
	fmt.Fprintf(w, "\nKV policies at %d loops:\n", f.Load.Loops)
	for _, p := range f.Policies {
		fmt.Fprintf(w, "  %s: %d planes, %d bytes a token; %s holds %d tokens\n", p.Name, p.Planes, p.TokenBytes, size(f.Load.KVMemory), p.Tokens)
	}
	fmt.Fprintf(w, "\none token at length %d and %d loops: %s FLOPs: prelude %s, each loop %s", f.Load.Length, f.Load.Loops,
		count(f.FLOPs.Token), count(f.FLOPs.Prelude), count(f.FLOPs.Loop+f.FLOPs.LoopAttention))
	if f.FLOPs.LoopAttention > 0 {
		fmt.Fprintf(w, " (%s of them attention)", count(f.FLOPs.LoopAttention))
	}
	fmt.Fprintf(w, ", coda %s\n", count(f.FLOPs.Coda))
	if f.Kind == bundle.KindDense {
		fmt.Fprintln(w, "  without a cache, stages with layers compute the whole sequence again for each token; attention's own products are not in it")
	}
	fmt.Fprintf(w, "memory of %d requests of %d tokens at %d loops, policy %s: %s: weights %s, cache %s, rows %s\n", f.Load.Requests,
		f.Load.Length, f.Load.Loops, f.Policies[0].Name, size(f.Memory.Total), size(f.Memory.Weights), size(f.Memory.Cache), size(f.Memory.Rows))
	fmt.Fprintf(w, "  resident in a server: %s, and of the token table the rows that were looked up\n", size(f.Memory.Resident))
	return nil
}

// count is a number with a thousand's suffix.
func count(n int64) string { return scaled(n, 1000, []string{"", " k", " M", " G", " T", " P"}) }

// size is bytes in binary units.
func size(n int64) string {
	return scaled(n, 1024, []string{" B", " KiB", " MiB", " GiB", " TiB", " PiB"})
}

func scaled(n, base int64, units []string) string {
	v, unit := float64(n), 0
	for v >= float64(base) && unit < len(units)-1 {
		v /= float64(base)
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d%s", n, units[0])
	}
	return fmt.Sprintf("%.3g%s", v, units[unit])
}
