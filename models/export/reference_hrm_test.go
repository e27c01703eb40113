package export_test

import (
	"fmt"
	"math"
)

// hrm runs HRM-Text in the release's names: a state of two vectors, a stack of layers for each. The states are those of z_H.
func (m *reference) hrm(ids []int, loops int) answer {
	c, init := m.config, m.t("model.z_L_init")
	table := m.t("model.embed_tokens.weight")
	high, low := make([]vector, len(ids)), make([]vector, len(ids))
	for i, id := range ids {
		low[i] = init
		for _, v := range table[id*len(init) : (id+1)*len(init)] {
			high[i] = append(high[i], c.Embed*v)
		}
	}
	a := answer{States: [][]vector{high}}
	for range loops {
		for range c.LCycles {
			low = m.hrmStack("L", plus(low, high))
		}
		high = m.hrmStack("H", plus(high, low))
		a.States = append(a.States, high)
	}
	a.Logits = product(m.t("lm_head.weight"), high)
	return a
}

func (m *reference) hrmStack(stack string, x []vector) []vector {
	for i := range m.config.Layers {
		t := func(name string) vector {
			return m.t("%s", fmt.Sprintf("model.%s_module.layers.%d.%s.weight", stack, i, name))
		}
		all := product(t("attn.gqkv_proj"), rms(x, nil, m.eps))
		part := func(n int) []vector {
			return eachOf(all, func(row vector) vector { return row[n*len(row)/4 : (n+1)*len(row)/4] })
		}
		seen := attend(m.turned(part(1), m.heads, 0), m.turned(part(2), m.heads, 0), part(3), m.heads, m.heads)
		for r, gate := range part(0) {
			for j, g := range gate {
				seen[r][j] /= 1 + math.Exp(-g)
			}
		}
		x = plus(x, product(t("attn.o_proj"), seen))
		x = plus(x, product(t("mlp.down_proj"), gated(product(t("mlp.gate_up_proj"), rms(x, nil, m.eps)))))
	}
	return rms(x, nil, m.eps)
}
