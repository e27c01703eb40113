package export

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export/onnx"
)

// KV policies of a window that is looped without training.
const (
	LoopDepth  = "depth"  // one for each application: exact
	LoopPlanes = "planes" // as older scripts call it
	LoopFirst  = "first"  // the first application's alone: the model's own keys and values
)

// trainFree loops layers of an ordinary decoder (arXiv 2605.23872): with g the layers, x ← x + (g(x) − x)·step, a step being 1/loops,
// and what follows reads β·g(x₀) + (1 − β)·x. A row carries [x | g(x₀)], unless β is 0. One loop is the model itself.
type trainFree struct{ beta float64 }

// settleLoop fills in the options of the window, and refuses what they can't be.
func (o *Options) settleLoop() error {
	if o.LoopKV = cmp.Or(o.LoopKV, LoopDepth); o.LoopKV == LoopPlanes {
		o.LoopKV = LoopDepth
	}
	more := o.LoopSteps != 0 || o.LoopBeta != "" || o.LoopKV != LoopDepth || o.LoopNaive
	beta, err := strconv.ParseFloat(cmp.Or(o.LoopBeta, "0.5"), 64)
	switch {
	case more && o.Loop == "":
		return fmt.Errorf("loop-steps, loop-beta, loop-kv and loop-naive are about the layers of loop: set loop, for example to 15-18")
	case o.LoopSteps < 0 || o.LoopSteps > 64:
		return fmt.Errorf("loop-steps is %d: must be 1 to 64", o.LoopSteps)
	case err != nil || !(beta >= 0 && beta <= 1):
		return fmt.Errorf("loop-beta is %q: must be a number from 0 to 1", o.LoopBeta)
	case o.LoopKV != LoopDepth && o.LoopKV != LoopFirst:
		return fmt.Errorf("loop-kv is %q: must be %s or %s", o.LoopKV, LoopDepth, LoopFirst)
	case o.LoopNaive && o.LoopBeta != "":
		return fmt.Errorf("loop-beta is %s, but loop-naive repeats the layers and blends nothing: leave one of the two out", o.LoopBeta)
	}
	o.beta = beta
	return nil
}

// untrained has the window looped as the options say, and gives the loops that are served.
func (m *decoder) untrained(o *Options) bundle.LoopRange {
	r := bundle.LoopRange{Min: 1, Default: 1, Trained: 1, Max: 1}
	if o.Loop == "" {
		return r
	}
	r.Default = max(o.LoopSteps, 1)
	r.Max = max(2*o.LoopSteps, 8)
	m.kvFirst = o.LoopKV == LoopFirst
	m.policies = []string{LoopFirst}
	if o.LoopNaive {
		return r
	}
	m.free, m.trajectory = &trainFree{o.beta}, &bundle.Trajectory{}
	if o.beta > 0 {
		m.width = 2 * m.hidden
	}
	return r
}

func (m *decoder) describe(to *bundle.Manifest) {
	m.base.describe(to)
	if m.kvFirst {
		to.KVPolicies = []string{LoopFirst, LoopDepth, "latest"}
	}
}

// step ends a block whose layers made natural of x.
func (f *base) step(b *builder, g *onnx.Graph, x, natural, anchor string) {
	one := g.Floats("one", []float32{1})
	mix := func(from, to, share string) string { // exact where the share is 0 or 1
		rest := g.Node("", "Sub", []string{one, share})
		return b.down(g, g.Node("", "Add", []string{g.Node("", "Mul", []string{b.up(g, from), rest}), g.Node("", "Mul", []string{b.up(g, to), share})}))
	}
	next, out := mix(x, natural, asColumn(g, "step", onnx.Float)), b.inner("hidden_out")
	if anchor == "" {
		g.NodeTo("", "Identity", []string{next}, []string{out})
	} else { // the first loop's output is the anchor: its time is 0, a later one's at least 1/loops
		late := g.Node("", "Mul", []string{asColumn(g, "time", onnx.Float), g.Floats("many", []float32{1 << 20})})
		first := g.Node("", "Max", []string{g.Node("", "Sub", []string{one, late}), g.Floats("nothing", []float32{0})})
		g.NodeTo("", "Concat", []string{next, mix(anchor, natural, first)}, []string{out}, onnx.Attr{Name: "axis", V: 1})
	}
	f.emit(b, g, "hidden_out")
	b.relativeChange(g, x, next)
}

// blend is what the layers after the window read: exactly the anchor where x is the same.
func (f *base) blend(b *builder, g *onnx.Graph, x, anchor string) string {
	if anchor == "" {
		return x
	}
	a, rest := b.up(g, anchor), g.Floats("without_anchor", []float32{float32(1 - f.free.beta)})
	away := g.Node("", "Mul", []string{g.Node("", "Sub", []string{b.up(g, x), a}), rest})
	return b.down(g, g.Node("", "Add", []string{a, away}))
}
