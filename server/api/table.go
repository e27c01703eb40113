package api

import (
	"math"
	"slices"
)

// table is every field that a body may have here, in the order in which fields are read: of two mistakes in one body the
// first row's is named.
var table = slices.Concat(depthRows, otherRows)

// otherRows are those of everything but the depth.
var otherRows = slices.Concat(scheduleRows, refusedRows, samplingRows, answerRows, formRows, promptRows, responseRows, messageRows, embeddingRows, benchRows, curveRows)

var efforts = []string{"none", "minimal", "low", "medium", "high", "xhigh"}

const leaveOut = "leave the field out"

// depthRows are the rows that are read before all others: how deep a request's tokens go is what clients get wrong here
// and nowhere else. What contradicts itself among them is named before any other field, too.
var depthRows = []Field{
	{Name: "model", Kind: Text, Routes: every},
	{
		Name: "loops", Kind: Depth, Lo: math.MinInt32, Routes: looped, Ours: true,
		Aliases: []string{
			"loop", "loop_count", "loops_count", "n_loop", "n_loops", "nloops", "num_loop", "num_loops", "max_loops", "depth",
			"num_steps", "n_steps", "mean_recurrence", "num_recurrence", "num_recurrences", "recurrence", "recurrences", "recurrent_steps",
			"recurrent_depth", "n_recurrent_loops", "total_ut_steps", "ut_steps", "num_ut_steps", "loop_num", "loop_num_passes",
			"h_cycles", "l_cycles", "exit_at_step", "exit_step", "loop_steps", "loop_times", "recur_steps", "num_recurrent_steps", "recursions",
			"num_recursions", "recursion_depth", "ponder_steps", "num_iterations", "n_iterations", "num_passes", "halt_max_steps",
		},
	},
	{Name: "trajectory", Routes: looped, Ours: true, Aliases: []string{"step_sizes", "loop_trajectory"}},
	{Name: "loops_clamp", Kind: Bool, Routes: looped, Ours: true, Aliases: []string{"loop_clamp", "clamp_loops"}},
	{
		Name: "reasoning_effort", Kind: Text, Routes: looped | Tokenize, Words: efforts, Remedy: "or set loops",
	},
	{Name: "reasoning", Kind: Object, Routes: looped | Tokenize},
	{Name: "reasoning.effort", Kind: Text, Routes: looped | Tokenize, Words: efforts, Remedy: "or set loops"},
	{Name: "reasoning.summary", Kind: Text, Routes: Responses, Words: []string{"auto", "concise", "detailed"}},
	{Name: "exit_policy", Kind: Text, Routes: looped, Ours: true, Aliases: []string{"early_exit", "exit_criterion", "criterion"}},
	{Name: "min_loops", Kind: Depth, Lo: 1, Routes: looped, Ours: true, Aliases: []string{"loops_min"}},
	{Name: "exit_agree", Kind: Int, Lo: 1, Hi: noBound, Routes: looped, Ours: true, Aliases: []string{"exit_consecutive", "exit_patience"}},
	{Name: "exit_threshold", Routes: looped, Ours: true, Aliases: []string{"early_exit_threshold"}},
	{Name: "replay_loops", Kind: DepthList, Lo: 1, Most: entries(1 << 20), Routes: generating, Ours: true, Aliases: []string{"loops_replay"}},
	{Name: "prompt_cut", Kind: IntList, Lo: 1, Hi: noBound, Most: entries(mostNumbers), Routes: looped, Ours: true},
	{
		Name: "target_itl_ms", Kind: Number, Above: true, Hi: 3_600_000, Routes: generating, Ours: true, Aliases: []string{"target_itl"},
		Remedy: "the milliseconds between two tokens to aim at",
	},
	{Name: "elastic", Kind: Bool, Routes: generating, Ours: true, Aliases: []string{"loops_elastic", "elastic_loops", "elastic_depth"}},
	{Name: "draft_loops", Kind: Depth, Auto: -1, Routes: generating, Ours: true}, // loopctl.DraftAuto
	{Name: "loop_budget", Kind: Int, Lo: 1, Hi: noBound, Routes: generating, Ours: true, Aliases: []string{"max_loop_steps", "loops_budget"}},
	{
		Name: "return_lens", Kind: Int, Hi: 20, Routes: generating, Ours: true, Aliases: []string{"lens", "loop_lens"},
		Harmless: []string{"false"}, True: 5,
	},
}

