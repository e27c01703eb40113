package export

// huginn is Huginn-0125 (arXiv 2502.05171): norms around each sum, RoPE on neighbours, a bias on query and key before
// it, and ln_f twice: on the state after the last loop, and before the head.
func (m *raven) huginn(c *config) {
	m.place, m.normState = sumSandwich, true
	m.attention.interleaved = true
	c.take("qk_bias", &m.qkBias)
	if m.attention.kvHeads != m.attention.heads && m.qkBias {
		c.fail("qk_bias with num_key_value_heads %d and n_heads %d is not implemented", m.attention.kvHeads, m.attention.heads)
		m.qkBias = false
	}
	m.attention.cos, m.attention.sin = c.rope("rope_base", m.attention.headDim, m.context)
	m.policies = []string{"latest", "modulo:4"} // its paper's budget of 4 recurrences
	m.tokens = c.tokenizerTokens("<|end_text|>", "<|end_turn|>")
}
