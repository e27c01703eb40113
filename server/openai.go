package server

// The shapes of OpenAI's wire format that this server writes. Fields after a blank line are ours or vLLM's.

// completionOf is what a generating route answers, and each chunk of a streamed answer. C is the route's choice.
type completionOf[C any] struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	Model   string `json:"model"`
	Choices []C    `json:"choices"`
	Usage   *usage `json:"usage"`

	Timings *timings `json:"timings,omitempty"`
}

// choice is POST /v1/completions' own.
type choice struct {
	Index    int                 `json:"index"`
	Text     string              `json:"text"`
	Logprobs *completionLogprobs `json:"logprobs"`
	outcome

	// PromptLogprobs is vLLM's, where prompt_logprobs asked for it.
	PromptLogprobs []map[string]promptLogprob `json:"prompt_logprobs,omitempty"`
}

// chatChoice is POST /v1/chat/completions' own.
type chatChoice struct {
	Index    int           `json:"index"`
	Message  *chatMessage  `json:"message,omitempty"`
	Delta    *chatDelta    `json:"delta,omitempty"`
	Logprobs *chatLogprobs `json:"logprobs"`
	outcome
}

type chatMessage struct {
	Role      string     `json:"role"`
	Content   *string    `json:"content"` // null where there are calls and no text
	Refusal   *string    `json:"refusal"` // always null: nothing here refuses
	ToolCalls []toolCall `json:"tool_calls,omitempty"`

	ReasoningContent string `json:"reasoning_content,omitempty"`
}

type chatDelta struct {
	Role      string     `json:"role,omitempty"`
	Content   *string    `json:"content,omitempty"` // absent where the delta has something else alone
	ToolCalls []toolCall `json:"tool_calls,omitempty"`

	ReasoningContent string `json:"reasoning_content,omitempty"`
}

// outcome is what a choice says beside its text and the probabilities.
type outcome struct {
	FinishReason *string `json:"finish_reason"`

	StopReason any   `json:"stop_reason"` // the stop string or stop_token_ids' id that ended it, else null
	Loops      []int `json:"loops,omitempty"`
	// Lens has an entry for each token, where return_lens asked for it.
	Lens []*lensToken `json:"lens,omitempty"`
}

type usage struct {
	PromptTokens            int               `json:"prompt_tokens"`
	CompletionTokens        int               `json:"completion_tokens"`
	TotalTokens             int               `json:"total_tokens"`
	PromptTokensDetails     promptDetails     `json:"prompt_tokens_details"`
	CompletionTokensDetails completionDetails `json:"completion_tokens_details"`
}

type promptDetails struct {
	CachedTokens int `json:"cached_tokens"`

	Loops *loopUsage `json:"loops,omitempty"` // nil until the engine has told
}

type completionDetails struct {
	ReasoningTokens int `json:"reasoning_tokens"`

	Loops loopUsage `json:"loops"`
}

// loopUsage counts applications of the block to rows.
type loopUsage struct {
	Total int     `json:"total"`
	Mean  float64 `json:"mean"` // per token
	Max   int     `json:"max"`
	Saved int     `json:"saved"` // loops under the cap that an exit policy did not run
	// Granted is the cap that applied, the lowest of all choices; below what was asked for only under elastic depth.
	Granted int `json:"granted,omitempty"`
}

// timings are of the whole request, all its choices together; docs/api.md has the definitions. Null is what one token
// or no token cannot tell.
type timings struct {
	QueueTimeMS        *float64 `json:"queue_time_ms"`
	TimeToFirstTokenMS *float64 `json:"time_to_first_token_ms"`
	GenerationTimeMS   *float64 `json:"generation_time_ms"`
	MeanITLMS          *float64 `json:"mean_itl_ms"`
	TokensPerSecond    *float64 `json:"tokens_per_second"`
	LoopsPerSecond     *float64 `json:"loops_per_second"`
	MSPerLoop          *float64 `json:"ms_per_loop"`

	Drafted  *int `json:"drafted,omitempty"` // tokens guessed, where draft_loops asked for it
	Accepted *int `json:"accepted,omitempty"`

	*llamaTimings // where "timings": true asked for them
}

type modelList struct {
	Object string      `json:"object"`
	Data   []modelCard `json:"data"`
}

type modelCard struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`

	Root        string    `json:"root"`
	Parent      *string   `json:"parent"` // the model that an alias stands for
	MaxModelLen int       `json:"max_model_len"`
	Loops       cardLoops `json:"loops"`
	KVPolicies  []string  `json:"kv_policies,omitempty"`
	KVPolicy    string    `json:"kv_policy,omitempty"`
	Embeddings  int       `json:"embedding_size,omitempty"`
	Description string    `json:"description,omitempty"`
}

type cardLoops struct {
	Min          int      `json:"min"`
	Max          int      `json:"max"`
	Default      int      `json:"default"`
	Trained      int      `json:"trained"`
	ExitPolicies []string `json:"exit_policies"`
	Auto         cardAuto `json:"auto"` // what @auto stands for
	// ReasoningEffort is what each reasoning_effort stands for.
	ReasoningEffort map[string]int `json:"reasoning_effort"`
}

type cardAuto struct {
	Loops         int     `json:"loops"` // the most
	ExitPolicy    string  `json:"exit_policy"`
	ExitThreshold float64 `json:"exit_threshold"`
	MinLoops      int     `json:"min_loops"`
}
