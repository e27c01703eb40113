package gguf

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/models/export/safetensors"
)

// Model is a file as the checkpoint it stands for. Its weights close it.
type Model struct {
	Config  map[string]any // of config.json
	Weights *safetensors.Checkpoint

	header *header
	arch   string
}

// architectures are those that are read, by general.architecture, which is the model_type, too. Some have the rows of query and
// key in an order of llama.cpp's own.
var architectures = map[string]struct{ permuted bool }{"llama": {true}, "nanbeige": {true}, "qwen2": {}, "qwen3": {}}

// Is reports whether a path is a GGUF file, by its first bytes or by its name.
func Is(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [4]byte
	_, err = f.Read(magic[:])
	stat, statErr := f.Stat()
	return statErr == nil && stat.Mode().IsRegular() && (err == nil && string(magic[:]) == "GGUF" || strings.HasSuffix(path, ".gguf"))
}

// Open reads a file's header.
func Open(path string) (*Model, error) {
	f, h, err := open(path)
	if err != nil {
		return nil, err
	}
	m := &Model{header: h}
	if err := m.settle(f); err != nil {
		f.Close()
		return nil, err
	}
	return m, nil
}

func (m *Model) settle(f *os.File) error {
	m.arch, _ = m.header.metadata["general.architecture"].(string)
	how, ok := architectures[m.arch]
	if !ok {
		return fmt.Errorf("general.architecture is %q: of GGUF files only %s are read", m.arch, strings.Join(slices.Sorted(maps.Keys(architectures)), ", "))
	}
	if n, _ := m.header.metadata["split.count"].(int64); n > 1 {
		return fmt.Errorf("split.count is %d: this is one of several files: join them (llama-gguf-split --merge FIRST OUT)", n)
	}
	tensors := make([]*safetensors.Tensor, 0, len(m.header.tensors))
	for i := range m.header.tensors {
		tensors = append(tensors, (&tensor{info: &m.header.tensors[i], file: f}).as(tensorName(m.header.tensors[i].name)))
	}
	if err := m.config(tensors); err != nil {
		return err
	}
	heads, _ := m.Config["num_attention_heads"].(int64)
	kvHeads, _ := m.Config["num_key_value_heads"].(int64)
	for i, t := range m.header.tensors {
		if n := map[string]int64{"attn_q": heads, "attn_k": kvHeads}[part(t.name)]; how.permuted && n > 0 {
			half := t.shape[0] / n / 2
			if half == 0 || t.shape[0]%(2*n) != 0 {
				return fmt.Errorf("tensor %q has %d rows, which are no %d heads of an even width", t.name, t.shape[0], n)
			}
			tensors[i] = (&tensor{info: &m.header.tensors[i], file: f, half: half}).as(tensors[i].Name)
		}
	}
	tensors = slices.DeleteFunc(tensors, func(t *safetensors.Tensor) bool { return t.Name == ropeFactors })
	m.Weights = safetensors.From(f, tensors)
	return nil
}

// ropeFactors are what RoPE's frequencies are divided by, in files of Llama 3.1 and later: [head_dim/2].
const ropeFactors = "rope_freqs.weight"

// layerTensor is a tensor of a layer.
var layerTensor = regexp.MustCompile(`^blk\.(\d+)\.(\w+)\.(weight|bias)$`)

func part(name string) string {
	if m := layerTensor.FindStringSubmatch(name); m != nil {
		return m[2]
	}
	return ""
}

