package export

import (
	"slices"

	"github.com/loopserve/loopserve/models/export/onnx"
)

// Inputs of loopserve.PackedLinear.
const (
	linearX = iota
	linearWeights
	linearGain
	linearBias
	linearResidual
	linearInputs
)

const packedLinear = "PackedLinear"

// fuse takes what stands around the packed products of a graph into them: a norm whose result only products read, a
// bias, and an addition to a product's result. A layer then is about five nodes instead of ten, and what a norm computes
// is used where it is computed. The numbers stay the same up to rounding.
func fuse(g *onnx.Graph) {
	f := fuser{g: g}
	for f.splitSkips(); f.norms() || f.additions(); {
	}
	f.joinSkips()
}

type fuser struct{ g *onnx.Graph }

// readers are the nodes that read each name; a graph's output counts as one more, −1.
func (f *fuser) readers() map[string][]int {
	readers := map[string][]int{}
	for i, n := range f.g.Nodes {
		for _, in := range n.Inputs {
			if in != "" {
				readers[in] = append(readers[in], i)
			}
		}
		for _, out := range n.Outputs {
			if f.g.Result(out) {
				readers[out] = append(readers[out], -1)
			}
		}
	}
	return readers
}

const (
	skipNorm  = "SkipSimplifiedLayerNormalization"
	plainNorm = "SimplifiedLayerNormalization"
)

// splitSkips writes every addition with a norm as an addition and a norm, each of which may go its own way.
func (f *fuser) splitSkips() {
	var nodes []onnx.Node
	for _, n := range f.g.Nodes {
		if n.Op != skipNorm {
			nodes = append(nodes, n)
			continue
		}
		sum := n.Outputs[3]
		nodes = append(nodes,
			onnx.Node{Op: "Add", Inputs: n.Inputs[:2], Outputs: []string{sum}},
			onnx.Node{
				Op: plainNorm, Inputs: []string{sum, n.Inputs[2]}, Outputs: n.Outputs[:1],
				Attrs: slices.Concat([]onnx.Attr{{Name: "axis", V: -1}}, n.Attrs, []onnx.Attr{{Name: "stash_type", V: 1}}),
			})
	}
	f.g.Nodes = nodes
}

// joinSkips is splitSkips' inverse, for the pairs that are still neighbours.
func (f *fuser) joinSkips() {
	var nodes []onnx.Node
	for _, n := range f.g.Nodes {
		if last := len(nodes) - 1; n.Op == plainNorm && last >= 0 && nodes[last].Op == "Add" && nodes[last].Outputs[0] == n.Inputs[0] &&
			!slices.ContainsFunc(nodes[last].Inputs, f.g.Stored) {
			add := nodes[last]
			n = onnx.Node{
				Domain: onnx.Microsoft, Op: skipNorm, Inputs: []string{add.Inputs[0], add.Inputs[1], n.Inputs[1]},
				Outputs: []string{n.Outputs[0], "", "", add.Outputs[0]}, Attrs: []onnx.Attr{epsilonOf(n)},
			}
			nodes = nodes[:last]
		}
		nodes = append(nodes, n)
	}
	f.g.Nodes = nodes
}

// norms takes one norm into the products that read it, if all that read it are such.
func (f *fuser) norms() bool {
	readers := f.readers()
	for i, n := range f.g.Nodes {
		if n.Op != plainNorm {
			continue
		}
		by := readers[n.Outputs[0]]
		if len(by) == 0 || slices.ContainsFunc(by, func(r int) bool {
			return r < 0 || f.g.Nodes[r].Op != packedLinear || f.g.Nodes[r].Inputs[linearX] != n.Outputs[0] || f.g.Nodes[r].Inputs[linearGain] != "" ||
				f.g.Nodes[r].Inputs[linearResidual] == n.Outputs[0]
		}) {
			continue
		}
		for _, r := range by {
			product := &f.g.Nodes[r]
			product.Inputs[linearX], product.Inputs[linearGain] = n.Inputs[0], n.Inputs[1]
			product.Attrs = append(product.Attrs, epsilonOf(n))
		}
		f.g.Nodes = slices.Delete(f.g.Nodes, i, i+1)
		return true
	}
	return false
}

// additions takes one addition into the product that makes one of its sides, if nobody else reads that side. The product
// moves to the addition's place, where the other side is known.
func (f *fuser) additions() bool {
	readers, makers := f.readers(), map[string]int{}
	for i, n := range f.g.Nodes {
		for _, out := range n.Outputs {
			makers[out] = i
		}
	}
	for i, n := range f.g.Nodes {
		if n.Op != "Add" {
			continue
		}
		for side, in := range n.Inputs {
			m, ok := makers[in]
			if !ok || f.g.Nodes[m].Op != packedLinear || len(readers[in]) != 1 || swiGLUIn(f.g.Nodes[m]) {
				continue
			}
			other, to := n.Inputs[1-side], linearResidual
			if f.g.Stored(other) {
				to = linearBias
			}
			product := f.g.Nodes[m]
			if product.Inputs[linearResidual] != "" || product.Inputs[to] != "" { // a bias comes before the residual
				continue
			}
			product.Inputs[to], product.Outputs = other, n.Outputs
			f.g.Nodes[i] = product
			f.g.Nodes = slices.Delete(f.g.Nodes, m, m+1)
			return true
		}
	}
	return false
}

func epsilonOf(norm onnx.Node) onnx.Attr {
	i := slices.IndexFunc(norm.Attrs, func(a onnx.Attr) bool { return a.Name == "epsilon" })
	return norm.Attrs[i] // every norm of ours has one
}

func swiGLUIn(n onnx.Node) bool {
	return slices.ContainsFunc(n.Attrs, func(a onnx.Attr) bool { return a.Name == "activation" && a.V == activationSwiGLU })
}

// trim cuts the optional inputs at the end that are not there.
func trim(g *onnx.Graph) {
	for i, n := range g.Nodes {
		for n.Op == packedLinear && n.Inputs[len(n.Inputs)-1] == "" {
			n.Inputs = n.Inputs[:len(n.Inputs)-1]
		}
		g.Nodes[i] = n
	}
}
