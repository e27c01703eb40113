package export

import "github.com/loopserve/loopserve/models/export/onnx"

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
	c.take("skip_loop_final_norm", &m.normOnce)
	for _, key := range []string{
		"enable_double_loop_split", "loop_share_kv", "enable_hyper_connection", "enable_mhc", "enable_h_res_identity",
		"enable_depth_attention", "mhc_diff_for_loop", "mhc_identity_nohresparam", "ngram_compressed_tokenizer",
		"ngram_insert_all_layers", "ngram_mod_force_prime", "skip_ngram_for_input", "qk_layernorm",
	} {
		c.must(key, "false")
	}
	for _, key := range []string{
		"loop_loss_weights", "loop_middle_layers", "insert_ngram_layer_idx", "emb_neighbor_num", "emb_split_num", "emb_tp_num",
		"ngram_embedding_hidden_size", "ngram_layer_downproject_size", "ngram_vocab_size_ratio", "depth_attention_stride",
		"mhc_double_stream_position_for_loop",
	} {
		c.must(key, "[]")
	}
	// Sizes of the options above, which are off.
	c.ignore("depth_attention_recent_window", "depth_attention_static_anchor_once", "mhc_init_gating_factor",
		"mhc_sinkhorn_iterations", "num_residual_streams", "ngram_fused_mode")
	return m, c.done()
}

func (m *nanbeige) build(b *builder) (prelude, block, coda *onnx.Graph) {
	return m.looped(b, preNorm, m.normOnce, nil, "input_layernorm", "post_attention_layernorm")
}
