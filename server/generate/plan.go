package generate

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/constrain"
	"github.com/loopserve/loopserve/runtime/sampler"
	"github.com/loopserve/loopserve/server/api"
)

// Call is what a request brings beside its body.
type Call struct {
	ID      string
	Arrived time.Time
	Tenant  string // whose prefix caches are kept apart; empty: everybody's are one
	Loops   string // header X-Loops
}

// Plan is what a request asks for beside its prompt: the loopctl.Request that each of its sequences begins as, and what no
// such request can hold. It is made once, and read from then on.
type Plan struct {
	Model *Model
	// Request has the depth, the place among others and the seed of the initial state. Its Loops are those that apply.
	Request   loopctl.Request
	Requested int // loops that were asked for; 0: nobody asked, the model's default applies
	Budget    int // loops of the whole answer; 0: no bound

	MaxTokens int
	maxGiven  bool
	N         int
	BestOf    int // sequences of each prompt, of which the N best are shown; 0: N
	Sampling  sampler.Params
	Logprobs  LogprobOptions
	form      *constrain.Machine // nil: any text
	formField string             // that asked for it
	Echo      bool

	Stop        []string
	StopIDs     []int32 // of stop_token_ids
	IgnoreEOS   bool
	IncludeStop bool
	SkipSpecial bool
	AddSpecial  bool

	// Parser takes each choice's text apart, where it is set. Marks are the special tokens that it must see, with their
	// text: decoders leave them out.
	Parser func() Parser
	Marks  map[int32]string

	ReturnLoops     bool
	LlamaTimings    bool // llama.cpp's names for timings, too
	Stream          bool
	IncludeUsage    bool
	ContinuousUsage bool
}

// ReadPlan reads the fields that every generating route shares. Depth comes first: it is what clients get wrong here and
// nowhere else.
func ReadPlan(b api.Body, t Target, call Call, chat bool, lim api.Limits) (*Plan, error) {
	if err := api.CheckNames(b); err != nil {
		return nil, err
	}
	m := t.Model
	p := &Plan{Model: m}
	if err := p.readDepth(b, t, call.Loops); err != nil {
		return nil, err
	}
	if err := p.readSchedule(b, call); err != nil {
		return nil, err
	}
	if err := api.CheckSupported(b, chat); err != nil {
		return nil, err
	}
	r := &api.Reader{Body: b}
	most := 16 // OpenAI's default for completions; a chat's is what the context leaves
	if chat {
		most = m.Context
	}
	least := int64(1)
	if chat {
		p.Logprobs = readChatLogprobs(r)
	} else {
		p.Logprobs = readLogprobs(r)
		if p.Echo = r.Boolean("echo", false); p.Echo || p.Logprobs.Prompt {
			least = 0 // the prompt alone is of interest
		}
	}
	p.MaxTokens = r.Integer("max_tokens", int64(most), least, math.MaxInt32)
	p.MaxTokens = r.Integer("max_completion_tokens", int64(p.MaxTokens), least, math.MaxInt32)
	p.maxGiven = b.Has("max_tokens") || b.Has("max_completion_tokens")
	p.N = r.Integer("n", 1, 1, int64(lim.Choices))
	p.readSampling(r)
	p.IgnoreEOS = r.Boolean("ignore_eos", false)
	p.IncludeStop = r.Boolean("include_stop_str_in_output", false)
	p.SkipSpecial = r.Boolean("skip_special_tokens", true)
	p.AddSpecial = r.Boolean("add_special_tokens", !chat) // a template writes its own
	p.ReturnLoops = r.Boolean("return_loops", false)
	p.LlamaTimings = r.Boolean("timings", false)
	p.Stream = r.Boolean("stream", false)
	if r.Err != nil {
		return nil, r.Err
	}
	if err := p.readBestOf(b, chat, lim); err != nil {
		return nil, err
	}
	if err := p.readStops(b, lim); err != nil {
		return nil, err
	}
	if err := p.readStreamOptions(b); err != nil {
		return nil, err
	}
	if err := p.readConstraint(b); err != nil {
		return nil, err
	}
	return p, nil
}

// readBestOf reads how many sequences compete for the n places of the answer. A stream shows tokens before it can be
// known whose are the best.
func (p *Plan) readBestOf(b api.Body, chat bool, lim api.Limits) error {
	switch {
	case !chat && p.Stream && p.Logprobs.Prompt:
		return api.Bad("prompt_logprobs", "conflicting_fields", "prompt_logprobs and stream exclude each other: use echo with logprobs, or leave stream out")
	case chat || !b.Has("best_of"):
		return nil
	}
	r := &api.Reader{Body: b}
	switch p.BestOf = r.Integer("best_of", 1, 1, int64(lim.Choices)); {
	case r.Err != nil:
		return r.Err
	case p.BestOf < p.N && b.Has("n"):
		return api.Bad("best_of", api.CodeValue, "best_of is %d and n is %d: best_of must be at least n", p.BestOf, p.N)
	case p.BestOf > p.N && p.Stream:
		return api.Bad("best_of", "conflicting_fields", "best_of is %d and stream is true: which are the best is known at the end only: leave one of the two out", p.BestOf)
	}
	return nil
}

