package generate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
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
	Client  string // whose part of the engine it takes
	Weight  float64
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
	Seeded    bool // by the request
	Logprobs  LogprobOptions
	form      *constrain.Automaton // nil: any text
	formField string               // that asked for it
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

	Warnings []string // what of the request does not act as it seems to, for the answer

	unread bool // a warning says that the model cannot read some of the text

	onLatent func(sequence int) func(position int, latent []float32) // of an embedding, which samples nothing

	ReturnLoops     bool
	ReturnIDs       bool // vLLM's return_token_ids
	LlamaTimings    bool // llama.cpp's names for timings, too
	Stream          bool
	IncludeUsage    bool
	ContinuousUsage bool
}

// ReadPlan reads the fields that every generating route shares, and gives the rest of the body back. What the model says
// of the depth comes before all other fields: it is what clients get wrong here and nowhere else.
func ReadPlan(b api.Body, route api.Route, t Target, call Call, lim api.Limits) (*Plan, *api.Values, error) {
	p := &Plan{Model: t.Model}
	v, err := api.DecodeDepth(b, route, t.Bounds(lim))
	if err != nil {
		return nil, nil, err
	}
	if err := p.readDepth(v, t, call.Loops); err != nil {
		return nil, nil, err
	}
	if err := v.DecodeRest(); err != nil {
		return nil, nil, err
	}
	p.Warnings = append(p.Warnings, v.Warnings()...)
	p.readSchedule(v, call)
	p.Echo = v.Bool("echo")
	p.IgnoreEOS, p.IncludeStop = v.Bool("ignore_eos"), v.Bool("include_stop_str_in_output")
	p.SkipSpecial, p.AddSpecial = v.Bool("skip_special_tokens"), v.Bool("add_special_tokens")
	p.ReturnLoops, p.ReturnIDs = v.Bool("return_loops"), v.Bool("return_token_ids")
	p.LlamaTimings, p.Stream = v.Bool("timings"), v.Bool("stream")
	p.IncludeUsage, p.ContinuousUsage = v.Bool("stream_options.include_usage"), v.Bool("stream_options.continuous_usage_stats")
	p.StopIDs = v.IDs("stop_token_ids")
	p.readLogprobs(v, route)
	for _, read := range []func(*api.Values) error{p.readLengths, p.readSampling, p.readChoices, p.readConstraint} {
		if err := read(v); err != nil {
			return nil, nil, err
		}
	}
	p.Stop, err = readStops(v, lim)
	return p, v, err
}

// Heed warns of text that the model cannot read. One warning does for all prompts.
func (p *Plan) Heed(ids []int32, text, where string) {
	unk := p.Model.UNK
	if unk == nil || p.unread || !slices.Contains(ids, *unk) || strings.Contains(text, p.Model.Token(unk)) {
		return
	}
	n := 0
	for _, id := range ids {
		if id == *unk {
			n++
		}
	}
	p.unread = true
	p.Warnings = append(p.Warnings, fmt.Sprintf("%s has text that is not in the vocabulary of model %s: the model reads %d of %d tokens as %s",
		where, p.Model.Name, n, len(ids), p.Model.Token(unk)))
}

// readSchedule reads how a request stands among others.
func (p *Plan) readSchedule(v *api.Values, call Call) {
	r := &p.Request
	r.Arrived, r.Priority, r.NoCache = call.Arrived, v.Int("priority"), !v.Bool("prefix_cache")
	if v.Has("timeout_ms") {
		r.Deadline = r.Arrived.Add(time.Duration(v.Int("timeout_ms")) * time.Millisecond)
	}
	r.Client, r.Weight = call.Client, call.Weight
	r.CacheSalt = cacheSalt(call.Tenant, v.Text("cache_salt"))
}

// cacheSalt keeps the prefix caches of API keys apart: what another key's request left behind would show in the time
// to the first token. The digest's length is fixed, so no pair of tenant and salt is another pair.
func cacheSalt(tenant, salt string) string {
	if tenant == "" && salt == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(tenant + salt))
	return hex.EncodeToString(sum[:])
}

