package generate

import (
	"cmp"
	"encoding/json"
	"math"
	"time"

	"github.com/loopserve/loopserve/loopctl"
)

// Usage is OpenAI's, with the loops beside: what a request's choices have used, as the client saw it. Tokens that the engine
// made after a stop string do not count.
type Usage struct {
	PromptTokens            int               `json:"prompt_tokens"`
	CompletionTokens        int               `json:"completion_tokens"`
	TotalTokens             int               `json:"total_tokens"`
	PromptTokensDetails     PromptDetails     `json:"prompt_tokens_details"`
	CompletionTokensDetails CompletionDetails `json:"completion_tokens_details"`

	sequences, perPrompt int
	loops                int // asked for
	cached               int // prompt tokens from the prefix cache, of each prompt's first choice
	ended                []*loopctl.Stats
}

// PromptDetails are known when all choices have ended: they are in the last usage of a stream, not before.
type PromptDetails struct {
	CachedTokens int `json:"cached_tokens"`

	Loops *LoopUsage `json:"loops,omitempty"` // nil until then
}

// CompletionDetails are of the generated tokens.
type CompletionDetails struct {
	ReasoningTokens int `json:"reasoning_tokens"`

	Loops LoopUsage `json:"loops"`
}

// LoopUsage counts applications of the block to rows.
type LoopUsage struct {
	Total int     `json:"total"`
	Mean  float64 `json:"mean"` // per token
	Max   int     `json:"max"`
	Saved int     `json:"saved"` // loops under the cap that an exit policy did not run
	// Granted is the cap that applied, the lowest of all choices; below what was asked for only under elastic depth.
	Granted int `json:"granted,omitempty"`
}

func newUsage(p *Plan, prompts []Prompt) *Usage {
	u := &Usage{sequences: len(prompts) * p.perPrompt(), perPrompt: p.perPrompt(), loops: p.Request.Loops}
	for _, prompt := range prompts {
		u.PromptTokens += len(prompt.IDs)
	}
	u.TotalTokens = u.PromptTokens
	return u
}

// Add counts a delta of one of the sequences, which are numbered prompt by prompt.
func (u *Usage) Add(d Delta) {
	if d.Loops > 0 {
		u.CompletionTokens++
		u.TotalTokens++
		if d.Thinks {
			u.CompletionTokensDetails.ReasoningTokens++
		}
		l := &u.CompletionTokensDetails.Loops
		l.Total += d.Loops
		l.Mean = mean(l.Total, u.CompletionTokens)
		l.Max = max(l.Max, d.Loops)
	}
	if d.Stats == nil {
		return
	}
	u.ended = append(u.ended, d.Stats)
	if d.Index%u.perPrompt == 0 {
		u.cached += d.Stats.CachedTokens // the others find what the first one left, which says nothing
	}
	if len(u.ended) == u.sequences {
		u.complete()
	}
}

// complete adds what the engine tells at each sequence's end.
func (u *Usage) complete() {
	prompt, done := &LoopUsage{}, &u.CompletionTokensDetails.Loops
	rows, deepest := 0, 0
	for _, s := range u.ended {
		done.Saved += s.LoopsSaved
		prompt.Total += s.PromptLoops
		rows += s.PromptRows
		granted := cmp.Or(s.LoopsGranted, u.loops) // not every generator says
		prompt.Saved += max(s.PromptRows*granted-s.PromptLoops, 0)
		if deepest = max(deepest, granted); done.Granted == 0 || granted < done.Granted {
			done.Granted = granted
		}
	}
	prompt.Mean = mean(prompt.Total, rows)
	if prompt.Total > 0 {
		prompt.Max = deepest
	}
	u.PromptTokensDetails = PromptDetails{CachedTokens: u.cached, Loops: prompt}
}

// steps are the loop-steps so far. Until all sequences have ended their prompts count as computed, whole.
func (u *Usage) steps() int64 {
	prompt := u.PromptTokens * u.perPrompt * u.loops
	if l := u.PromptTokensDetails.Loops; l != nil {
		prompt = l.Total
	}
	return int64(prompt + u.CompletionTokensDetails.Loops.Total)
}

func mean(total, n int) float64 {
	if n <= 0 {
		return 0
	}
	return float64(total) / float64(n)
}

// Measure is a number that JSON calls null where there is none: not a number, or infinite.
type Measure float64

var unknown = Measure(math.NaN())

// MarshalJSON implements json.Marshaler.
func (m Measure) MarshalJSON() ([]byte, error) {
	if v := float64(m); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return json.Marshal(v)
	}
	return []byte("null"), nil
}

