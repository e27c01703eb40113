package inspect

import (
	"cmp"
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/spec"
	"github.com/loopserve/loopserve/runtime/kvcache"
)

// Load is what memory and operations are asked for. A zero field means its default.
type Load struct {
	Requests int `json:"requests"` // at one time, default 1
	Length   int `json:"length"`   // tokens of each, prompt and completion; default (and at most) the context
	Loops    int `json:"loops"`    // default the model's
	PageSize int `json:"page_size"`
	// Precision is what the KV pages are kept in: f32, f16 or int8; auto, the default, is told as what it comes to. Bundles for CUDA and of the kind dense have
	// their own.
	Precision string `json:"kv_precision"`
	KVMemory  int64  `json:"kv_memory"` // of a server, for its KV pages; 0: 1 GiB
}

// Facts is what there is to know.
type Facts struct {
	Name        string           `json:"name"`
	Kind        string           `json:"kind"`
	Family      string           `json:"family"`
	Provider    string           `json:"provider"`
	Description string           `json:"description,omitempty"`
	HiddenSize  int              `json:"hidden_size"`
	VocabSize   int              `json:"vocab_size"`
	Context     int              `json:"context"`
	Heads       int              `json:"heads,omitempty"` // of the kind paged
	KVHeads     int              `json:"kv_heads,omitempty"`
	HeadDim     int              `json:"head_dim,omitempty"`
	State       string           `json:"state"`
	Inject      bool             `json:"inject"`
	Gate        bool             `json:"gate"`
	Loops       bundle.LoopRange `json:"loops"`
	Precision   bundle.Precision `json:"precision"`
	FileBytes   int64            `json:"file_bytes"`

	Stages [3]Stage `json:"stages"`
	// Parameters counts each stage's own; a matrix that two stages share, such as a tied embedding, is in both.
	Parameters int64    `json:"parameters"`
	Policies   []Policy `json:"kv_policies"`
	Load       Load     `json:"load"`
	FLOPs      FLOPs    `json:"flops"`
	Memory     Memory   `json:"memory"` // under the first policy
}

// Stage is one of the graphs.
type Stage struct {
	Name       string `json:"name"`
	Layers     int    `json:"layers"`
	Parameters int64  `json:"parameters"`
	RowFLOPs   int64  `json:"row_flops"`          // of its weights, for one row
	TokenBytes int64  `json:"token_plane_bytes"`  // of the cache, for one token in one plane
	Planes     int    `json:"planes_at_the_load"` // under the first policy
}

// Policy is a KV policy that the model allows.
type Policy struct {
	Name       string `json:"name"`
	Planes     int    `json:"planes"`      // of the block, at the load's loops
	TokenBytes int64  `json:"token_bytes"` // of one token, all stages and planes
	Tokens     int    `json:"kv_tokens"`   // that fit in kv_memory, all sequences together
}

// FLOPs are operations of one generated token at the load's length and loops. Attention is what scores and values take
// beside the weights; it is 0 for the kind dense, whose graphs are not looked into.
type FLOPs struct {
	Prelude       int64 `json:"prelude"`
	Loop          int64 `json:"loop"` // one loop
	LoopAttention int64 `json:"loop_attention"`
	Coda          int64 `json:"coda"` // its attention is in it
	Token         int64 `json:"token"`
}

// Memory is bytes at the load.
type Memory struct {
	Weights int64 `json:"weights"` // the files; ONNX Runtime may keep a second copy, packed for its kernels
	Cache   int64 `json:"cache"`
	Rows    int64 `json:"rows"` // latents and the buffers of a call, at the default number of rows
	Total   int64 `json:"total"`
	// Resident is what a server's VmRSS comes to: the weights, what of rows is touched, the cache, and the process itself.
	Resident int64 `json:"resident"`
}

// Bundle gathers the facts of a bundle.
func Bundle(b *bundle.Bundle, load Load) (*Facts, error) {
	m := &b.Manifest
	if err := load.complete(m); err != nil {
		return nil, err
	}
	precision, err := spec.KVPrecision(load.Precision, m, cmp.Or(m.Provider, "cpu"))
	if err != nil {
		return nil, err
	}
	load.Precision = precision.String()
	f := &Facts{
		Name: m.Name, Kind: m.Kind, Family: m.Family, Description: m.Description, Provider: cmp.Or(m.Provider, "cpu"),
		HiddenSize: m.HiddenSize, VocabSize: m.VocabSize, Context: m.Context,
		Heads: m.Attention.Heads, KVHeads: m.Attention.KVHeads, HeadDim: m.Attention.HeadDim,
		State: m.State.Kind, Inject: m.Inject, Gate: m.Gate != nil, Loops: m.Loops, Precision: m.Precision, Load: load,
		FileBytes: m.FileBytes(),
	}
	shapes := spec.Shapes(m, load.PageSize, precision)
	for i, g := range []bundle.Graph{m.Prelude, m.Block, m.Coda} {
		raw, err := b.ReadFile(g.File)
		if err != nil {
			return nil, err
		}
		onnx, err := bundle.ReadONNX(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.File, err)
		}
		read, s := graph{onnx}, &f.Stages[i]
		s.Name, s.Layers, s.TokenBytes = loopctl.Stage(i).String(), g.Layers, shapes[i].TokenBytes()
		s.Parameters, s.RowFLOPs = read.counts()
		f.Parameters += s.Parameters
	}
	for _, name := range m.KVPolicies {
		f.Policies = append(f.Policies, f.policy(name, shapes, m))
	}
	for i := range f.Stages {
		f.Stages[i].Planes = min(f.Stages[i].Layers, 1)
	}
	if f.Stages[loopctl.StageBlock].Layers > 0 {
		f.Stages[loopctl.StageBlock].Planes = f.Policies[0].Planes
	}
	f.operations()
	f.memory(m)
	return f, nil
}

