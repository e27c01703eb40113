package export

import (
	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// nanbeige is Nanbeige4.2 (arXiv 2607.17805): all layers of a Llama with its own head width, looped, with the final
// norm at the end of every loop, or of the last one only where skip_loop_final_norm says so.
type nanbeige struct {
	base
	normOnce bool
}

func init() { families["nanbeige"] = newNanbeige }

func newNanbeige(c *config, _ hasTensor) (family, error) {
	m := &nanbeige{}
	m.llama(c)
	m.loop = c.size("num_hidden_layers", 1, 1000, -1)
	m.loops, m.auto = c.loops("num_loops")
	m.policies = []string{"latest"}
	c.take("skip_loop_final_norm", &m.normOnce)
	c.must("tie_word_embeddings", "false")
	for _, key := range []string{
		"enable_double_loop_split", "loop_share_kv", "enable_hyper_connection", "enable_mhc", "enable_h_res_identity",
		"enable_depth_attention", "mhc_diff_for_loop", "mhc_identity_nohresparam", "ngram_compressed_tokenizer",
		"ngram_insert_all_layers", "ngram_mod_force_prime", "skip_ngram_for_input", "qk_layernorm",
	} {
		c.must(key, "false", "null")
	}
	for _, key := range []string{
		"loop_loss_weights", "loop_middle_layers", "insert_ngram_layer_idx", "emb_neighbor_num", "emb_split_num", "emb_tp_num",
		"ngram_embedding_hidden_size", "ngram_layer_downproject_size", "ngram_vocab_size_ratio", "depth_attention_stride",
		"mhc_double_stream_position_for_loop",
	} {
		c.must(key, "null", "[]")
	}
	// Sizes of the options above, which are off.
	c.ignore("depth_attention_recent_window", "depth_attention_static_anchor_once", "mhc_init_gating_factor",
		"mhc_sinkhorn_iterations", "num_residual_streams", "ngram_fused_mode")
	return m, c.done()
}

// finalNorm is model.norm where it is wanted.
func (m *nanbeige) finalNorm(b *builder, wanted bool) *safetensors.Tensor {
	if !wanted {
		return nil
	}
	return b.tensor("model.norm.weight", m.hidden)
}

func (m *nanbeige) build(b *builder) (prelude, block, coda *onnx.Graph) {
	prelude = m.embedOnly(b, b.tensor("model.embed_tokens.weight", m.vocab, m.hidden))

	block, h := m.startBlock(b)
	layers := m.llamaLayers(b, 0, m.loop, "input_layernorm", "post_attention_layernorm")
	b.stack(block, m.attention, preNorm, h, layers, m.finalNorm(b, !m.normOnce), b.inner("hidden_out"))
	m.finishBlock(b, block, h)

	coda, h = m.startCoda(b)
	m.finishCoda(b, coda, h, m.finalNorm(b, m.normOnce), b.tensor("lm_head.weight", m.vocab, m.hidden))
	b.leftover("rotary_emb.inv_freq")
	return prelude, block, coda
}