// parts are transformers' names of a layer's parts.
var parts = map[string]string{
	"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
	"attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
	"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}

// tensorName is transformers' name of a tensor, or its own where it has none: then the exporter refuses it as one that nothing uses.
func tensorName(name string) string {
	switch name {
	case "token_embd.weight":
		return "model.embed_tokens.weight"
	case "output_norm.weight":
		return "model.norm.weight"
	case "output.weight":
		return "lm_head.weight"
	}
	if m := layerTensor.FindStringSubmatch(name); m != nil && parts[m[2]] != "" {
		return fmt.Sprintf("model.layers.%s.%s.%s", m[1], parts[m[2]], m[3])
	}
	return name
}

// keys of the metadata, behind the architecture's name, that config.json has under another name.
var keys = map[string]string{
	"block_count": "num_hidden_layers", "context_length": "max_position_embeddings", "embedding_length": "hidden_size",
	"feed_forward_length": "intermediate_size", "attention.head_count": "num_attention_heads",
	"attention.head_count_kv": "num_key_value_heads", "attention.key_length": "head_dim",
	"attention.layer_norm_rms_epsilon": "rms_norm_eps", "rope.freq_base": "rope_theta", "attention.sliding_window": "sliding_window",
	"num_loops": "num_loops", "skip_loop_final_norm": "skip_loop_final_norm",
}

// config translates the metadata. A key of the architecture that has no translation stays under its own name: then the exporter
// refuses it as one that may change the math.
func (m *Model) config(tensors []*safetensors.Tensor) error {
	c := map[string]any{"model_type": m.arch, "hidden_act": "silu", "rope_theta": 10000.0}
	own := map[string]any{}
	for key, v := range m.header.metadata {
		if k, ok := strings.CutPrefix(key, m.arch+"."); ok {
			if to := keys[k]; to != "" {
				c[to] = v
			} else {
				own[k] = v
			}
		}
	}
	if c["num_key_value_heads"] == nil {
		c["num_key_value_heads"] = c["num_attention_heads"]
	}
	byName := map[string]*safetensors.Tensor{}
	for _, t := range tensors {
		byName[t.Name] = t
	}
	embedding := byName["model.embed_tokens.weight"]
	if embedding == nil || len(embedding.Shape) != 2 {
		return fmt.Errorf("%w: tensor %q, the embedding, is missing or no matrix", ErrFormat, "token_embd.weight")
	}
	c["vocab_size"] = embedding.Shape[0] // own["vocab_size"], where it is, may count padding or not
	c["tie_word_embeddings"] = byName["lm_head.weight"] == nil
	if byName["model.layers.0.self_attn.q_proj.bias"] != nil && m.arch != "qwen2" {
		c["attention_bias"] = true
	}
	if byName["model.layers.0.mlp.gate_proj.bias"] != nil {
		c["mlp_bias"] = true
	}
	if err := m.rope(c, own, byName[ropeFactors]); err != nil {
		return err
	}
	for _, id := range []string{"bos", "eos", "padding"} {
		if v, ok := m.header.metadata["tokenizer.ggml."+id+"_token_id"]; ok {
			c[strings.TrimSuffix(id, "ding")+"_token_id"] = v
		}
	}
	for _, k := range []string{"vocab_size", "rope.scaling.finetuned"} {
		delete(own, k)
	}
	for k, v := range own {
		c[m.arch+"."+k] = v
	}
	m.Config = c
	return nil
}

// rope translates RoPE's width and scaling.
func (m *Model) rope(c, own map[string]any, factors *safetensors.Tensor) error {
	heads, _ := c["num_attention_heads"].(int64)
	hidden, _ := c["hidden_size"].(int64)
	dim, ok := c["head_dim"].(int64)
	if !ok && heads > 0 {
		dim = hidden / heads
		c["head_dim"] = dim
	}
	for _, k := range []string{"rope.dimension_count", "attention.value_length"} {
		if v, ok := own[k]; ok && v != dim {
			return fmt.Errorf("%s.%s is %v, but heads are %d wide: only heads of one width that are turned whole are read", m.arch, k, v, dim)
		}
		delete(own, k)
	}
	scaling := map[string]any{}
	for from, to := range map[string]string{
		"type": "rope_type", "factor": "factor", "original_context_length": "original_max_position_embeddings",
		"yarn_beta_fast": "beta_fast", "yarn_beta_slow": "beta_slow",
	} {
		if v, ok := own["rope.scaling."+from]; ok {
			scaling[to] = v
			delete(own, "rope.scaling."+from)
		}
	}
	if own["rope.scaling.attn_factor"] == 1.0 { // another one is not transformers' attention_factor
		delete(own, "rope.scaling.attn_factor")
	}
	if v, ok := own["rope.scale_linear"]; ok { // the older key
		scaling = map[string]any{"rope_type": "linear", "factor": v}
		delete(own, "rope.scale_linear")
	}
	if kind, ok := scaling["rope_type"]; ok && kind != "none" {
		c["rope_scaling"] = scaling
	}
	if factors != nil {
		if n := factors.Len(); n > 256 {
			return fmt.Errorf("%w: tensor %q has %d numbers, must have half a head's width, at most 256", ErrFormat, ropeFactors, n)
		}
		values, err := factors.Floats()
		if err != nil {
			return err
		}
		c["rope_factors"] = values
	}
	return nil
}

// tensor is a stored one whose numbers are read as float32.
type tensor struct {
	*info
	file *os.File
	half int64 // of a head, where query's and key's rows alternate between its two halves; 0: rows are in order
}

func (t *tensor) as(name string) *safetensors.Tensor {
	out := safetensors.Widened(name, t.shape, t.read)
	if t.kind.kept != nil && len(t.shape) == 2 {
		out.Blocks = &safetensors.Blocks{Bits: t.kind.bits, Row: t.blocks}
	}
	return out
}

// row is where row r lies. llama.cpp stores head by head the pairs that RoPE turns beside each other, transformers the first of
// all pairs and then the second of all.
func (t *tensor) row(r int64) int64 {
	if t.half == 0 {
		return r
	}
	head, in := r/(2*t.half), r%(2*t.half)
	return 2*t.half*head + in%t.half*2 + in/t.half
}

// raw reads the blocks of row r from its block `first` on.
func (t *tensor) raw(r, first, n int64) ([]byte, error) {
	b := make([]byte, n*t.kind.bytes)
	if _, err := t.file.ReadAt(b, t.offset+t.row(r)*t.rowBytes()+first*t.kind.bytes); err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.name, err)
	}
	return b, nil
}