var scheduleRows = []Field{
	{Name: "priority", Kind: Int, Lo: -1_000_000, Hi: 1_000_000, Default: 0, Routes: looped},
	{Name: "timeout_ms", Kind: Int, Lo: 1, Hi: 24 * 60 * 60 * 1000, Routes: looped, Ours: true},
	{Name: "prefix_cache", Kind: Bool, Default: true, Routes: looped},
	{Name: "cache_salt", Kind: Text, Lo: 1, Hi: 256, Routes: looped},
}

// samplingRows say how tokens are chosen, and how many.
var samplingRows = []Field{
	{Name: "return_tokens_as_token_ids", Kind: Bool, Routes: generating},
	{Name: "logprobs", Kind: Int, Hi: 20, Harmless: []string{"false"}, Routes: Completions},
	{Name: "prompt_logprobs", Kind: Int, Hi: 20, Harmless: []string{"false"}, Routes: Completions},
	{Name: "logprobs", Kind: Bool, Routes: Chat},
	{Name: "top_logprobs", Kind: Int, Hi: 20, Needs: "logprobs", Routes: Chat},
	{Name: "echo", Kind: Bool, Routes: Completions},
	{Name: "max_tokens", Kind: Int, Hi: noBound, Default: 16, Routes: Completions},
	{Name: "max_tokens", Kind: Int, Lo: 1, Hi: noBound, Routes: Chat},
	{Name: "max_completion_tokens", Kind: Int, Hi: noBound, Routes: Completions},
	{Name: "max_completion_tokens", Kind: Int, Lo: 1, Hi: noBound, Routes: Chat},
	{Name: "n", Kind: Int, Range: choices, Default: 1, Routes: Completions | Chat},
	{Name: "temperature", Kind: Number, Hi: 100, Default: 1.0, Routes: generating},
	{Name: "top_p", Kind: Number, Above: true, Hi: 1, Default: 1.0, Remedy: "for greedy choice set temperature to 0", Routes: generating},
	{Name: "top_k", Kind: Int, Lo: -1, Hi: noBound, Default: 0, Routes: generating},
	{Name: "min_p", Kind: Number, Hi: 1, Default: 0.0, Routes: generating},
	{Name: "repetition_penalty", Kind: Number, Above: true, Hi: 100, Default: 1.0, Remedy: "1 changes nothing", Routes: generating},
	{Name: "frequency_penalty", Kind: Number, Lo: -2, Hi: 2, Default: 0.0, Routes: generating},
	{Name: "presence_penalty", Kind: Number, Lo: -2, Hi: 2, Default: 0.0, Routes: generating},
	{Name: "min_tokens", Kind: Int, Hi: noBound, Default: 0, Routes: generating},
	{Name: "seed", Kind: Int, Routes: generating},
	{Name: "seed", Kind: Int, Routes: Embeddings},
	{Name: "logit_bias", Routes: generating},
	{Name: "allowed_token_ids", Kind: IDList, Most: entries(16384), Routes: generating},
}

