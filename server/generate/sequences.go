package generate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/loopserve/loopserve/internal/tracing"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
)

// Host is the server that a request came to.
type Host interface {
	// Enter counts a generating request in, with its sequences and the loop-steps that they come to at worst. Its context ends
	// with ctx and with the server; leave counts it out, with the loop-steps that it used.
	Enter(ctx context.Context, cost int64, sequences int) (_ context.Context, leave func(used int64), err error)
}

// ErrOverBudget says that a request costs more than its sender ever has.
var ErrOverBudget = errors.New("over budget")

// Delta is what one event of the engine adds to a choice.
type Delta struct {
	Index     int
	Text      string
	Reasoning string     // of a chat, apart from the text
	Calls     []ToolCall // of a chat, apart from the text
	Loops     int        // of the token; 0 where the event brought none
	Lens      *LensToken
	Finish    string // "stop", "tool_calls" or "length" on the last delta of the choice
	Reason    any    // stop string or stop id
	Stats     *loopctl.Stats
	Thinks    bool // the token is one of reasoning, shown or not

	id     int32    // of the token
	first  bool     // of its choice
	tokens []scored // with their probabilities, where asked for: the event's, after an echo's
	prompt []scored // of the choice's first delta, for prompt_logprobs
	err    error    // the choice, and with it the request, has failed
}

// Silent says whether the delta tells nothing of the answer.
func (d *Delta) Silent() bool {
	return d.Text == "" && d.Reasoning == "" && len(d.Calls) == 0 && d.Finish == ""
}

// Sequences are one request under way: a sequence for each choice, whose deltas Next gives. They belong to the handler that
// started them, which must close them.
type Sequences struct {
	*Plan

	ID      string // of the answer
	Created int64  // Unix seconds
	Usage   *Usage

	ctx     context.Context //nolint:containedctx // lives as long as the handler
	cancel  context.CancelFunc
	leave   func(used int64)
	streams []*loopctl.Stream
	prompts []Prompt
	alone   *follower    // of the one sequence: whoever calls Next follows it, so that a token wakes one goroutine
	deltas  chan Delta   // of several, each followed by a goroutine
	missed  atomic.Int64 // loops of deltas that nobody took
	wg      sync.WaitGroup
}

// leastDefault is the fewest tokens that a request without max_tokens is given room for.
const leastDefault = 16

// Start submits the plan's sequences for each prompt.
func Start(ctx context.Context, host Host, call Call, p *Plan, prompts []Prompt) (*Sequences, error) {
	g, err := p.start(ctx, host, call, prompts)
	// Nobody asked for so many tokens: what the KV memory cannot hold, or a key's budget, is no reason to refuse a chat.
	for (errors.Is(err, loopctl.ErrPagesExhausted) || errors.Is(err, ErrOverBudget)) && !p.maxGiven && p.MaxTokens > leastDefault {
		p.MaxTokens = max(p.MaxTokens/2, leastDefault)
		for i := range prompts {
			prompts[i].MaxTokens = min(prompts[i].MaxTokens, p.MaxTokens)
		}
		g, err = p.start(ctx, host, call, prompts)
	}
	return g, err
}

func (p *Plan) start(ctx context.Context, host Host, call Call, prompts []Prompt) (*Sequences, error) {
	if err := p.checkLogprobs(prompts); err != nil {
		return nil, err
	}
	if err := p.echoed(prompts); err != nil {
		return nil, err
	}
	g := &Sequences{Plan: p, Created: time.Now().Unix(), prompts: prompts, Usage: newUsage(p, prompts)}
	var err error
	if g.ctx, g.leave, err = host.Enter(ctx, p.cost(prompts), len(prompts)*p.perPrompt()); err != nil {
		return nil, err
	}
	g.ctx, g.cancel = context.WithCancel(g.ctx)
	defer func() { // also when Submit panics: the request must not count as open for ever
		if g.streams == nil {
			g.Close()
		}
	}()
	requests, err := p.requests(g.ctx, call.ID, prompts)
	if err != nil {
		return nil, err
	}
	if g.streams, err = p.Model.Generator.Submit(requests...); err != nil {
		return nil, err
	}
	g.deltas = make(chan Delta, len(g.streams))
	for i, stream := range g.streams {
		prompt := &prompts[i/p.perPrompt()]
		f := &follower{plan: p, index: i, stream: stream, prompt: prompt, voice: p.voice(prompt.IDs), names: p.names()}
		if p.Parser != nil {
			f.parser = p.Parser()
		}
		f.scorer, _ = requests[i].Scorer.(*promptScorer)
		if len(g.streams) == 1 {
			g.alone = f
			break
		}
		g.wg.Go(func() { g.missed.Add(int64(f.run(g.ctx, g.deltas))) })
	}
	return g, nil
}