// readSeed reads the seed of sampling and of a random initial state. Without one the state is the same for all, so that
// greedy answers repeat.
func (p *Plan) readSeed(r *api.Reader) {
	if !r.Body.Has("seed") {
		p.Sampling.Seed = rand.Uint64()
		return
	}
	p.Sampling.Seed = uint64(r.Integer("seed", 0, math.MinInt64, math.MaxInt64))
	p.Request.Seed = p.Sampling.Seed
}

func (p *Plan) readStops(b api.Body, lim api.Limits) error {
	stops, err := b.Texts("stop")
	if err != nil {
		return err
	}
	if len(stops) > lim.Stops {
		return api.Bad("stop", api.CodeValue, "stop has %d strings: at most %d are allowed", len(stops), lim.Stops)
	}
	for i, s := range stops {
		switch {
		case s == "" && len(stops) == 1:
			return api.Bad("stop", api.CodeValue, "stop is empty: leave it out, or give at least one character")
		case s == "":
			return api.Bad("stop", api.CodeValue, "stop[%d] is empty: each stop string needs at least one character", i)
		case len(s) > lim.StopBytes:
			return api.Bad("stop", api.CodeValue, "stop[%d] has %d bytes: at most %d are allowed", i, len(s), lim.StopBytes)
		}
	}
	p.Stop = stops
	if b.Has("stop_token_ids") {
		p.StopIDs, err = api.IDs(b["stop_token_ids"], "stop_token_ids", "stop_token_ids", p.Model.Vocab)
		if err != nil {
			return err
		}
		if len(p.StopIDs) > lim.StopIDs {
			return api.Bad("stop_token_ids", api.CodeValue, "stop_token_ids has %d ids: at most %d are allowed", len(p.StopIDs), lim.StopIDs)
		}
	}
	return nil
}

func (p *Plan) readStreamOptions(b api.Body) error {
	o, err := b.Object("stream_options")
	if err != nil || o == nil {
		return err
	}
	if !p.Stream {
		return api.Bad("stream_options", api.CodeValue, "stream_options is given without \"stream\": true: set stream, or leave it out")
	}
	if p.IncludeUsage, err = o.Boolean("include_usage", false); err != nil {
		return api.Inside("stream_options", err)
	}
	if p.ContinuousUsage, err = o.Boolean("continuous_usage_stats", false); err != nil {
		return api.Inside("stream_options", err)
	}
	return nil
}

// CheckCost bounds what one request may ask for in all.
func (p *Plan) CheckCost(prompts int, lim api.Limits) error {
	sequences, many := prompts*p.perPrompt(), "n"
	if p.BestOf > p.N {
		many = "best_of"
	}
	if sequences > lim.Sequences {
		return api.Bad(many, "request_too_large", "%d prompts with %s = %d are %d sequences: at most %d per request: send several requests",
			prompts, many, p.perPrompt(), sequences, lim.Sequences)
	}
	if len(p.Request.Replay) > 0 && sequences > 1 {
		return api.Conflict("replay_loops", many, "it holds for one sequence: send one prompt with "+many+" = 1")
	}
	tokens := p.tokensWithin(p.MaxTokens)
	cost := float64(sequences) * float64(tokens) * float64(p.Request.Loops)
	if entries := cost * float64(p.Request.Lens); entries > mostLensEntries {
		return api.Bad("return_lens", "request_too_large",
			"return_lens asks for %.0f entries (%d sequences × %d tokens × %d loops × %d): at most %d per request: lower return_lens, max_tokens, %s or loops",
			entries, sequences, tokens, p.Request.Loops, p.Request.Lens, mostLensEntries, many)
	}
	twice := ""
	if p.Request.Lens > 0 {
		cost *= 2 // the coda runs after each loop, beside the block
		twice = " × 2 for return_lens"
	}
	if cost > float64(lim.LoopSteps) {
		return api.Bad("max_tokens", "request_too_large",
			"%.0f loop-steps asked for (%d sequences × %d tokens × %d loops%s): at most %d per request: lower max_tokens, %s or loops",
			cost, sequences, tokens, p.Request.Loops, twice, lim.LoopSteps, many)
	}
	return nil
}