// answerRows say how the answer is written.
var answerRows = []Field{
	{Name: "ignore_eos", Kind: Bool, Routes: generating},
	{Name: "include_stop_str_in_output", Kind: Bool, Routes: generating},
	{Name: "skip_special_tokens", Kind: Bool, Default: true, Routes: generating},
	{Name: "add_special_tokens", Kind: Bool, Default: true, Routes: Completions | Embeddings},
	{Name: "add_special_tokens", Kind: Bool, Routes: chats},
	{Name: "add_special_tokens", Kind: Bool, Routes: Tokenize},
	{Name: "return_loops", Kind: Bool, Routes: generating, Ours: true},
	{Name: "return_token_ids", Kind: Bool, Routes: generating},
	{Name: "timings", Kind: Bool, Routes: generating},
	{Name: "stream", Kind: Bool, Routes: generating},
	{Name: "best_of", Kind: Int, Range: choices, Routes: Completions},
	{Name: "stop", Kind: TextList, Most: stops, Routes: generating &^ Messages},
	{Name: "stop_token_ids", Kind: IDList, Most: func(b *Bounds) int { return b.StopIDs }, Routes: generating},
	{Name: "stream_options", Kind: Object, Needs: "stream", Routes: Completions | Chat},
	{Name: "stream_options.include_usage", Kind: Bool, Routes: Completions | Chat},
	{Name: "stream_options.continuous_usage_stats", Kind: Bool, Routes: Completions | Chat},
	{Name: "return_token_strs", Kind: Bool, Routes: Tokenize},
}

// formRows are forms of the answer. Code reads them, since most are unions.
var formRows = []Field{
	{Name: "response_format", Kind: Object, Routes: Completions | Chat},
	{Name: "structured_outputs", Kind: Object, Routes: generating},
	{Name: "guided_json", Routes: generating},
	{Name: "guided_regex", Routes: generating},
	{Name: "guided_choice", Routes: generating},
	{Name: "guided_grammar", Routes: generating},
	{Name: "json_schema", Routes: generating},
	{Name: "regex", Routes: generating},
	{Name: "choice", Routes: generating},
	{Name: "grammar", Routes: generating},
	{Name: "ebnf", Routes: generating},
	{Name: "user", Routes: generating},
}

// promptRows say what the model reads.
var promptRows = []Field{
	{Name: "prompt", Routes: Completions, Missing: "give a string, or a list of strings or token ids"},
	{Name: "prompt", Kind: Text, Routes: Tokenize},
	{Name: "parallel_tool_calls", Kind: Bool, Default: true, Routes: chats&^Messages | Tokenize},
	{Name: "tool_choice", Routes: Chat | Tokenize},
	{Name: "tool_choice", Routes: Responses},
	{Name: "tool_choice", Kind: Object, Routes: Messages},
	{Name: "tools", Routes: Chat | Tokenize},
	{Name: "tools", Routes: Responses},
	{Name: "tools", Routes: Messages},
	{Name: "messages", Routes: Chat, Missing: `give a list of {"role", "content"}`},
	{Name: "messages", Routes: Tokenize},
	{Name: "continue_final_message", Kind: Bool, Routes: chats | Tokenize},
	{Name: "add_generation_prompt", Kind: Bool, Routes: chats | Tokenize},
	{Name: "documents", Routes: chats | Tokenize},
	{Name: "chat_template_kwargs", Kind: Object, Routes: chats | Tokenize},
	{Name: "include_reasoning", Kind: Bool, Default: true, Routes: chats | Tokenize},
	{Name: "reasoning_format", Kind: Text, Words: []string{"auto", "none", "deepseek"}, Default: "auto", Routes: chats | Tokenize},
	{Name: "tokens", Kind: IDList, Routes: Detokenize, Missing: "give a list of token ids"},
}

