package api

import "math"

// depthRows are the rows that are read before all others: how deep a request's tokens go is what clients get wrong here
// and nowhere else. What contradicts itself among them is named before any other field, too.
var depthRows = []Field{
	{
		Name: "model", Kind: Text, Routes: every, Schema: `{"type": ["string", "null"], "examples": ["adder@8"]}`,
		Help: "A model of GET /v1/models: `name`, `name@loops` or `name@auto`. May be left out where there is one model only.",
	},
	{
		Name: "loops", Kind: Depth, Lo: math.MinInt32, Routes: looped, Ours: true,
		Aliases: []string{
			"loop", "loop_count", "loops_count", "n_loop", "n_loops", "nloops", "num_loop", "num_loops", "max_loops", "depth",
			"num_steps", "n_steps", "mean_recurrence", "num_recurrence", "num_recurrences", "recurrence", "recurrences", "recurrent_steps",
			"recurrent_depth", "n_recurrent_loops", "total_ut_steps", "ut_steps", "num_ut_steps", "loop_num", "loop_num_passes",
			"h_cycles", "exit_at_step", "exit_step",
		},
		Help: "How often the block is applied to each token; the most under an exit policy. Wins over the model's " +
			"alias and the header X-Loops. The range is in GET /v1/models.",
	},
	{
		Name: "loops_clamp", Kind: Bool, Routes: looped, Ours: true, Aliases: []string{"loop_clamp", "clamp_loops"},
		Help: "Loops out of range are brought into it instead of being refused.",
	},
	{
		Name: "reasoning_effort", Kind: Text, Routes: looped | Tokenize, Words: []string{"none", "minimal", "low", "medium", "high", "xhigh"},
		Remedy: "or set loops",
		Help:   "A place in the model's range of loops. A chat's template sees it, too.",
	},
	{
		Name: "exit_policy", Kind: Text, Routes: looped, Ours: true,
		Aliases: []string{"early_exit", "exit_criterion", "criterion"},
		Schema:  `{"type": ["string", "null"], "examples": ["delta"]}`,
		Help: "Lets a token leave the loop early: `none` (every token does `loops`), `delta`, `gate`, `kl`, " +
			"`entropy`, `argmax`, or `auto`; `latent_delta` is `delta`.",
	},
	{
		Name: "min_loops", Kind: Depth, Lo: 1, Routes: looped, Ours: true, Aliases: []string{"loops_min"},
		Help: "No token leaves before: the least under an exit policy or elastic depth.",
	},
	{
		Name: "exit_agree", Kind: Int, Lo: 1, Hi: noBound, Routes: looped, Ours: true, Aliases: []string{"exit_consecutive", "exit_patience"},
		Help: "How many loops in a row must pass the threshold; 1.",
	},
	{
		Name: "exit_threshold", Routes: looped, Ours: true, Aliases: []string{"early_exit_threshold"},
		Schema: `{"type": ["number", "null"], "exclusiveMinimum": 0}`,
		Help:   "The policy's number; its default is in GET /v1/models.",
	},
	{
		Name: "replay_loops", Kind: DepthList, Lo: 1, Most: entries(1 << 20), Routes: generating, Ours: true, Aliases: []string{"loops_replay"},
		Help: "The loops of each token, as `return_loops` of an earlier answer gave them: the same depths again. " +
			"One prompt, `n` 1, and the `loops` of that answer; after its end the last entry holds. Prompts run " +
			"at `loops`, so that answers of the policies that move prompts, `delta` and `gate`, are replayed " +
			"with their depths but not bit for bit.",
	},
	{
		Name: "target_itl_ms", Kind: Number, Above: true, Hi: 3_600_000, Routes: generating, Ours: true, Aliases: []string{"target_itl"},
		Remedy: "the milliseconds between two tokens to aim at",
		Help: "Milliseconds between tokens to aim at: `loops` is lowered until a token takes no longer, by the " +
			"measured time of a loop. Implies `elastic`.",
	},
	{
		Name: "elastic", Kind: Bool, Routes: generating, Ours: true, Aliases: []string{"loops_elastic", "elastic_loops", "elastic_depth"},
		Help: "true: under load the server may lower `loops`, never below `min_loops`; " +
			"`usage.completion_tokens_details.loops.granted` says to what.",
	},
	{
		Name: "draft_loops", Kind: Depth, Routes: generating, Ours: true,
		Help: "Guess each token after so many loops and start its successor; the answer is the same. 0 is off; " +
			"only at a fixed depth. `timings.drafted` and `timings.accepted` count.",
	},
	{
		Name: "loop_budget", Kind: Int, Lo: 1, Hi: noBound, Routes: generating, Ours: true, Aliases: []string{"max_loop_steps", "loops_budget"},
		Help: "Loops of the whole answer: it ends, with `length`, before a token that might go over.",
	},
	{
		Name: "return_lens", Kind: Int, Hi: 20, Routes: generating, Ours: true, Aliases: []string{"lens", "loop_lens"},
		Harmless: []string{"false"}, True: 5,
		Schema: `{"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": 20}, {"type": "null"}]}`,
		Help:   "The k most likely tokens after each loop of each token, or true for 5: the logit lens, below.",
	},
}
