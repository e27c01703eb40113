package server

import (
	"context"
	"strings"
	"time"

	"github.com/loopserve/loopserve/internal/evaluate"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/sampler"
	"github.com/loopserve/loopserve/server/generate"
)

// insideAsker is an evaluate.Asker over the model's own generator, without HTTP.
type insideAsker struct{ model *generate.Model }

// Ask answers greedily, as POST /v1/completions at temperature 0 does.
func (a *insideAsker) Ask(ctx context.Context, s evaluate.Setting, p evaluate.Problem, maxTokens int) (out evaluate.Answer, err error) {
	m := a.model
	prompt, err := m.Tokenizer.Encode(p.Prompt, true)
	if err != nil {
		return out, err
	}
	picker, err := sampler.New(sampler.Params{})
	if err != nil {
		return out, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start := time.Now()
	streams, err := m.Generator.Submit(&loopctl.Request{
		Context: ctx, ID: "curve", Prompt: prompt, MaxTokens: max(1, min(maxTokens, m.Context-len(prompt))), Loops: s.Loops, Exit: s.Exit,
		Priority: curvePriority, Sampler: picker, StopIDs: m.StopIDs, NoCache: true,
	})
	if err != nil {
		return out, err
	}
	var ids []int32
	for {
		e, err := generate.NextEvent(ctx, streams[0])
		if err != nil {
			return out, err
		}
		if out.Tokens++; out.Tokens == 1 {
			out.TTFT = time.Since(start)
		}
		out.Loops += e.Loops
		if e.Finish != loopctl.FinishStop { // whose id is no part of the text
			ids = append(ids, e.Token.ID)
		}
		if e.Finish != loopctl.FinishNone {
			break
		}
	}
	out.Time = time.Since(start)
	text, err := m.Tokenizer.Decode(ids, true)
	out.Text = strings.TrimSpace(text)
	return out, err
}