// responseRows are POST /v1/responses' own.
var responseRows = []Field{
	{Name: "input", Routes: Responses, Missing: `give a string, or a list of items as {"role", "content"}`},
	{Name: "instructions", Kind: Text, Routes: Responses},
	{Name: "previous_response_id", Kind: Text, Routes: Responses},
	{Name: "store", Kind: Bool, Default: true, Routes: Responses},
	{Name: "max_output_tokens", Kind: Int, Lo: 1, Hi: noBound, Routes: Responses},
	{Name: "text", Kind: Object, Routes: Responses},
	{Name: "text.format", Kind: Object, Routes: Responses},
	{Name: "text.verbosity", Kind: Refused, Harmless: []string{`"medium"`}, Remedy: leaveOut, Routes: Responses},
	{Name: "top_logprobs", Kind: Int, Hi: 20, Routes: Responses},
	{Name: "include", Kind: TextList, Most: entries(16), Routes: Responses},
	{Name: "metadata", Kind: Object, Routes: translated},
	{Name: "stream_options", Kind: Object, Routes: Responses},
}

// messageRows are POST /v1/messages' own.
var messageRows = []Field{
	{Name: "messages", Routes: Messages, Missing: `give a list of {"role", "content"}`},
	{Name: "max_tokens", Kind: Int, Lo: 1, Hi: noBound, Routes: Messages, Missing: "give the most tokens that may be generated"},
	{Name: "system", Routes: Messages},
	{Name: "stop_sequences", Kind: TextList, Most: stops, Routes: Messages},
	{Name: "thinking", Kind: Object, Routes: Messages},
	{Name: "thinking.type", Kind: Text, Words: []string{"enabled", "disabled", "adaptive"}, Routes: Messages},
	{Name: "thinking.budget_tokens", Kind: Int, Lo: 1, Hi: noBound, Routes: Messages},
	{Name: "output_config", Kind: Object, Routes: Messages},
	{Name: "output_config.effort", Kind: Text, Words: append([]string{"max"}, efforts...), Remedy: "or set loops", Routes: Messages},
	{Name: "output_config.format", Kind: Object, Routes: Messages},
}

var embeddingRows = []Field{
	{Name: "encoding_format", Kind: Text, Words: []string{"float", "base64"}, Default: "float", Routes: Embeddings},
	{Name: "pooling", Kind: Text, Words: []string{"mean", "last"}, Default: "mean", Routes: Embeddings},
	{Name: "normalize", Kind: Bool, Default: true, Routes: Embeddings},
	{Name: "dimensions", Routes: Embeddings},
	{Name: "input", Routes: Embeddings, Missing: "give a string, or a list of strings or token ids"},
}

// benchRows are a benchmark's: each combination of the four lists is a point.
var benchRows = []Field{
	{Name: "loops", Kind: IntList, Range: loopRange, Most: entries(mostNumbers), Routes: Bench},
	{Name: "concurrency", Kind: IntList, Range: clients, Most: entries(mostNumbers), Default: []int{1}, Routes: Bench},
	{Name: "prompt_tokens", Kind: IntList, Range: allButOne, Most: entries(mostNumbers), Routes: Bench},
	{Name: "max_tokens", Kind: IntList, Range: allButOne, Most: entries(mostNumbers), Routes: Bench},
	{Name: "runs", Kind: Int, Lo: 1, Hi: 50, Default: 3, Routes: Bench},
	{Name: "warmup", Kind: Int, Hi: 10, Default: 1, Routes: Bench},
	{Name: "seed", Kind: Int, Hi: 1 << 40, Default: 1, Routes: Bench},
	{Name: "force", Kind: Bool, Routes: Bench},
}

// curveRows are those of a depth curve's query. The range of loops is the server's to check.
var curveRows = []Field{
	{Name: "loops", Kind: IntList, Most: entries(mostNumbers), Routes: Curve},
	{Name: "exit_policy", Kind: Text, Routes: Curve},
	{Name: "max_loss", Kind: Number, Hi: 100, Default: 0.5, Remedy: "points of accuracy that the recommended loops may lose", Routes: Curve},
	{Name: "format", Kind: Text, Words: []string{"json", "svg"}, Default: "json", Routes: Curve},
	{Name: "log", Kind: Bool, Routes: Curve},
}
