package bundle

import "cmp"

// Version is the manifest version that this code reads and writes.
const Version = 1

// FileName is the manifest's name inside a bundle.
const FileName = "manifest.json"

// Kinds of bundle.
const (
	// KindPaged has a KV cache in pages: packed rows, paged attention inside the graphs.
	KindPaged = "paged"
	// KindDense has no cache: [batch, seq, hidden] in and out, the whole sequence computed again for each token.
	KindDense = "dense"
)

// ProviderCUDA is the provider of bundles whose attention has a kernel for CUDA alone.
const ProviderCUDA = "cuda"

// Manifest is the contract between a bundle and the engine: any graphs that keep it can be served.
// docs/bundle-format.md explains each field; manifest.schema.json is the same as a JSON Schema.
type Manifest struct {
	ManifestVersion int    `json:"manifest_version"`
	Name            string `json:"name"`   // [a-z0-9][a-z0-9._-]{0,63}; how clients call the model
	Kind            string `json:"kind"`   // "paged" or "dense"
	Family          string `json:"family"` // looped_llama, ouro, …: where the graphs came from; the engine does not read it
	Description     string `json:"description,omitempty"`
	License         string `json:"license,omitempty"`
	Source          Source `json:"source"`

	HiddenSize int `json:"hidden_size"`
	VocabSize  int `json:"vocab_size"` // columns of logits
	Context    int `json:"context"`    // tokens of one sequence; the RoPE tables are this long

	Attention Attention `json:"attention,omitzero"` // of the kind paged
	Prelude   Graph     `json:"prelude"`
	Block     Graph     `json:"block"`
	Coda      Graph     `json:"coda"`

	Loops LoopRange `json:"loops"`
	// Trajectory says that the state after a loop depends on the steps of the request, and what they may be; absent: on the
	// loops done alone.
	Trajectory *Trajectory `json:"trajectory,omitempty"`
	State      State       `json:"state"`
	// Inject says that the prelude emits "inject" and the block reads it at each loop.
	Inject bool  `json:"inject"`
	Gate   *Gate `json:"gate,omitempty"`
	// PrefixLM says that a prompt is read in both directions: its rows see all of it, so it goes in one call and shares nothing.
	PrefixLM bool `json:"prefix_lm,omitempty"`
	// Auto is the adaptive depth that the model does well with: what name@auto stands for.
	Auto *Auto `json:"auto,omitempty"`
	// KVPolicies lists what the model allows, the default first: depth, latest, first, last_loop, modulo:m.
	KVPolicies []string `json:"kv_policies"`

	// Provider is what the graphs need: "" is the CPU, "cuda" a device with ONNX Runtime's CUDA provider.
	Provider  string    `json:"provider,omitempty"`
	Precision Precision `json:"precision"`
	Tokens    Tokens    `json:"tokens"`

	// Files has every other file of the bundle: what is not listed is not read.
	Files map[string]File `json:"files"`
}

// Source says what the bundle was made from.
type Source struct {
	ModelType  string `json:"model_type"`
	Checkpoint string `json:"checkpoint,omitempty"` // name of the folder exported, no path
	SHA256     string `json:"sha256,omitempty"`     // of the checkpoint's weight files, in name order
	Exporter   string `json:"exporter"`             // "loopserve <version>"
}

// Attention holds the shapes of the KV cache: the same in all three graphs.
type Attention struct {
	Heads   int `json:"heads"`
	KVHeads int `json:"kv_heads"`
	HeadDim int `json:"head_dim"`
}

// Graph is one of the three ONNX files.
type Graph struct {
	File   string `json:"file"`
	Layers int    `json:"layers"` // attention layers; 0: no row sees another, and the graph takes no paging inputs
}

// LoopRange says which loop counts the model serves.
type LoopRange struct {
	Min     int `json:"min"`
	Default int `json:"default"`
	Trained int `json:"trained"`
	Max     int `json:"max"`
}

// Trajectory is the way to the last loop: a loop goes 1/loops of it, or as far as the request says.
type Trajectory struct {
	Choice bool `json:"choice,omitempty"` // a request may say how far each loop goes
	Grid   int  `json:"grid,omitempty"`   // the model was trained on multiples of 1/grid; 0: nothing is known of others
}

// State says what a row's latent is before its first loop.
type State struct {
	// Kind is "prelude" (the prelude's output hidden), "zeros", or "normal" (a truncated normal, seeded).
	Kind  string  `json:"kind"`
	Std   float64 `json:"std,omitempty"`   // of the normal before truncation at ±3 std
	Scale float64 `json:"scale,omitempty"` // multiplies the drawn value
	// Width is how many numbers a row's state has: hidden_size where it is 0, and never fewer. The first hidden_size are what the model
	// calls its state (a latent, an embedding, what delta is of); what stands behind them only the graphs know.
	Width int `json:"width,omitempty"`
}

// StateWidth is how many numbers a row's state has.
func (m *Manifest) StateWidth() int { return cmp.Or(m.State.Width, m.HiddenSize) }

// Auto is an exit policy, its threshold, and the loops that it may choose from. A zero means the server's default.
type Auto struct {
	ExitPolicy    string  `json:"exit_policy"`
	ExitThreshold float64 `json:"exit_threshold,omitempty"`
	MinLoops      int     `json:"min_loops,omitempty"`
	Loops         int     `json:"loops,omitempty"`
}

// Gate says what the block's "gate" output means.
type Gate struct {
	Kind string `json:"kind"` // "hazard": σ(gate) is the probability to stop at this loop, given that it came so far
}

// Precision says what the numbers in the graphs are.
type Precision struct {
	Activations string `json:"activations"` // f32 | f16 | bf16
	Weights     string `json:"weights"`     // f32 | f16 | bf16 | int8 | int4
	Embedding   string `json:"embedding"`
	Head        string `json:"head"`
}

// Tokens are the special ids that serving needs.
type Tokens struct {
	BOS  *int32  `json:"bos,omitempty"`
	PAD  *int32  `json:"pad,omitempty"`
	Stop []int32 `json:"stop"` // any of them ends a sequence
}

// Warnings are what is allowed and hardly meant.
func (m *Manifest) Warnings() []string {
	if len(m.Tokens.Stop) > 0 {
		return nil
	}
	return []string{"tokens.stop is empty: no file of the checkpoint names a token that ends an answer, so each runs to its max_tokens: " +
		"put eos_token_id into generation_config.json and export again"}
}

// File is one file of the bundle.
type File struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// FileBytes is the size of all files.
func (m *Manifest) FileBytes() int64 {
	size := int64(0)
	for _, f := range m.Files {
		size += f.Size
	}
	return size
}
