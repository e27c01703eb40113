package export

// retrofit is a pretrained model made recurrent (arXiv 2511.07384): TinyLlama and Llama with pre-norm layers, OLMo with
// norms on the branches' outputs and on the whole width of query and key. RoPE is the source model's, on halves, and
// nothing is normed between loop and coda. The configs carry Huginn's token ids and RoPE base: the tokenizer's files
// and rope_theta are right.
func (m *raven) retrofit(c *config, olmo bool) {
	m.place = preNorm
	if olmo {
		m.place, m.wholeNorms = branchPostNorm, true
	}
	c.must("qk_bias", "false")
	c.must("tie_word_embeddings", "false")
	c.ignore("rope_base")
	m.attention.cos, m.attention.sin = c.rope("rope_theta", m.attention.headDim, m.context)
	m.policies = []string{"latest"}
	m.tokens = c.tokenizerTokens("<|eot_id|>")
}