// readLengths reads how many tokens are wanted. Without a number of its own, a chat gets what the context leaves.
func (p *Plan) readLengths(v *api.Values) error {
	p.MaxTokens = v.Int("max_tokens")
	for _, field := range []string{"max_tokens", "max_completion_tokens"} {
		if !v.Has(field) {
			continue
		}
		p.MaxTokens, p.maxGiven = v.Int(field), true
		if p.MaxTokens == 0 && !p.Echo && !p.Logprobs.Prompt {
			return api.Bad(field, api.CodeValue, "%s is 0: it must be at least 1, unless echo or prompt_logprobs is set", field)
		}
	}
	if p.MaxTokens == 0 && !p.maxGiven {
		p.MaxTokens = p.Model.Context
	}
	if most, ok := p.Model.Defaults["max_tokens"].(int); ok && most > 0 && !p.maxGiven {
		p.MaxTokens = min(p.MaxTokens, most)
	}
	return nil
}

// Loosen lets an answer have fewer tokens than max_tokens, where the context or the KV memory leaves fewer.
func (p *Plan) Loosen() { p.MaxTokens, p.maxGiven = min(p.MaxTokens, p.Model.Context), false }

// readChoices reads how many sequences compete for the n places of the answer. A stream shows tokens before it can be
// known whose are the best.
func (p *Plan) readChoices(v *api.Values) error {
	p.N, p.BestOf = v.Int("n"), v.Int("best_of")
	switch {
	case p.Stream && p.Logprobs.Prompt:
		return api.Conflict("prompt_logprobs", "stream", "use echo with logprobs, or leave stream out")
	case v.Has("best_of") && p.BestOf < p.N && v.Has("n"):
		return api.Bad("best_of", api.CodeValue, "best_of is %d and n is %d: best_of must be at least n", p.BestOf, p.N)
	case p.BestOf > p.N && p.Stream:
		return api.Bad("best_of", "conflicting_fields", "best_of is %d and stream is true: the best are known only at the end: leave one of the two out", p.BestOf)
	}
	return nil
}

func readStops(v *api.Values, lim api.Limits) ([]string, error) {
	stops := v.Texts("stop")
	for i, s := range stops {
		switch {
		case s == "" && len(stops) == 1:
			return nil, api.Bad("stop", api.CodeValue, "stop is empty: leave it out, or give at least one character")
		case s == "":
			return nil, api.Bad("stop", api.CodeValue, "stop[%d] is empty: each stop string needs at least one character", i)
		case len(s) > lim.StopBytes:
			return nil, api.Bad("stop", api.CodeValue, "stop[%d] has %d bytes: at most %d are allowed", i, len(s), lim.StopBytes)
		}
	}
	return stops, nil
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
	if cost *= float64(p.each()); p.Request.Lens > 0 {
		twice = " × 2 for return_lens"
	}
	if cost > float64(lim.LoopSteps) {
		return api.Bad("max_tokens", "request_too_large",
			"%.0f loop-steps asked for (%d sequences × %d tokens × %d loops%s): at most %d per request: lower max_tokens, %s or loops",
			cost, sequences, tokens, p.Request.Loops, twice, lim.LoopSteps, many)
	}
	return nil
}

// cost is what the sequences of prompts come to at worst, in loop-steps.
func (p *Plan) cost(prompts []Prompt) (steps int64) {
	for _, prompt := range prompts {
		rows := len(prompt.IDs) + max(p.tokensWithin(prompt.MaxTokens)-1, 0)
		steps += int64(rows) * int64(p.Request.Loops) * int64(p.perPrompt()) * p.each()
	}
	return steps
}

// each is what a loop of a row counts for: the coda runs beside the block for a lens.
func (p *Plan) each() int64 {
	if p.Request.Lens > 0 {
		return 2
	}
	return 1
}
