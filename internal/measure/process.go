package measure

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/sampler"
)

// Generator runs requests; *loopctl.Controller is one.
type Generator interface {
	Submit(reqs ...*loopctl.Request) ([]*loopctl.Stream, error)
}

// Tokenizer is text to ids and back.
type Tokenizer interface {
	Encode(text string, addSpecial bool) ([]int32, error)
	Decode(ids []int32, skipSpecial bool) (string, error)
}

// Process is a Client of a generator in this process, without HTTP. Its requests stay out of the prefix cache.
type Process struct {
	Generator Generator
	Tokenizer Tokenizer // for prompts that are texts, whose answers StopIDs end; nil where all are ids
	StopIDs   []int32
	Context   int // tokens that a text and its answer have room for
	Priority  int // of its requests; a higher number goes last
	// Blocks are the engine's block calls so far; nil where nobody counts.
	Blocks func() loopctl.Blocks
}

// Do implements Client.
func (p *Process) Do(ctx context.Context, a Ask) (*Reply, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a reader that goes away takes its sequence with it
	req, err := p.request(ctx, &a)
	if err != nil {
		return nil, err
	}
	r := &Reply{Start: time.Now(), Stamps: make([]time.Duration, 0, req.MaxTokens)}
	req.Arrived = r.Start
	streams, err := p.Generator.Submit(req)
	if err != nil {
		return nil, err
	}
	var ids []int32
	for r.Finish == "" {
		e, err := streams[0].Next(ctx)
		if err := cmp.Or(err, e.Failure(ctx)); err != nil {
			return nil, err
		}
		r.event(&e)
		if e.Finish != loopctl.FinishStop { // whose id is not part of the text
			ids = append(ids, e.Token.ID)
		}
	}
	r.TTFT, r.E2E = r.Stamps[0], r.Stamps[len(r.Stamps)-1]
	if a.IDs == nil {
		r.Text, err = p.Tokenizer.Decode(ids, true)
	}
	return r, err
}

func (p *Process) request(ctx context.Context, a *Ask) (*loopctl.Request, error) {
	choose, err := sampler.New(sampler.Params{Temperature: a.Temperature, Seed: uint64(a.Seed)})
	if err != nil {
		return nil, err
	}
	req := &loopctl.Request{
		Context: ctx, ID: "measure", Prompt: a.IDs, MaxTokens: a.MaxTokens, Loops: a.Loops, Exit: a.Exit, Draft: a.Draft,
		Priority: p.Priority, NoCache: true, Seed: uint64(a.Seed), Sampler: choose,
	}
	if !a.IgnoreEOS {
		req.StopIDs = p.StopIDs
	}
	switch {
	case a.Messages != nil || a.Answer != "":
		return nil, errors.New("chats and the log-likelihood of answers can be asked for over HTTP only")
	case a.IDs == nil:
		if req.Prompt, err = p.Tokenizer.Encode(a.Prompt, true); err != nil {
			return nil, err
		}
		req.MaxTokens = max(1, min(a.MaxTokens, p.Context-len(req.Prompt)))
	}
	return req, nil
}

func (r *Reply) event(e *loopctl.Event) {
	at := e.At
	if at.IsZero() { // a generator that keeps no time
		at = time.Now()
	}
	r.Stamps = append(r.Stamps, at.Sub(r.Start))
	r.Tokens++
	r.Loops += e.Loops
	if e.Finish != loopctl.FinishNone {
		r.Finish = e.Finish.String()
	}
	if e.Stats != nil {
		r.Drafted, r.Accepted = e.Stats.Drafted, e.Stats.Accepted
	}
}
