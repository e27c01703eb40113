package api

import "slices"

// table is every field that a body may have here, in the order in which fields are read: of two mistakes in one body the
// first row's is named.
var table = slices.Concat(depthRows, otherRows)

// otherRows are those of everything but the depth.
var otherRows = slices.Concat(scheduleRows, refusedRows, samplingRows, answerRows, formRows, promptRows, embeddingRows, benchRows)

const leaveOut = "leave the field out"

var scheduleRows = []Field{
	{
		Name: "priority", Kind: Int, Lo: -1_000_000, Hi: 1_000_000, Default: 0, Routes: looped,
		Help: "Lower runs first, as in vLLM; 0.",
	},
	{
		Name: "timeout_ms", Kind: Int, Lo: 1, Hi: 24 * 60 * 60 * 1000, Routes: looped, Ours: true,
		Help: "The answer must be complete by then, else the request ends with 504, code `deadline_exceeded`.",
	},
	{Name: "prefix_cache", Kind: Bool, Default: true, Routes: looped, Help: "false keeps the request away from the prefix cache."},
	{
		Name: "cache_salt", Kind: Text, Lo: 1, Hi: 256, Routes: looped,
		Help: "Only requests of the same salt share prefix caches; those of two API keys never do, unless the server is configured so.",
	},
}

// samplingRows say how tokens are chosen, and how many.
var samplingRows = []Field{
	{Name: "return_tokens_as_token_ids", Kind: Bool, Routes: generating, Help: "Tokens in logprobs are spelled `token_id:123`."},
	{
		Name: "logprobs", Kind: Int, Hi: 20, Harmless: []string{"false"}, Routes: Completions,
		Help: "The k most likely tokens of each place, and the chosen one; k from 0 to 20.",
	},
	{
		Name: "prompt_logprobs", Kind: Int, Hi: 20, Harmless: []string{"false"}, Routes: Completions,
		Help: "The same for the prompt's tokens: vLLM's `choices[i].prompt_logprobs`. Not in a stream.",
	},
	{Name: "logprobs", Kind: Bool, Routes: Chat, Help: "Log-probabilities of the answer's tokens."},
	{Name: "top_logprobs", Kind: Int, Hi: 20, Needs: "logprobs", Routes: Chat, Help: "Alternatives of each token, from 0 to 20."},
	{Name: "echo", Kind: Bool, Routes: Completions, Help: "The prompt before the answer, in `text` and in `logprobs`."},
	{
		Name: "max_tokens", Kind: Int, Hi: noBound, Default: 16, Routes: Completions,
		Help: "Tokens to generate, at most: at least 1, or 0 with `echo` or `prompt_logprobs`. The default gives " +
			"way to the context, an explicit value does not.",
	},
	{
		Name: "max_tokens", Kind: Int, Lo: 1, Hi: noBound, Routes: Chat,
		Help: "Tokens to generate, at most. Default: what the context leaves; half of it, a quarter, … where the " +
			"KV memory has no room for more.",
	},
	{Name: "max_completion_tokens", Kind: Int, Hi: noBound, Routes: Completions, Help: "The same, under OpenAI's newer name."},
	{Name: "max_completion_tokens", Kind: Int, Lo: 1, Hi: noBound, Routes: Chat, Help: "The same, under OpenAI's newer name."},
	{
		Name: "n", Kind: Int, Range: choices, Default: 1, Routes: generating,
		Help: "Choices for each prompt, numbered prompt by prompt: index = prompt · n + j.",
	},
	{Name: "temperature", Kind: Number, Hi: 100, Default: 1.0, Routes: generating, Help: "0: the most likely token, always."},
	{
		Name: "top_p", Kind: Number, Above: true, Hi: 1, Default: 1.0, Remedy: "for greedy choice set temperature to 0", Routes: generating,
		Help: "Nucleus sampling: the most likely tokens that have so much probability together.",
	},
	{Name: "top_k", Kind: Int, Lo: -1, Hi: noBound, Default: 0, Routes: generating, Help: "The k most likely; 0 and -1: all."},
	{
		Name: "min_p", Kind: Number, Hi: 1, Default: 0.0, Routes: generating,
		Help: "Tokens at least so likely, relative to the most likely one.",
	},
	{
		Name: "repetition_penalty", Kind: Number, Above: true, Hi: 100, Default: 1.0, Remedy: "1 changes nothing", Routes: generating,
		Help: "As vLLM: divides positive logits of tokens of prompt and output, multiplies negative ones.",
	},
	{
		Name: "frequency_penalty", Kind: Number, Lo: -2, Hi: 2, Default: 0.0, Routes: generating,
		Help: "Taken off a token's logit for each time that it was generated. The prompt does not count.",
	},
	{
		Name: "presence_penalty", Kind: Number, Lo: -2, Hi: 2, Default: 0.0, Routes: generating,
		Help: "Taken off a token's logit once where it was generated.",
	},
	{Name: "min_tokens", Kind: Int, Hi: noBound, Default: 0, Routes: generating, Help: "No stop id before so many tokens."},
	{Name: "seed", Kind: Int, Routes: generating, Help: "Choice j of n draws with seed + j. Default: random."},
	{Name: "seed", Kind: Int, Routes: Embeddings, Help: "Of a random initial state."},
	{
		Name: "logit_bias", Routes: generating,
		Schema: `{"type": ["object", "null"], "propertyNames": {"pattern": "^[0-9]+$"},
			"additionalProperties": {"type": "number", "minimum": -100, "maximum": 100}}`,
		Help: "`{\"token id\": -100…100}`, at most 1024.",
	},
	{
		Name: "allowed_token_ids", Kind: IDList, Most: entries(16384), Routes: generating,
		Help: "The only tokens that may come, at most 16,384.",
	},
}

