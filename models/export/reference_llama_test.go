package export_test

import "fmt"

// llama runs the families in Llama's names: looped_llama, ouro, nanbeige, and plain decoders.
func (m *reference) llama(ids []int, loops int) answer {
	c := m.config
	prelude, looped := 0, c.Layers
	if m.family == "looped_llama" {
		prelude, looped = c.P, c.K
	}
	norm := m.t("model.norm.weight")
	h := m.embed("model.embed_tokens.weight", ids, 1)
	for i := range prelude {
		h = m.llamaLayer(h, i)
	}
	a := answer{States: [][]vector{h}}
	for range loops {
		for i := range looped {
			h = m.llamaLayer(h, prelude+i)
		}
		if m.family == "ouro" || m.family == "nanbeige" { // normed at the end of every loop
			h = rms(h, norm, m.eps)
		}
		a.States = append(a.States, h)
		if m.family == "ouro" {
			gate := product(m.t("model.early_exit_gate.weight"), h)
			var logits []float64
			for _, g := range gate {
				logits = append(logits, g[0]+m.t("model.early_exit_gate.bias")[0])
			}
			a.Gates = append(a.Gates, logits)
		}
	}
	if m.family != "ouro" && m.family != "nanbeige" {
		for i := range c.C {
			h = m.llamaLayer(h, prelude+looped+i)
		}
		h = rms(h, norm, m.eps)
	}
	head := "lm_head.weight"
	if c.Tied {
		head = "model.embed_tokens.weight"
	}
	a.Logits = product(m.t("%s", head), h)
	return a
}

func (m *reference) llamaLayer(h []vector, i int) []vector {
	t := func(name string) vector { return m.t("model.layers.%d.%s.weight", i, name) }
	linear := func(name string, x []vector) []vector {
		y := product(t(name), x)
		if bias := fmt.Sprintf("model.layers.%d.%s.bias", i, name); m.has(bias) {
			for r := range y {
				y[r] = plus([]vector{y[r]}, []vector{m.t("%s", bias)})[0]
			}
		}
		return y
	}
	normed := func(name string, rows []vector) []vector { // each head
		if !m.has(fmt.Sprintf("model.layers.%d.%s.weight", i, name)) {
			return rows
		}
		gain := t(name)
		return eachOf(rows, func(x vector) (out vector) {
			for at := 0; at < len(x); at += len(gain) {
				out = append(out, rms([]vector{x[at : at+len(gain)]}, gain, m.eps)[0]...)
			}
			return out
		})
	}
	x := rms(h, t("input_layernorm"), m.eps)
	q, k := normed("self_attn.q_norm", linear("self_attn.q_proj", x)), normed("self_attn.k_norm", linear("self_attn.k_proj", x))
	turned := m.config.Turned == nil || m.config.Turned[i] == 1
	if turned {
		q, k = m.turned(q, m.heads, 0), m.turned(k, m.kvHeads, 0)
	}
	window := len(h)
	if c := m.config; c.Window > 0 && (m.family == "mistral" || c.Windows && i >= c.Full && (m.family != "smollm3" || !turned)) {
		window = c.Window
	}
	branch := linear("self_attn.o_proj", attendWithin(window, q, k, linear("self_attn.v_proj", x), m.heads, m.kvHeads))
	if m.family == "ouro" {
		branch = rms(branch, t("input_layernorm_2"), m.eps)
	}
	h = plus(h, branch)
	x = rms(h, t("post_attention_layernorm"), m.eps)
	gate, up := linear("mlp.gate_proj", x), linear("mlp.up_proj", x)
	for r := range gate {
		for j := range gate[r] {
			gate[r][j] = silu(gate[r][j]) * up[r][j]
		}
	}
	branch = linear("mlp.down_proj", gate)
	if m.family == "ouro" {
		branch = rms(branch, t("post_attention_layernorm_2"), m.eps)
	}
	return plus(h, branch)
}
