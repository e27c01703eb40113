package api

const (
	useForms    = "use structured_outputs with json, regex or choice"
	textOnly    = "models served here read and write text only"
	noTokens    = "nothing is generated: leave the field out"
	samplerList = `["penalties","dry","top_n_sigma","top_k","typ_p","top_p","min_p","xtc","temperature"]`
)

// refusedRows are fields of other servers that would change the answer and that are not served. They are refused by
// name, since an answer that silently lacks what was asked for is worse than none. A row leaves with the change that
// implements it.
var refusedRows = []Field{
	// OpenAI's
	refused("suffix", looped, leaveOut, `""`),
	refused("tools", Completions|Embeddings, "use /v1/chat/completions", "[]"),
	// vLLM's
	refused("guided_grammar", looped, useForms),
	refused("use_beam_search", looped, leaveOut, "false"),
	refused("bad_words", looped, leaveOut, "[]"),
	refused("truncate_prompt_tokens", looped, "shorten the prompt before sending it"),
	refused("prompt_embeds", looped, "send text or token ids"),
	refused("chat_template", looped, "templates come from the model only"),
	refused("logits_processors", generating, "use logit_bias, allowed_token_ids or a form of the answer", "[]"),
	refused("repetition_detection", generating, "set repetition_penalty"),
	refused("thinking_token_budget", generating, "set max_tokens, or reasoning_effort for the loops of each token", "-1"),
	refused("prefill_loops", looped, "set loops, which holds for the prompt, too"),
	// llama.cpp's
	unless("max_tokens", refused("n_predict", looped, "set max_tokens")),
	unless("n", refused("n_cmpl", generating, "set n", "1")),
	refused("n_probs", looped, "set logprobs", "0"),
	refused("repeat_penalty", looped, "set repetition_penalty", "1"),
	refused("grammar", looped, useForms, `""`),
	refused("typical_p", looped, leaveOut, "1"),
	refused("typ_p", generating, leaveOut, "1"),
	refused("tfs_z", generating, leaveOut, "1"),
	refused("top_n_sigma", generating, "set top_p or min_p", "-1", "0"),
	refused("top_a", generating, "set min_p", "0"),
	refused("adaptive_target", generating, "set temperature", "-1"),
	refused("samplers", generating, "the order is temperature, min_p, top_k, top_p: leave the field out", `"edkypmxt"`, `"edskypmxt"`, samplerList),
	refused("dynatemp_range", looped, leaveOut, "0"),
	refused("xtc_probability", looped, leaveOut, "0"),
	refused("dry_multiplier", looped, leaveOut, "0"),
	refused("mirostat", looped, leaveOut, "0"),
	refused("t_max_predict_ms", generating, "set timeout_ms", "0", "-1"),
	refused("reasoning_budget", generating, `set chat_template_kwargs {"enable_thinking": false} for no reasoning`, "-1"),
	refused("return_tokens", generating, "set logprobs and return_tokens_as_token_ids", "false"),
	refused("lora", looped, leaveOut, "[]"),
	// SGLang's
	refused("lora_path", looped, leaveOut),
	refused("ebnf", looped, useForms),
	refused("stop_regex", looped, "set stop", "[]", `""`),
	// Hugging Face's
	refused("do_sample", generating, "set temperature to 0 for greedy choice", "true"),
	unless("max_tokens", refused("max_new_tokens", generating, "set max_tokens")),
	unless("min_tokens", refused("min_new_tokens", generating, "set min_tokens", "0")),
	unless("stop", refused("stop_sequences", generating, "set stop", "[]")),
	refused("no_repeat_ngram_size", generating, "set repetition_penalty", "0"),
	refused("num_beams", generating, leaveOut, "1"),
	// other vendors'
	refused("thinking", generating, `set chat_template_kwargs {"enable_thinking": true or false}, or reasoning_effort`),
	refused("use_weighted_exit", looped, "answers come from one loop: set exit_policy to leave the loop early", "false"),
	// fields of completions and of OpenAI's chats that are of no use in a chat here
	refused("echo", Chat, leaveOut, "false"),
	refused("best_of", Chat, "set n", "1"),
	refused("prompt_logprobs", Chat, "use /v1/completions with echo", "false"),
	refused("functions", Chat, "use tools", "[]"),
	refused("function_call", Chat, "use tools", `"none"`, `"auto"`),
	refused("modalities", Chat, textOnly, `["text"]`),
	refused("audio", Chat, textOnly),
	refused("prediction", Chat, "set draft_loops"),
	refused("web_search_options", Chat, leaveOut),
	unless("messages", refused("prompt", Chat, "send messages, or use /v1/completions")),
	// fields of the depth that are about generated tokens
	refused("replay_loops", Embeddings, noTokens),
	refused("draft_loops", Embeddings, noTokens),
	refused("elastic", Embeddings, noTokens, "false"),
	refused("target_itl_ms", Embeddings, noTokens),
	refused("loop_budget", Embeddings, noTokens),
	refused("return_lens", Embeddings, noTokens, "false"),
}

func refused(name string, routes Route, remedy string, harmless ...string) Field {
	return Field{Name: name, Kind: Refused, Routes: routes, Remedy: remedy, Harmless: harmless}
}

// unless says that clients which send the field send ours, too, and mean the same.
func unless(ours string, f Field) Field {
	f.Unless = ours
	return f
}