// answerRows say how the answer is written.
var answerRows = []Field{
	{Name: "ignore_eos", Kind: Bool, Routes: generating, Help: "Go on past the model's own stop ids."},
	{Name: "include_stop_str_in_output", Kind: Bool, Routes: generating, Help: "The stop string is in the text."},
	{Name: "skip_special_tokens", Kind: Bool, Default: true, Routes: generating, Help: "In decoding the answer."},
	{Name: "add_special_tokens", Kind: Bool, Default: true, Routes: Completions | Embeddings, Help: "In encoding the prompt."},
	{Name: "add_special_tokens", Kind: Bool, Routes: Chat, Help: "In encoding the prompt; a template writes its own."},
	{Name: "add_special_tokens", Kind: Bool, Routes: Tokenize, Help: "In encoding. Default: true for a prompt, false for messages."},
	{
		Name: "return_loops", Kind: Bool, Routes: generating, Ours: true,
		Help: "The loops of each token in the answer: `choices[i].loops`; in a stream, those of the chunk.",
	},
	{Name: "timings", Kind: Bool, Routes: generating, Help: "llama.cpp's names in the answer's `timings`, too; below."},
	{Name: "stream", Kind: Bool, Routes: generating, Help: "Server-sent events, one for each token, and `[DONE]`."},
	{
		Name: "best_of", Kind: Int, Range: choices, Routes: Completions,
		Help: "So many sequences per prompt, of which the answer shows the `n` with the highest log-probability " +
			"per token, the best first. Not in a stream. Usage counts all. Default: `n`.",
	},
	{
		Name: "stop", Kind: TextList, Most: func(b *Bounds) int { return b.Stops }, Routes: generating,
		Help: "A string or a list: the text ends before any of them, also across tokens.",
	},
	{
		Name: "stop_token_ids", Kind: IDList, Most: func(b *Bounds) int { return b.StopIDs }, Routes: generating,
		Help: "Ids that end the text beside the model's own.",
	},
	{Name: "stream_options", Kind: Object, Needs: "stream", Routes: generating, Help: "What a stream has beside the text."},
	{Name: "stream_options.include_usage", Kind: Bool, Routes: generating, Help: "A last chunk with the usage and no choices."},
	{Name: "stream_options.continuous_usage_stats", Kind: Bool, Routes: generating, Help: "The usage so far in every chunk."},
	{Name: "return_token_strs", Kind: Bool, Routes: Tokenize, Help: "The tokens' spellings, too."},
}

