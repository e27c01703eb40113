package export_test

import (
	"fmt"
	"math"
)

// raven runs the families with an injection: Huginn, the retrofits, Parcae.
func (m *reference) raven(ids []int, loops int) answer {
	c, last := m.config, m.t("transformer.ln_f.weight")
	scale := c.Init.Scale
	if m.family == "parcae" {
		scale = 1
	}
	e := m.embed("transformer.wte.weight", ids, scale)
	for i := range c.RP {
		e = m.ravenLayer(e, ids, "prelude", i, i)
	}
	if m.family == "parcae" {
		e = rms(e, m.t("transformer.ln_prelude.weight"), m.eps)
	}
	s := eachOf(e, func(x vector) vector { return make(vector, len(x)) })
	a := answer{States: [][]vector{s}}
	for range loops {
		s = m.takeIn(s, e)
		for i := range c.RK {
			s = m.ravenLayer(s, ids, "core_block", i, c.RP+i)
		}
		a.States = append(a.States, s)
	}
	x := s
	switch m.family {
	case "huginn":
		x = rms(x, last, m.eps)
	case "parcae":
		x = product(m.t("transformer.C.weight"), x)
	}
	for i := range c.RC {
		x = m.ravenLayer(x, ids, "coda", i, c.RP+c.RK+i)
	}
	head := "lm_head.weight"
	if c.TiedToo {
		head = "transformer.wte.weight"
	}
	a.Logits = product(m.t("%s", head), rms(x, last, m.eps))
	return a
}

func (m *reference) takeIn(s, e []vector) []vector {
	out := make([]vector, len(s))
	if m.family != "parcae" {
		for r := range s {
			out[r] = append(append(vector{}, s[r]...), e[r]...)
		}
		return product(m.t("transformer.adapter.weight"), out)
	}
	a, bias := m.t("transformer.adapter.A_log"), m.t("transformer.adapter.dt_bias")
	out = product(m.t("transformer.adapter.B"), e)
	for r := range s {
		for i := range s[r] {
			dt := softplus(bias[i])
			out[r][i] = math.Exp(-dt*math.Exp(a[i]))*s[r][i] + dt*out[r][i]
		}
	}
	return out
}

func (m *reference) ravenLayer(h []vector, ids []int, stage string, i, global int) []vector {
	t := func(name string) vector { return m.t("transformer.%s.%d.%s", stage, i, name) }
	norm := func(x []vector, name string) []vector { return rms(x, t(name+".weight"), m.eps) }
	olmo := m.has("transformer.core_block.0.attn.q_norm.weight")
	switch {
	case m.family == "huginn":
		h = norm(plus(h, m.ravenAttention(norm(h, "norm_1"), ids, stage, i, global)), "norm_2")
		return norm(plus(h, m.ravenMLP(norm(h, "norm_3"), t)), "norm_4")
	case olmo:
		h = plus(h, norm(m.ravenAttention(h, ids, stage, i, global), "norm_1"))
		return plus(h, norm(m.ravenMLP(h, t), "norm_2"))
	}
	h = plus(h, m.ravenAttention(norm(h, "norm_1"), ids, stage, i, global))
	return plus(h, m.ravenMLP(norm(h, "norm_2"), t))
}

func (m *reference) ravenMLP(x []vector, t func(string) vector) []vector {
	wide := product(t("mlp.fc.weight"), x)
	if m.family != "parcae" {
		return product(t("mlp.proj.weight"), gated(wide))
	}
	return product(t("mlp.proj.weight"), eachOf(wide, func(x vector) vector {
		out := make(vector, len(x))
		for i, v := range x {
			out[i] = math.Max(v, 0) * math.Max(v, 0) / 2
		}
		return out
	}))
}

func (m *reference) ravenAttention(x []vector, ids []int, stage string, i, global int) []vector {
	t := func(name string) vector { return m.t("transformer.%s.%d.attn.%s", stage, i, name) }
	if m.family == "parcae" {
		const torchEps = 1.1920929e-07
		q := m.turned(product(t("c_q.weight"), x), m.heads, torchEps)
		k := m.turned(product(t("c_k.weight"), x), m.kvHeads, torchEps)
		v := m.values(product(t("c_v.weight"), x), x, ids, stage, i, global)
		return product(t("c_proj.weight"), attend(q, k, v, m.heads, m.kvHeads))
	}
	all := product(t("Wqkv.weight"), x)
	dim := len(all[0]) / (m.heads + 2*m.kvHeads)
	part := func(from, heads int) []vector {
		return eachOf(all, func(x vector) vector { return append(vector{}, x[from*dim:(from+heads)*dim]...) })
	}
	q, k, v := part(0, m.heads), part(m.heads, m.kvHeads), part(m.heads+m.kvHeads, m.kvHeads)
	if m.family == "huginn" && m.has("transformer.core_block.0.attn.qk_bias") {
		bias := t("qk_bias")
		for r := range q {
			for j := range q[r] {
				q[r][j] += bias[j]
				k[r][j] += bias[len(q[r])+j]
			}
		}
	}
	if m.has("transformer.core_block.0.attn.q_norm.weight") {
		q, k = rms(q, t("q_norm.weight"), m.eps), rms(k, t("k_norm.weight"), m.eps)
	}
	return product(t("proj.weight"), attend(m.turned(q, m.heads, 0), m.turned(k, m.kvHeads, 0), v, m.heads, m.kvHeads))
}

// values adds Parcae's value embeddings, where both table and gate are stored.
func (m *reference) values(v, x []vector, ids []int, stage string, i, global int) []vector {
	gateName, tableName := fmt.Sprintf("transformer.%s.%d.attn.ve_gate.weight", stage, i), fmt.Sprintf("value_embeds.%d.weight", global)
	if !m.has(gateName) || !m.has(tableName) {
		return v
	}
	extra, gate := m.embed(tableName, ids, 1), m.t("%s", gateName)
	inputs := len(gate) / m.kvHeads
	for r := range v {
		g := product(gate, []vector{x[r][:inputs]})[0]
		dim := len(v[r]) / m.kvHeads
		for j := range v[r] {
			v[r][j] += 2 / (1 + math.Exp(-g[j/dim])) * extra[r][j]
		}
	}
	return v
}
