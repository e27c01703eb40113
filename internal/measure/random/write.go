package random

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// tensor is one tensor of the checkpoint: a norm's gain, [n], or a matrix, [rows, columns].
type tensor struct {
	name  string
	shape []int
}

func (t *tensor) elements() int {
	n := 1
	for _, d := range t.shape {
		n *= d
	}
	return n
}

// config is what stands in config.json of a looped_llama.
func (m *Model) config() map[string]any {
	return map[string]any{
		"model_type": "looped_llama", "architectures": []string{"LoopedLlamaForCausalLM"},
		"hidden_size": m.Hidden, "intermediate_size": m.FFN, "vocab_size": m.Vocab, "max_position_embeddings": m.Context,
		"num_attention_heads": m.Heads, "num_key_value_heads": m.KVHeads, "head_dim": m.Hidden / m.Heads,
		"num_prelude_layers": m.Prelude, "num_loop_layers": m.Layers, "num_coda_layers": m.Coda,
		"num_hidden_layers": m.Prelude + m.Layers + m.Coda, "num_loops": m.Loops,
		"rms_norm_eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": nil, "hidden_act": "silu",
		"attention_bias": false, "mlp_bias": false, "tie_word_embeddings": false, "bos_token_id": 1, "eos_token_id": 2,
	}
}

// tensors are those that the config asks for.
func (m *Model) tensors() []tensor {
	d, kv := m.Hidden, m.KVHeads*m.Hidden/m.Heads
	out := []tensor{
		{"model.embed_tokens.weight", []int{m.Vocab, d}}, {"model.norm.weight", []int{d}}, {"lm_head.weight", []int{m.Vocab, d}},
	}
	for i := range m.Prelude + m.Layers + m.Coda {
		for _, t := range []tensor{
			{"input_layernorm", []int{d}}, {"post_attention_layernorm", []int{d}},
			{"self_attn.q_proj", []int{d, d}}, {"self_attn.k_proj", []int{kv, d}},
			{"self_attn.v_proj", []int{kv, d}}, {"self_attn.o_proj", []int{d, d}},
			{"mlp.gate_proj", []int{m.FFN, d}}, {"mlp.up_proj", []int{m.FFN, d}}, {"mlp.down_proj", []int{d, m.FFN}},
		} {
			out = append(out, tensor{fmt.Sprintf("model.layers.%d.%s.weight", i, t.name), t.shape})
		}
	}
	return out
}

// write makes dir and puts config.json and model.safetensors (float32) there. It holds no tensor in memory.
func (m *Model) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	config, err := json.MarshalIndent(m.config(), "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	return errors.Join(m.writeTensors(w), w.Flush(), f.Close())
}

// writeTensors writes a safetensors file: the header's length, the header, then the numbers.
func (m *Model) writeTensors(w *bufio.Writer) error {
	tensors, header, at := m.tensors(), map[string]any{}, 0
	for i := range tensors {
		t := &tensors[i]
		end := at + 4*t.elements()
		header[t.name] = map[string]any{"dtype": "F32", "shape": t.shape, "data_offsets": [2]int{at, end}}
		at = end
	}
	raw, err := json.Marshal(header)
	if err != nil {
		return err
	}
	if _, err := w.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(raw))), raw...)); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(m.Seed, 0x72616e646f6d))
	var number [4]byte
	for i := range tensors {
		t := &tensors[i]
		spread := 1 / math.Sqrt(float64(t.shape[len(t.shape)-1])) // keeps a row's size from layer to layer
		for range t.elements() {
			v := r.NormFloat64() * spread
			if strings.Contains(t.name, "norm") {
				v = 1
			}
			binary.LittleEndian.PutUint32(number[:], math.Float32bits(float32(v)))
			if _, err := w.Write(number[:]); err != nil {
				return err
			}
		}
	}
	return nil
}
