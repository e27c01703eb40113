package export

// inert are the keys of a config.json that say nothing about the numbers of an answer, in any family, with the reason. A family's
// own keys of that kind stand in its file. docs/export.md has this table.
var inert = []struct {
	why  string
	only string // the value without effect, in JSON; "": any
	keys []string
}{
	{"where it came from", "", []string{
		"architectures", "auto_map", "model_type", "_class_name", "_name_or_path", "name_or_path", "_commit_hash", "transformers_version",
		"transformers.js_config", "finetuning_task", "unsloth_fixed", "unsloth_version", "model_name", "is_llama_config", "loopserve",
	}},
	{"the tensors say which type they have", "", []string{"torch_dtype", "dtype", "_pre_quantization_dtype"}},
	{"which kernel upstream runs attention with", "", []string{
		"attn_implementation", "_attn_implementation", "_attn_implementation_internal", "_attn_implementation_autoset",
		"use_flash_attn", "_flash_attn_2_enabled",
	}},
	{"what upstream's calls return and keep", "", []string{
		"return_dict", "use_return_dict", "output_attentions", "output_hidden_states", "output_scores", "return_dict_in_generate",
		"use_cache", "torchscript", "use_bfloat16", "tf_legacy_loss", "is_decoder",
	}},
	{"of training and of initialisation", "", []string{
		"initializer_range", "initializer_factor", "attention_dropout", "hidden_dropout", "dropout", "resid_pdrop", "embd_pdrop",
		"classifier_dropout", "gradient_checkpointing", "router_aux_loss_coef", "output_router_logits",
	}},
	{"splits products without changing them", "", []string{"pretraining_tp", "chunk_size", "chunk_size_feed_forward"}},
	{"of other heads than the language model's", "", []string{
		"id2label", "label2id", "num_labels", "problem_type", "task_specific_params", "prefix",
	}},
	{"of encoders and decoders that work together, which no family here is", "", []string{
		"is_encoder_decoder", "add_cross_attention", "cross_attention_hidden_size", "decoder_start_token_id", "tie_encoder_decoder",
		"encoder_no_repeat_ngram_size",
	}},
	{"token ids that no answer starts or ends with", "", []string{
		"unk_token_id", "sep_token_id", "cls_token_id", "mask_token_id", "forced_bos_token_id", "forced_eos_token_id",
		"tokenizer_class",
	}},
	{"sampling defaults, which generation_config.json has", "", []string{
		"temperature", "top_p", "top_k", "typical_p", "do_sample", "max_length", "min_length", "num_beams", "num_beam_groups",
		"diversity_penalty", "early_stopping", "length_penalty", "repetition_penalty", "no_repeat_ngram_size", "bad_words_ids",
		"num_return_sequences", "remove_invalid_values", "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens",
	}},
	{"no head is removed", "{}", []string{"pruned_heads"}},
	{"the whole head is rotated", "1", []string{"partial_rotary_factor"}},
	{"RoPE turns halves, by one place a token", "false", []string{"rope_interleaved", "use_mrope"}},
}
