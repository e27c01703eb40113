package server

import (
	"time"

	"github.com/loopserve/loopserve/loopctl"
)

// tally counts what a request's choices have used, as the client saw it: tokens that the engine made after a stop
// string do not count.
type tally struct {
	prompts, promptTokens int
	tokens, loops         int
	reasoning             int // tokens among them
	maxLoops              int
	stats                 []*loopctl.Stats // of the choices that have ended
	cached                int              // prompt tokens from the prefix cache, of each prompt's first choice
}

// add counts a delta of one of sequences choices, numbered prompt by prompt.
func (t *tally) add(d delta, sequences int) {
	if d.loops > 0 {
		t.tokens++
		t.loops += d.loops
		if d.thinks {
			t.reasoning++
		}
		t.maxLoops = max(t.maxLoops, d.loops)
	}
	if d.stats == nil {
		return
	}
	t.stats = append(t.stats, d.stats)
	if perPrompt := sequences / max(t.prompts, 1); perPrompt < 2 || d.index%perPrompt == 0 {
		t.cached += d.stats.CachedTokens // the others find what the first one left, which says nothing
	}
}

// usage is OpenAI's, with the loops beside. The prompt's are known only of choices that have ended, so they are there
// in the last usage of a stream, not before.
func (t *tally) usage(choices int, applied int) *usage {
	u := &usage{PromptTokens: t.promptTokens, CompletionTokens: t.tokens, TotalTokens: t.promptTokens + t.tokens}
	u.CompletionTokensDetails.ReasoningTokens = t.reasoning
	u.CompletionTokensDetails.Loops = loopUsage{Total: t.loops, Mean: mean(t.loops, t.tokens), Max: t.maxLoops}
	if len(t.stats) < choices {
		return u
	}
	p := &loopUsage{}
	rows, deepest := 0, 0
	done := &u.CompletionTokensDetails.Loops
	for _, s := range t.stats {
		done.Saved += s.LoopsSaved
		p.Total += s.PromptLoops
		rows += s.PromptTokens - s.CachedTokens
		granted := s.LoopsGranted
		if granted == 0 { // a generator that does not say
			granted = applied
		}
		if deepest = max(deepest, granted); done.Granted == 0 || granted < done.Granted {
			done.Granted = granted
		}
	}
	p.Mean = mean(p.Total, rows)
	if p.Total > 0 {
		p.Max = deepest
	}
	u.PromptTokensDetails.Loops = p
	u.PromptTokensDetails.CachedTokens = t.cached
	return u
}

func mean(total, n int) float64 {
	if n <= 0 {
		return 0
	}
	return float64(total) / float64(n)
}

// timings of all choices together: from the first arrival to the last end. drafts says that draft_loops was asked for.
func (t *tally) timings(drafts bool) *timings {
	var scheduled, first, finished time.Time
	var queue, decoding time.Duration
	queued, gaps := 0, 0
	out := &timings{}
	if drafts {
		out.Drafted, out.Accepted = new(int), new(int)
	}
	for _, s := range t.stats {
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
	if queued > 0 {
		out.QueueTimeMS = ms(queue / time.Duration(queued))
	}
	if first.IsZero() {
		return out
	}
	out.TimeToFirstTokenMS = ms(first.Sub(t.stats[0].Arrived))
	out.GenerationTimeMS = ms(finished.Sub(first))
	if busy := finished.Sub(scheduled).Seconds(); busy > 0 && !scheduled.IsZero() {
		out.TokensPerSecond = ratio(float64(t.tokens), busy)
		out.LoopsPerSecond = ratio(float64(t.loops), busy)
	}
	if gaps > 0 {
		out.MeanITLMS = ms(decoding / time.Duration(gaps))
		if t.loops > 0 {
			out.MSPerLoop = ratio(*out.MeanITLMS, mean(t.loops, t.tokens))
		}
	}
	return out
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func ms(d time.Duration) *float64 {
	v := float64(d) / float64(time.Millisecond)
	return &v
}

func ratio(a, b float64) *float64 {
	v := a / b
	return &v
}
