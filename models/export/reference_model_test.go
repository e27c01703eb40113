package export_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"

	"github.com/loopserve/loopserve/models/export/safetensors"
)

// reference is a checkpoint of one of the families with its family's forward pass, written down from the mathematics: float64,
// one token after the other, no cache, no batch, no graph. It agrees with the vectors (TestAgreesWithUpstream), and the
// engine agrees with it at sizes for which nobody has made vectors (TestOtherSizes): other head counts, ratios, layer splits.
// It shares the checkpoint reader with the exporter, and no line of math.
type reference struct {
	family  string
	tensors map[string]vector
	config  config

	heads, kvHeads int
	eps            float64
	rope           rope
}

// config has the keys of all families.
type config struct {
	ModelType string  `json:"model_type"`
	Class     string  `json:"_class_name"`
	Heads     int     `json:"num_attention_heads"`
	KVHeads   int     `json:"num_key_value_heads"`
	EpsLlama  float64 `json:"rms_norm_eps"`
	EpsRaven  float64 `json:"norm_eps"`
	Theta     float64 `json:"rope_theta"`
	Base      float64 `json:"rope_base"`
	Settings  struct {
		Base float64 `json:"rope_base"`
	} `json:"rope_settings"`
	Parameters struct {
		Theta float64 `json:"rope_theta"`
	} `json:"rope_parameters"`
	Scaling *struct {
		Factor   float64 `json:"factor"`
		Low      float64 `json:"low_freq_factor"`
		High     float64 `json:"high_freq_factor"`
		Original float64 `json:"original_max_position_embeddings"`
	} `json:"rope_scaling"`
	Windows bool    `json:"use_sliding_window"`
	Window  int     `json:"sliding_window"`
	Full    int     `json:"max_window_layers"`
	Turned  []int   `json:"no_rope_layers"`
	Layers  int     `json:"num_hidden_layers"`
	LCycles int     `json:"L_cycles"`
	Embed   float64 `json:"embedding_scale"`
	P       int     `json:"num_prelude_layers"`
	K       int     `json:"num_loop_layers"`
	C       int     `json:"num_coda_layers"`
	RP      int     `json:"n_layers_in_prelude"`
	RK      int     `json:"n_layers_in_recurrent_block"`
	RC      int     `json:"n_layers_in_coda"`
	Tied    bool    `json:"tie_word_embeddings"`
	TiedToo bool    `json:"tie_embeddings"`
	Init    struct {
		Scale float64 `json:"embed_scale"`
	} `json:"init_values"`
}

// openReference reads a checkpoint whole.
func openReference(dir string) (*reference, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	raw, err := root.ReadFile("config.json")
	if err != nil {
		return nil, err
	}
	m := &reference{tensors: map[string]vector{}}
	if err := json.Unmarshal(raw, &m.config); err != nil {
		return nil, err
	}
	c, err := safetensors.Open(root)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for _, name := range c.Names() {
		values, err := c.Tensor(name).Floats()
		if err != nil {
			return nil, err
		}
		m.tensors[name] = make(vector, len(values))
		for i, v := range values {
			m.tensors[name][i] = float64(v)
		}
	}
	return m, m.settle()
}

func (m *reference) settle() error {
	c := m.config
	m.family, m.heads, m.kvHeads, m.eps = c.ModelType, c.Heads, c.KVHeads, c.EpsLlama
	m.rope = rope{theta: c.Theta}
	switch {
	case c.Class == "ParcaeConfig":
		m.family, m.eps, m.rope = "parcae", c.EpsRaven, rope{theta: c.Settings.Base, interleaved: true}
	case c.ModelType == "huginn_raven" && m.has("transformer.core_block.0.norm_3.weight"):
		m.family, m.eps, m.rope = "huginn", c.EpsRaven, rope{theta: c.Base, interleaved: true}
	case c.ModelType == "huginn_raven":
		m.family, m.eps = "retrofit", c.EpsRaven
	case c.ModelType == "hrm_text":
	case c.ModelType == "llama" || c.ModelType == "qwen2" || c.ModelType == "qwen3" || c.ModelType == "smollm3" || c.ModelType == "mistral": // plain: all layers are looped
		m.rope.theta = max(c.Theta, c.Parameters.Theta)
	case c.ModelType != "looped_llama" && c.ModelType != "ouro" && c.ModelType != "nanbeige":
		return fmt.Errorf("no reference for model_type %q", c.ModelType)
	}
	if m.kvHeads == 0 {
		m.kvHeads = m.heads
	}
	if s := c.Scaling; s != nil {
		m.rope.factor, m.rope.low, m.rope.high, m.rope.original = s.Factor, s.Low, s.High, s.Original
	}
	return nil
}

func (m *reference) has(name string) bool { return m.tensors[name] != nil }

// t is a tensor by name; a name that is not there is a mistake of this package's.
func (m *reference) t(format string, args ...any) vector {
	name := fmt.Sprintf(format, args...)
	if !m.has(name) {
		panic("reference: no tensor " + name)
	}
	return m.tensors[name]
}

// answer is what the model says to a prompt.
type answer struct {
	States [][]vector // after 0 … loops loops, [tokens, hidden]
	Logits []vector   // [tokens, vocabulary]
	Gates  [][]float64
}

// Run applies the block loops times to a prompt. A state that upstream draws at random starts at zero.
func (m *reference) Run(ids []int, loops int) answer {
	switch m.family {
	case "huginn", "retrofit", "parcae":
		return m.raven(ids, loops)
	case "hrm_text":
		return m.hrm(ids, loops)
	}
	return m.llama(ids, loops)
}

func (m *reference) embed(name string, ids []int, scale float64) []vector {
	table := m.t("%s", name)
	wte := "model.embed_tokens.weight"
	if !m.has(wte) {
		wte = "transformer.wte.weight"
	}
	// All tables have as many rows as the embedding, so the width follows from the norm at the end.
	norm := "model.norm.weight"
	if !m.has(norm) {
		norm = "transformer.ln_f.weight"
	}
	width := len(table) * len(m.t("%s", norm)) / len(m.t("%s", wte))
	out := make([]vector, len(ids))
	for i, id := range ids {
		out[i] = make(vector, width)
		for j := range out[i] {
			out[i][j] = scale * table[id*width+j]
		}
	}
	return out
}

// turned gives queries or keys their positions; after, where not 0, is the epsilon of a gainless norm per head.
func (m *reference) turned(rows []vector, heads int, after float64) []vector {
	out := make([]vector, len(rows))
	for position, row := range rows {
		dim := len(row) / heads
		for h := range heads {
			head := m.rope.turn(row[h*dim:(h+1)*dim], position)
			if after > 0 {
				head = rms([]vector{head}, nil, after)[0]
			}
			out[position] = append(out[position], head...)
		}
	}
	return out
}

func softplus(v float64) float64 { return math.Log(1 + math.Exp(v)) }