// complete fills in defaults and refuses what the model does not do.
func (l *Load) complete(m *bundle.Manifest) error {
	l.Requests, l.Length, l.Loops = cmp.Or(l.Requests, 1), cmp.Or(l.Length, m.Context), cmp.Or(l.Loops, m.Loops.Default)
	l.PageSize = cmp.Or(l.PageSize, engine.Options{}.WithDefaults(m).PageSize)
	l.KVMemory = cmp.Or(l.KVMemory, engine.Options{}.WithDefaults(m).KVBytes)
	l.Precision = cmp.Or(l.Precision, "auto")
	switch {
	case l.Requests < 1 || l.PageSize < 1:
		return fmt.Errorf("requests is %d and page_size is %d: both must be at least 1", l.Requests, l.PageSize)
	case l.Length < 1 || l.Length > m.Context:
		return fmt.Errorf("length is %d, but the model's context is %d: use 1 to %d", l.Length, m.Context, m.Context)
	case l.Loops < m.Loops.Min || l.Loops > m.Loops.Max:
		return fmt.Errorf("loops is %d: this model takes %d to %d", l.Loops, m.Loops.Min, m.Loops.Max)
	}
	return nil
}

func (f *Facts) policy(name string, shapes [3]kvcache.Shape, m *bundle.Manifest) Policy {
	kv, _ := spec.ParseKVPolicy(name) // the manifest has been checked
	planes := kv.PlanesAt(f.Load.Loops)
	p := Policy{Name: name, Planes: planes, TokenBytes: shapes[0].TokenBytes() + int64(planes)*shapes[1].TokenBytes() + shapes[2].TokenBytes()}
	opt := engine.Options{PageSize: f.Load.PageSize, KVBytes: f.Load.KVMemory, KVPrecision: shapes[1].Precision, KV: kv}.WithDefaults(m)
	if m.Kind == bundle.KindDense || m.Provider != "" {
		opt.KVPrecision = kvcache.F32 // they have their own
	}
	if c, err := opt.Capacity(m, f.Provider); err == nil { // else not a page fits
		p.Tokens = c.Tokens(f.Load.Loops)
	}
	return p
}

func (f *Facts) operations() {
	n := int64(f.Load.Length)
	attention := func(layers int) int64 { return 4 * n * int64(layers) * int64(f.Heads) * int64(f.HeadDim) }
	rows := func(layers int) int64 { // that one token makes a graph compute
		if f.Kind == bundle.KindDense && layers > 0 {
			return n
		}
		return 1
	}
	p, b, c := &f.Stages[0], &f.Stages[1], &f.Stages[2]
	f.FLOPs = FLOPs{
		Prelude: p.RowFLOPs*rows(p.Layers) + attention(p.Layers), Loop: b.RowFLOPs * rows(b.Layers), LoopAttention: attention(b.Layers),
		Coda: c.RowFLOPs*rows(c.Layers) + attention(c.Layers),
	}
	f.FLOPs.Token = f.FLOPs.Prelude + int64(f.Load.Loops)*(f.FLOPs.Loop+f.FLOPs.LoopAttention) + f.FLOPs.Coda
}

// What a server takes beside weights and cache, as measured: the process with ONNX Runtime's library, and the vectors of
// hidden_size that a call keeps for each of its rows.
const (
	processBytes = 70 << 20
	rowVectors   = 20
)

func (f *Facts) memory(m *bundle.Manifest) {
	l := f.Load
	tokens := int64((l.Length+l.PageSize-1)/l.PageSize) * int64(l.PageSize) * int64(l.Requests)
	element, kept := int64(2), int64(0)
	if m.Precision.Activations == "f32" {
		element = 4
	}
	if m.Inject {
		kept = 1
	}
	state := int64(m.StateWidth()) * element
	vector := int64(m.HiddenSize) * element
	def := engine.Options{}.WithDefaults(m)
	latents, rows, logits := int64(def.Latents), int64(def.MaxRows), int64(def.MaxRows)
	policy, _ := spec.ParseKVPolicy(f.Policies[0].Name) // the manifest has been checked
	whole := int64(spec.PromptRows(m, policy, l.Length))
	latents, rows = latents+whole, rows+whole
	f.Memory.Weights, f.Memory.Cache = f.FileBytes, tokens*f.Policies[0].TokenBytes
	f.Memory.Rows = latents*(state+kept*vector) + rows*(2*state+(1+kept)*vector) + logits*4*int64(m.VocabSize)
	f.Memory.Total = f.Memory.Weights + f.Memory.Cache + f.Memory.Rows
	touched := min(rows, int64(l.Requests)*int64(l.Length))
	f.Memory.Resident = processBytes + f.Memory.Weights + f.Memory.Cache + touched*rowVectors*vector + int64(l.Requests)*4*int64(m.VocabSize)
}