// formRows are forms of the answer. Code reads them, since most are unions.
var formRows = []Field{
	{
		Name: "response_format", Kind: Object, Routes: generating,
		Schema: `{"anyOf": [
			{"type": "object", "properties": {"type": {"type": "string"}, "json_schema": {"type": "object"}},
				"required": ["type"], "examples": [{"type": "json_object"}]},
			{"type": "null"}
		]}`,
		Help: "OpenAI's: `{\"type\": \"json_object\"}`, `{\"type\": \"json_schema\", \"json_schema\": {\"schema\": " +
			"…}}` or `{\"type\": \"text\"}`.",
	},
	{
		Name: "structured_outputs", Kind: Object, Routes: generating,
		Help: "vLLM's: one of `{\"json\": schema}`, `{\"json_object\": true}`, `{\"regex\": …}`, `{\"choice\": [ … ]}`.",
	},
	{Name: "guided_json", Routes: generating, Help: "A JSON schema that the answer satisfies: an object, or its text."},
	{
		Name: "guided_regex", Routes: generating, Schema: `{"type": ["string", "null"]}`,
		Help: "An expression that the whole answer matches.",
	},
	{Name: "guided_choice", Routes: generating, Schema: textList, Help: "Texts, of which the answer is one."},
	{Name: "json_schema", Routes: generating, Help: "As `guided_json`."},
	{Name: "regex", Routes: generating, Schema: `{"type": ["string", "null"]}`, Help: "As `guided_regex`."},
	{Name: "choice", Routes: generating, Schema: textList, Help: "As `guided_choice`."},
	{Name: "user", Routes: generating, Help: "Ignored."},
}

const textList = `{"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}`

// promptRows say what the model reads.
var promptRows = []Field{
	{
		Name: "prompt", Routes: Completions, Missing: "give a string, or a list of strings or token ids", Schema: texts,
		Help: "One prompt or several: a string, a list of strings, a list of token ids, or a list of such lists.",
	},
	{Name: "prompt", Kind: Text, Routes: Tokenize, Help: "The text."},
	{Name: "parallel_tool_calls", Kind: Bool, Default: true, Routes: Chat | Tokenize, Help: "false keeps the first call only."},
	{
		Name: "tool_choice", Routes: Chat | Tokenize,
		Help: "`auto`, `none`, `required`, or `{\"type\": \"function\", \"function\": {\"name\"}}`: the last two " +
			"hold the answer to the form of a call.",
	},
	{
		Name: "tools", Routes: Chat | Tokenize,
		Help: "Functions that the model may call, shown to templates that take them: a list of `{\"type\": " +
			"\"function\", \"function\": {\"name\", \"description\", \"parameters\"}}`.",
	},
	{
		Name: "messages", Routes: Chat, Missing: `give a list of {"role", "content"}`, Schema: messages,
		Help: "A list of `{\"role\", \"content\"}`; content is a string or a list of `{\"type\": \"text\", " +
			"\"text\"}`, joined by line breaks. Roles are the template's affair; `developer` is `system` to a " +
			"template that does not know it.",
	},
	{
		Name: "messages", Routes: Tokenize, Schema: `{"anyOf": [{"type": "array", "items": {"type": "object"}, "minItems": 1}, {"type": "null"}]}`,
		Help: "A conversation instead of a prompt.",
	},
	{
		Name: "continue_final_message", Kind: Bool, Routes: Chat | Tokenize,
		Help: "The last message is not closed: the answer goes on with it.",
	},
	{
		Name: "add_generation_prompt", Kind: Bool, Routes: Chat | Tokenize,
		Help: "The template begins an answer. Default: true, or false with `continue_final_message`.",
	},
	{Name: "documents", Routes: Chat | Tokenize, Help: "For templates that take them: a list of objects."},
	{
		Name: "chat_template_kwargs", Kind: Object, Routes: Chat | Tokenize,
		Help: "Names that templates know: `enable_thinking`, `thinking`, `reasoning_effort`, `date_string`, " +
			"`tools_in_user_message`; any other name is refused.",
	},
	{
		Name: "include_reasoning", Kind: Bool, Default: true, Routes: Chat | Tokenize,
		Help: "false leaves reasoning out of the answer.",
	},
	{
		Name: "reasoning_format", Kind: Text, Words: []string{"auto", "none", "deepseek"}, Default: "auto", Routes: Chat | Tokenize,
		Help: "`auto` (or `deepseek`) tells reasoning apart where the model's template speaks of it; `none` leaves it in the content.",
	},
	{Name: "tokens", Kind: IDList, Routes: Detokenize, Missing: "give a list of token ids", Help: "The ids to decode."},
}