// Timings are of the whole request, all its choices together; docs/api.md has the definitions. Null is what one token
// or no token cannot tell.
type Timings struct {
	QueueTimeMS        Measure `json:"queue_time_ms"`
	TimeToFirstTokenMS Measure `json:"time_to_first_token_ms"`
	GenerationTimeMS   Measure `json:"generation_time_ms"`
	MeanITLMS          Measure `json:"mean_itl_ms"`
	TokensPerSecond    Measure `json:"tokens_per_second"`
	LoopsPerSecond     Measure `json:"loops_per_second"`
	MSPerLoop          Measure `json:"ms_per_loop"`

	Drafted  *int `json:"drafted,omitempty"` // tokens guessed, where draft_loops, or the server for it, asked for guesses
	Accepted *int `json:"accepted,omitempty"`

	*llamaTimings // where "timings": true asked for them
}

// timings go from the first arrival to the last end. drafts says that guesses were asked for.
func (u *Usage) timings(drafts bool) *Timings {
	var scheduled, first, finished time.Time
	var queue, decoding time.Duration
	queued, gaps := 0, 0
	out := &Timings{TimeToFirstTokenMS: unknown, GenerationTimeMS: unknown, TokensPerSecond: unknown, LoopsPerSecond: unknown}
	if drafts {
		out.Drafted, out.Accepted = new(int), new(int)
	}
	for _, s := range u.ended {
		if drafts {
			*out.Drafted += s.Drafted
			*out.Accepted += s.Accepted
		}
		if !s.Scheduled.IsZero() {
			queue += s.Scheduled.Sub(s.Arrived)
			queued++
			scheduled = earlier(scheduled, s.Scheduled)
		}
		if s.FirstToken.IsZero() {
			continue
		}
		first = earlier(first, s.FirstToken)
		if s.Finished.After(finished) {
			finished = s.Finished
		}
		if s.CompletionTokens > 1 {
			decoding += s.Finished.Sub(s.FirstToken)
			gaps += s.CompletionTokens - 1
		}
	}
	loops := u.CompletionTokensDetails.Loops
	out.QueueTimeMS = ms(queue) / Measure(queued)
	out.MeanITLMS = ms(decoding) / Measure(gaps)
	out.MSPerLoop = out.MeanITLMS / Measure(loops.Mean)
	if first.IsZero() {
		return out
	}
	out.TimeToFirstTokenMS = ms(first.Sub(u.ended[0].Arrived))
	out.GenerationTimeMS = ms(finished.Sub(first))
	if !scheduled.IsZero() {
		busy := Measure(finished.Sub(scheduled).Seconds())
		out.TokensPerSecond = Measure(u.CompletionTokens) / busy
		out.LoopsPerSecond = Measure(loops.Total) / busy
	}
	return out
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func ms(d time.Duration) Measure { return Measure(d) / Measure(time.Millisecond) }

// llamaTimings are the request's counts and times under the names of llama.cpp's server, which interfaces made for it
// read: https://github.com/ggml-org/llama.cpp/tree/master/tools/server, "timings". Its prompt ends, and its answer
// begins, with the first token.
type llamaTimings struct {
	CacheN              int     `json:"cache_n"`
	PromptN             int     `json:"prompt_n"` // without those from the cache
	PromptMS            Measure `json:"prompt_ms"`
	PromptPerTokenMS    Measure `json:"prompt_per_token_ms"`
	PromptPerSecond     Measure `json:"prompt_per_second"`
	PredictedN          int     `json:"predicted_n"`
	PredictedMS         Measure `json:"predicted_ms"`
	PredictedPerTokenMS Measure `json:"predicted_per_token_ms"`
	PredictedPerSecond  Measure `json:"predicted_per_second"`
}

// Timings are the request's so far, under llama.cpp's names as well where it asked for them.
func (g *Sequences) Timings() *Timings {
	t := g.Usage.timings(g.Request.Draft != 0)
	if g.LlamaTimings {
		t.llamaTimings = llamaTimingsOf(g.Usage, t)
	}
	return t
}

func llamaTimingsOf(u *Usage, t *Timings) *llamaTimings {
	out := &llamaTimings{CacheN: u.PromptTokensDetails.CachedTokens, PredictedN: u.CompletionTokens}
	out.PromptN = u.PromptTokens - out.CacheN
	out.PromptMS, out.PredictedMS = max(t.TimeToFirstTokenMS-t.QueueTimeMS, 0), t.GenerationTimeMS
	out.PromptPerTokenMS, out.PromptPerSecond = rates(out.PromptMS, out.PromptN)
	out.PredictedPerTokenMS, out.PredictedPerSecond = rates(out.PredictedMS, out.PredictedN)
	return out
}

// rates of n tokens in so many milliseconds; null where nothing was done, or no time passed.
func rates(ms Measure, n int) (perToken, perSecond Measure) {
	if n == 0 {
		return unknown, unknown
	}
	return ms / Measure(n), 1000 * Measure(n) / ms
}
