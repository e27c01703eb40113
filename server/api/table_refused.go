package api

import (
	"slices"
	"strings"
)

const (
	useForms    = "use structured_outputs with json, regex, choice or grammar"
	textOnly    = "models served here read and write text only"
	noTokens    = "nothing is generated: leave the field out"
	thinkSwitch = `set chat_template_kwargs {"enable_thinking": true or false}, or reasoning_effort`
	samplerList = `["penalties","dry","top_n_sigma","top_k","typ_p","top_p","min_p","xtc","temperature"]`
)

// refusedRows are fields of other servers that would change the answer and that are not served. They are refused by
// name, since an answer that silently lacks what was asked for is worse than none. A row leaves with the change that
// implements it. Behind = are values that ask for nothing.
var refusedRows = slices.Concat(
	unless("max_tokens", refused(generating&^Responses, "set max_tokens", "n_predict", "max_new_tokens", "max_output_tokens", "num_predict", "max_length")),
	refused(Responses, "set max_output_tokens", "max_tokens", "max_completion_tokens", "n_predict", "max_new_tokens", "num_predict", "max_length"),
	refused(Messages, "set max_tokens", "max_completion_tokens"),
	unless("n", refused(generating, "set n", "n_cmpl=1", "num_return_sequences=1")),
	unless("min_tokens", refused(generating, "set min_tokens", "min_new_tokens=0", "min_length=0")),
	unless("stop", refused(generating&^Messages, "set stop", "stop_sequences=[]")),
	refused(Messages, "set stop_sequences", "stop=[]"),
	refused(looped, leaveOut,
		`suffix=""`, "use_beam_search=false", "bad_words=[]", "bad_words_ids=[]", "typical_p=1", "typ_p=1", "typical=1", "tfs_z=1", "tfs=1",
		"dynatemp_range=0", "xtc_probability=0", "dry_multiplier=0", "mirostat=0", "mirostat_mode=0", "lora=[]", "lora_path", "adapter_id", "num_beams=1",
		"num_beam_groups=1", "penalty_alpha=0", "guidance_scale=1", "epsilon_cutoff=0", "eta_cutoff=0", "smoothing_factor=0", "watermark=false",
		"custom_logit_processor", "vllm_xargs={}", "post_sampling_probs=false", "n_indent=0", "return_hidden_states=false", "transforms=[]"),
	refused(looped, "set repetition_penalty", "repeat_penalty=1", "rep_pen=1", "repetition_detection", "no_repeat_ngram_size=0", "encoder_no_repeat_ngram_size=0"),
	refused(generating, "set top_p or min_p", "top_n_sigma=-1|0", "nsigma=0", "top_a=0"),
	refused(generating, "set temperature", "adaptive_target=-1", "dynamic_temperature=false"),
	refused(generating, "set temperature to 0 for greedy choice", "do_sample=true"),
	refused(generating, "use logit_bias, allowed_token_ids or structured output", "logits_processors=[]", "suppress_tokens=[]", "sequence_bias", "force_words_ids", "ban_eos_token=false"),
	refused(generating, "the order is temperature, min_p, top_k, top_p: leave the field out", `samplers="edkypmxt"|"edskypmxt"|`+samplerList, "temperature_last=false", "sampler_order"),
	refused(generating, "put its fields at the top level", "options={}", "parameters={}", "sampling_params={}", "generation_config={}", "generationConfig={}", "gen_kwargs={}"),
	refused(looped, useForms, "structural_tag", "guided_whitespace_pattern"),
	refused(generating, `set response_format, or structured_outputs with json`, `format=""`),
	refused(generating, "set stop", `stop_regex=[]|""`),
	refused(generating, "set include_stop_str_in_output", "no_stop_trim=false"),
	refused(looped, "set logprobs", "n_probs=0", "top_logprobs_num=0", "top_n_tokens=0", "return_logprob=false"),
	refused(generating, "set return_token_ids", "return_tokens=false"),
	refused(generating, "set timeout_ms", "t_max_predict_ms=0|-1", "max_time=0"),
	refused(generating, "set max_tokens, or reasoning_effort for the loops of each token", "thinking_token_budget=-1", "reasoning.max_tokens"),
	refused(generating&^Messages, thinkSwitch, "thinking"),
	refused(generating, thinkSwitch, "think", "enable_thinking", "reasoning.enabled=true"),
	refused(generating, "set include_reasoning to false", "reasoning.exclude=false"),
	refused(generating, `set chat_template_kwargs {"enable_thinking": false} for no reasoning`, "reasoning_budget=-1"),
	refused(looped, "shorten the prompt before sending it", "truncate_prompt_tokens", "truncate"),
	refused(looped, "send text or token ids", "prompt_embeds", "input_embeds", "inputs_embeds"),
	refused(looped, textOnly, "images=[]", "image_data=[]", "audio_data=[]"),
	refused(looped, "templates come from the model only", "chat_template", "instruction_template"),
	refused(looped, "set loops, which holds for the prompt, too", "prefill_loops"),
	refused(looped, "answers come from one loop: set exit_policy to leave the loop early", "use_weighted_exit=false"),
	refused(Completions|Embeddings, "use /v1/chat/completions", "tools=[]"),
	// fields of completions and of OpenAI's chats that are of no use in a chat here
	refused(chats, leaveOut, "echo=false", "web_search_options", `verbosity="medium"`),
	refused(Chat, "set n", "best_of=1"),
	refused(Chat, "send it as a message of the role system", `system=""`),
	refused(chats, "use /v1/completions with echo", "prompt_logprobs=false"),
	refused(chats, "use tools", "functions=[]", `function_call="none"|"auto"`),
	refused(chats, textOnly, `modalities=["text"]`, "audio"),
	refused(chats, "set draft_loops", "prediction"),
	refused(translated, "send several requests", "n=1", "best_of=1"),
	refused(translated, leaveOut, "context_management"),
	// those of OpenAI's responses
	refused(Responses, "ask and wait, or set stream", "background=false"),
	refused(Responses, "send the whole history as input, or set previous_response_id", "conversation"),
	refused(Responses, "shorten input before sending it", `truncation="disabled"`),
	refused(Responses, "send input: no prompts are kept here", "prompt"),
	refused(Responses, "send input, or use /v1/chat/completions", "messages"),
	refused(Responses, "set instructions", "system"),
	refused(Responses, "set text.format", "response_format"),
	refused(Responses, `set include to ["message.output_text.logprobs"]`, "logprobs=false"),
	// and of Anthropic's messages
	refused(Messages, "set output_config.format", "response_format", "output_format"),
	refused(Messages, "use /v1/chat/completions", "logprobs=false", "top_logprobs=0"),
	refused(Messages, `set tool_choice {"disable_parallel_tool_use": true}`, "parallel_tool_calls=true"),
	refused(Messages, "give tools that the client runs", "mcp_servers=[]", "container"),
	unless("messages", refused(Chat, "send messages, or use /v1/completions", "prompt")),
	// fields of the depth that are about generated tokens
	refused(Embeddings, noTokens, "replay_loops", "draft_loops", "elastic=false", "target_itl_ms", "loop_budget", "return_lens=false"),
)

// refused makes rows of one remedy. Each is a name, or a name and its harmless values: name=value|value.
func refused(routes Route, remedy string, names ...string) []Field {
	out := make([]Field, len(names))
	for i, name := range names {
		name, harmless, some := strings.Cut(name, "=")
		if out[i] = (Field{Name: name, Kind: Refused, Routes: routes, Remedy: remedy}); some {
			out[i].Harmless = strings.Split(harmless, "|")
		}
	}
	return out
}

// unless says that clients which send the fields send ours, too, and mean the same.
func unless(ours string, fields []Field) []Field {
	for i := range fields {
		fields[i].Unless = ours
	}
	return fields
}
