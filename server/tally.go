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
	maxLoops              int
	stats                 []*loopctl.Stats // of the choices that have ended
}

func (t *tally) add(d delta) {
	if d.loops > 0 {
		t.tokens++
		t.loops += d.loops
		t.maxLoops = max(t.maxLoops, d.loops)
	}
	if d.stats != nil {
		t.stats = append(t.stats, d.stats)
	}
}

// usage is OpenAI's, with the loops beside. The prompt's are known only of choices that have ended, so they are there
// in the last usage of a stream, not before.
func (t *tally) usage(choices int, applied int) *usage {
	u := &usage{PromptTokens: t.promptTokens, CompletionTokens: t.tokens, TotalTokens: t.promptTokens + t.tokens}
	u.CompletionTokensDetails.Loops = loopUsage{Total: t.loops, Mean: mean(t.loops, t.tokens), Max: t.maxLoops}
	if len(t.stats) < choices {
		return u
	}
	p := &loopUsage{}
	rows := 0
	for _, s := range t.stats {
		u.CompletionTokensDetails.Loops.Saved += s.LoopsSaved
		p.Total += s.PromptLoops
		rows += s.PromptTokens
	}
	p.Mean = mean(p.Total, rows)
	if p.Total > 0 {
		p.Max = applied
	}
	u.PromptTokensDetails.Loops = p
	return u
}

func mean(total, n int) float64 {
	if n == 0 {
		return 0
	}
	return float64(total) / float64(n)
}

// timings of all choices together: from the first arrival to the last end.
func (t *tally) timings() *timings {
	var scheduled, first, finished time.Time
	var queue, decoding time.Duration
	queued, gaps := 0, 0
	for _, s := range t.stats {
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
	out := &timings{}
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
