package export_test

// llama runs the families in Llama's names: looped_llama, ouro, nanbeige.
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
		if m.family != "looped_llama" { // Ouro, Nanbeige: normed at the end of every loop
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
	if m.family == "looped_llama" {
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
	x := rms(h, t("input_layernorm"), m.eps)
	q := m.turned(product(t("self_attn.q_proj"), x), m.heads, 0)
	k := m.turned(product(t("self_attn.k_proj"), x), m.kvHeads, 0)
	branch := product(t("self_attn.o_proj"), attend(q, k, product(t("self_attn.v_proj"), x), m.heads, m.kvHeads))
	if m.family == "ouro" {
		branch = rms(branch, t("input_layernorm_2"), m.eps)
	}
	h = plus(h, branch)
	x = rms(h, t("post_attention_layernorm"), m.eps)
	gate, up := product(t("mlp.gate_proj"), x), product(t("mlp.up_proj"), x)
	for r := range gate {
		for j := range gate[r] {
			gate[r][j] = silu(gate[r][j]) * up[r][j]
		}
	}
	branch = product(t("mlp.down_proj"), gate)
	if m.family == "ouro" {
		branch = rms(branch, t("post_attention_layernorm_2"), m.eps)
	}
	return plus(h, branch)
}