// echoed finds the text of prompts that were sent as ids, where it is to be shown.
func (p *Plan) echoed(prompts []Prompt) error {
	for i, prompt := range prompts {
		if !p.Echo || prompt.Text != "" {
			continue
		}
		text, err := p.Model.Tokenizer.Decode(prompt.IDs, p.SkipSpecial)
		if err != nil {
			return api.Bad("prompt", api.CodeValue, "prompt cannot be echoed: %s: leave echo out", err.Error())
		}
		prompts[i].Text = text
	}
	return nil
}

// requests are what the engine gets: the plan's own, for each sequence of each prompt.
func (p *Plan) requests(ctx context.Context, id string, prompts []Prompt) ([]*loopctl.Request, error) {
	stop := p.stopIDs()
	var out []*loopctl.Request
	for i, prompt := range prompts {
		for j := range p.perPrompt() {
			r := p.Request
			if p.Seeded {
				r.Seed += uint64(j)
			}
			r.Context, r.ID = ctx, fmt.Sprintf("%s/%d", id, i*p.perPrompt()+j)
			r.Prompt, r.MaxTokens = prompt.IDs, p.tokensWithin(prompt.MaxTokens)
			r.StopIDs, r.Ends, r.Timeline = stop, p.ends(prompt.IDs), tracing.Sampled(ctx)
			out = append(out, &r)
			if p.onLatent != nil {
				r.OnLatent = p.onLatent(i)
				continue
			}
			var err error
			if r.Sampler, err = p.sampler(prompt.IDs, j); err != nil {
				return nil, err
			}
			if p.scoresPrompt() {
				r.Scorer = newPromptScorer(prompt.IDs, p.Logprobs)
			}
		}
	}
	return out, nil
}

// stopIDs are those that end a sequence.
func (p *Plan) stopIDs() []int32 {
	if p.IgnoreEOS {
		return p.StopIDs
	}
	return p.endingIDs()
}

// Len is the number of sequences.
func (g *Sequences) Len() int { return len(g.streams) }

// Next waits for a delta of any choice. Its error is why the request must end.
func (g *Sequences) Next() (Delta, error) {
	var d Delta
	if g.alone != nil {
		d = g.alone.next(g.ctx)
	} else {
		select {
		case d = <-g.deltas:
		case <-g.ctx.Done():
			return Delta{}, context.Cause(g.ctx)
		}
	}
	if d.err == nil {
		g.Usage.Add(d)
	}
	return d, d.err
}

// Ready says whether a delta is there that Next would give at once.
func (g *Sequences) Ready() bool {
	if g.alone != nil {
		return g.alone.stream.Ready()
	}
	return len(g.deltas) > 0
}

// ShownPrompt are a chat's token ids, where return_token_ids asked for them.
func (g *Sequences) ShownPrompt() []int32 {
	if !g.ReturnIDs {
		return nil
	}
	return g.prompts[0].IDs
}

// Collect waits for all deltas and hands them to take. The last one of a choice has its whole text, the others have none.
func (g *Sequences) Collect(take func(Delta)) error {
	texts := make([][]byte, len(g.streams))
	for open := len(g.streams); open > 0; {
		d, err := g.Next()
		if err != nil {
			return err
		}
		texts[d.Index] = append(texts[d.Index], d.Text...)
		d.Text = ""
		if d.Finish != "" {
			d.Text = string(texts[d.Index])
			open--
		}
		take(d)
	}
	return nil
}

// Close ends what still runs and waits for it.
func (g *Sequences) Close() {
	g.cancel()
	for _, s := range g.streams {
		s.Cancel()
	}
	g.wg.Wait()
	if g.streams == nil {
		g.leave(0)
		return
	}
	g.leave((g.Usage.steps() + g.unread()) * g.each())
}

// unread are the loops of tokens that were made and that nobody took, and of one under way for each sequence that has not ended.
func (g *Sequences) unread() int64 {
	loops := int(g.missed.Load())
	for range len(g.deltas) {
		loops += (<-g.deltas).Loops
	}
	for _, s := range g.streams {
		var err error
		for e := (loopctl.Event{}); err == nil && e.Finish == loopctl.FinishNone; loops += e.Loops {
			e, err = s.Next(g.ctx)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			loops += g.Request.Loops
		}
	}
	return int64(loops)
}

var errStreamEnded = errors.New("stream ended without its last event")

// nextEvent waits for a sequence's next event. One that says why the sequence could not go on is an error.
func nextEvent(ctx context.Context, stream *loopctl.Stream) (loopctl.Event, error) {
	e, err := stream.Next(ctx)
	switch {
	case errors.Is(err, io.EOF):
		err = errStreamEnded
	case err == nil:
		err = e.Failure(ctx)
	}
	return e, err
}