const texts = `{"anyOf": [
	{"type": "string"},
	{"type": "array", "items": {"type": "string"}},
	{"type": "array", "items": {"type": "integer", "minimum": 0}},
	{"type": "array", "items": {"type": "array", "items": {"type": "integer", "minimum": 0}}}
], "examples": ["123+456+789="]}`

const messages = `{"type": "array", "items": {"type": "object", "properties": {
	"role": {"type": "string", "minLength": 1, "maxLength": 64, "examples": ["user"]},
	"content": {"anyOf": [
		{"type": "string"},
		{"type": "array", "items": {"type": "object", "properties": {"type": {"const": "text"}, "text": {"type": "string"}}, "required": ["type", "text"]}},
		{"type": "null"}
	]},
	"name": {"type": ["string", "null"]}
}, "required": ["role", "content"], "additionalProperties": true}, "minItems": 1, "maxItems": 4096}`

var embeddingRows = []Field{
	{
		Name: "encoding_format", Kind: Text, Words: []string{"float", "base64"}, Default: "float", Routes: Embeddings,
		Help: "`float`, or `base64`: little-endian float32.",
	},
	{
		Name: "pooling", Kind: Text, Words: []string{"mean", "last"}, Default: "mean", Routes: Embeddings,
		Help: "`mean` over all tokens, or the `last` one's latent.",
	},
	{Name: "normalize", Kind: Bool, Default: true, Routes: Embeddings, Help: "To length 1."},
	{
		Name: "dimensions", Routes: Embeddings, Schema: `{"type": ["integer", "null"], "minimum": 1}`,
		Help: "The model's latent size, or nothing.",
	},
	{
		Name: "input", Routes: Embeddings, Missing: "give a string, or a list of strings or token ids", Schema: texts,
		Help: "One text or several: a string, a list of strings, a list of token ids, or a list of such lists.",
	},
}

// benchRows are a benchmark's: each combination of the four lists is a point.
var benchRows = []Field{
	{Name: "loops", Kind: IntList, Range: loopRange, Routes: Bench, Help: "Loop counts. Default: powers of two up to the most."},
	{Name: "concurrency", Kind: IntList, Range: clients, Routes: Bench, Help: "Clients at one time. Default: 1."},
	{Name: "prompt_tokens", Kind: IntList, Range: allButOne, Routes: Bench, Help: "Lengths of prompts. Default: 16."},
	{Name: "max_tokens", Kind: IntList, Range: allButOne, Routes: Bench, Help: "Lengths of answers. Default: 16."},
	{Name: "runs", Kind: Int, Lo: 1, Hi: 50, Default: 3, Routes: Bench, Help: "Measured runs of each point."},
	{Name: "warmup", Kind: Int, Hi: 10, Default: 1, Routes: Bench, Help: "Unmeasured runs before them."},
	{Name: "seed", Kind: Int, Hi: 1 << 40, Default: 1, Routes: Bench, Help: "Of the prompts."},
	{Name: "force", Kind: Bool, Routes: Bench, Help: "Also while the server is busy."},
}