// read fills dst with the numbers from `from` on.
func (t *tensor) read(dst []float32, from int64) error {
	if len(t.shape) == 1 && t.half > 0 { // a bias, whose numbers are ordered as rows are
		all := make([]float32, t.shape[0])
		err := (&tensor{info: t.info, file: t.file}).read(all, 0)
		for i := range dst {
			dst[i] = all[t.row(from+int64(i))]
		}
		return err
	}
	width := t.shape[len(t.shape)-1]
	var block [256]float32
	for len(dst) > 0 {
		row, col := from/width, from%width
		n := min(width-col, int64(len(dst)))
		first := col / t.kind.values
		raw, err := t.raw(row, first, (col+n+t.kind.values-1)/t.kind.values-first)
		if err != nil {
			return err
		}
		for rest := dst[:n]; len(rest) > 0; raw = raw[t.kind.bytes:] {
			t.kind.widen(block[:t.kind.values], raw[:t.kind.bytes])
			k := copy(rest, block[col%t.kind.values:t.kind.values])
			rest, col = rest[k:], col+int64(k)
		}
		dst, from = dst[n:], from+n
	}
	return nil
}

// blocks gives the codes of row r, and the float16 bits of its blocks' scales and minima.
func (t *tensor) blocks(r int64, codes []uint8, scales, minima []uint16) error {
	raw, err := t.raw(r, 0, int64(len(scales)))
	for i := range scales {
		if err == nil {
			scales[i], minima[i] = t.kind.kept(codes[32*i:32*i+32], raw[int64(i)*t.kind.bytes:][:t.kind.bytes])
		}
	}
	return err
}
