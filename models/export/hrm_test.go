package export_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/models/export/safetensors"
	"github.com/loopserve/loopserve/tokenizer/jinja"
)

const hrm = "hrm-text/tiny-h2l3"

// What transformers saves gives the released file's weights: products apart, the layers of all passes counted, RoPE in a block,
// defaults left out.
func TestHRMOfOtherWriters(t *testing.T) {
	released := manifestOf(t, filepath.Join(goldentest.Dir(t, "golden"), hrm), export.Options{})
	if m := released; !m.PrefixLM || m.State.Width != 2*m.HiddenSize || m.Block.Layers != 8 || m.Loops.Trained != 2 || m.Loops.Max != 4 {
		t.Errorf("manifest: %+v", m)
	}
	from := edited(t, hrm, map[string]any{
		"num_hidden_layers": 16, "num_layers_per_stack": 2, "rope_theta": "-", "rope_parameters": map[string]any{"rope_type": "default", "rope_theta": 10000},
		"dtype": "float32", "L_bp_steps": "-", "L_bp_cycles": []int{2}, "embedding_scale": nil, "H_cycles": "-", "L_cycles": "-", "rms_norm_eps": "-",
		"num_key_value_heads": "-", "attention_bias": false, "mlp_bias": false, "hidden_act": "silu", "prefix_lm": "-",
	})
	apart(t, from)
	m := manifestOf(t, from, export.Options{})
	if m.Files["weights.data"].SHA256 != released.Files["weights.data"].SHA256 || !m.PrefixLM || m.Block.Layers != 8 {
		t.Errorf("other weights than the release's, or %+v", m)
	}
}

// apart rewrites a checkpoint in transformers' names, each fused product as several.
func apart(t *testing.T, dir string) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	c, err := safetensors.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	a := &answers{header: map[string]any{}}
	for _, name := range c.Names() {
		tensor := c.Tensor(name)
		values, err := tensor.Floats()
		if err != nil {
			t.Fatal(err)
		}
		name = strings.Replace(name, ".attn.", ".self_attn.", 1)
		names := []string{name}
		for fused, parts := range map[string][]string{"gqkv_proj": {"gate_proj", "q_proj", "k_proj", "v_proj"}, "gate_up_proj": {"gate_proj", "up_proj"}} {
			if strings.Contains(name, fused) {
				names = nil
				for _, part := range parts {
					names = append(names, strings.Replace(name, fused, part, 1))
				}
			}
		}
		shape := []int{len(values) / len(names)}
		if len(tensor.Shape) == 2 {
			shape = []int{int(tensor.Shape[0]) / len(names), int(tensor.Shape[1])}
		}
		for i, name := range names {
			var raw []byte
			for _, v := range values[i*len(values)/len(names) : (i+1)*len(values)/len(names)] {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
			}
			a.add(name, "F32", shape, raw)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	header, err := json.Marshal(a.header)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "model.safetensors", string(binary.LittleEndian.AppendUint64(nil, uint64(len(header))))+string(header)+string(a.data))
}

// A stack that is used several times in a loop is stored once, and CUDA's attention reads prompts in one direction only.
func TestHRMStacksAreStoredOnce(t *testing.T) {
	from := edited(t, hrm, nil)
	for _, weights := range []string{export.F32, export.Int4} {
		m, deep := manifestOf(t, from, export.Options{Weights: weights}), manifestOf(t, edited(t, hrm, map[string]any{"L_cycles": 9}), export.Options{Weights: weights})
		if a, b := m.Files["weights.data"], deep.Files["weights.data"]; a.SHA256 != b.SHA256 || deep.Block.Layers != 20 {
			t.Errorf("%s: %d bytes at 3 passes of stack L, %d at 9", weights, a.Size, b.Size)
		}
	}
	_, err := export.Export(t.Context(), from, filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test", DType: export.F16})
	mentions(t, err, "prefix_lm is true", "set prefix_lm to false", "--dtype f32")
}

// The prompt's form comes with the bundle as a template, where the tokenizer has its tokens and no template of its own.
func TestHRMTemplate(t *testing.T) {
	from, out := edited(t, hrm, nil), filepath.Join(t.TempDir(), "out")
	var added []map[string]any
	for i, name := range []string{"<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|quad_start|>", "<|quad_end|>"} {
		added = append(added, map[string]any{"id": i, "content": name, "special": true})
	}
	put(t, from, "tokenizer.json", map[string]any{"added_tokens": added, "model": map[string]any{"type": "WordLevel", "vocab": map[string]int{}}})
	if _, err := export.Export(t.Context(), from, out, export.Options{Exporter: "test"}); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Open(out, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := b.ReadFile("chat_template.jinja")
	if err != nil {
		t.Fatal(err)
	}
	template, err := jinja.Parse(string(text), jinja.Limits{}, jinja.Generation)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ condition, messages, want string }{
		{"", `[{"role":"user","content":"Why?"}]`, "<|im_start|><|quad_end|><|object_ref_end|>Why?<|im_end|>"},
		{"direct", `[{"role":"user","content":"Why?"}]`, "<|im_start|><|object_ref_start|>Why?<|im_end|>"},
		{"noisy, cot", `[{"role":"system","content":"Be brief."},{"role":"user","content":"Old"},{"role":"assistant","content":"x"},{"role":"user","content":"Why?"}]`, "<|im_start|><|quad_start|><|object_ref_end|>Be brief.\n\nWhy?<|im_end|>"},
		{"direct", `[{"role":"user","content":"Why?"},{"role":"assistant","content":"Since"}]`, "<|im_start|><|object_ref_start|>Why?<|im_end|>Since"},
		{"loud", `[{"role":"user","content":"Why?"}]`, ""},
	} {
		chat := jinja.Chat{Messages: json.RawMessage(c.messages), Kwargs: map[string]any{}}
		if c.condition != "" {
			chat.Kwargs["condition"] = c.condition
		}
		got, err := template.RenderChat(t.Context(), chat)
		if c.want == "" {
			mentions(t, err, "condition has 'loud'", "direct, cot, synth or noisy")
		} else if err != nil || got != c.want {
			t.Errorf("%s of %s: %q (%v), want %q", c.condition, c.messages, got, err, c.want)
		}
	}
	put(t, from, "chat_template.jinja", "own")
	if m := manifestOf(t, from, export.Options{}); m.Files["chat_template.jinja"].Size != 3 {
		t.Error("the checkpoint's own template was replaced")
	}
}
