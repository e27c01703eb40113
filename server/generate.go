package server

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/internal/tracing"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/tokenizer"
)

// delta is what one event of the engine adds to a choice.
type delta struct {
	index  int
	text   string
	thinks bool // the token is one of reasoning
	loops  int  // of the token; 0 where the event brought none
	lens   *lensToken
	tokens []scored // with their probabilities, where asked for: the event's, after an echo's
	prompt []scored // of the choice's first delta, for prompt_logprobs
	finish string   // "stop", "tool_calls" or "length" on the last delta of the choice
	reason any      // stop string or stop id
	stats  *loopctl.Stats
	err    error // the choice, and with it the request, has failed

	reasoning string     // of a chat, apart from text
	calls     []toolCall // of a chat, apart from text
}

// generation is one request under way: a sequence for each choice, whose deltas come out of one channel.
type generation struct {
	target  target
	params  *params
	id      string
	created int64
	arrived time.Time
	tenant  string // separates prefix caches
	tally   tally
	names   tokenNames
	offsets []int // of each choice: characters of text before the next token

	work
	deltas chan delta
	wg     sync.WaitGroup
}

// start submits n sequences for each prompt. The caller must close the generation.
func (s *Server) start(c *gin.Context, t target, p *params, prompts []prompt) (*generation, error) {
	if err := p.checkLogprobs(prompts, t.Model); err != nil {
		return nil, err
	}
	g := &generation{
		target: t, params: p,
		created: time.Now().Unix(), arrived: c.GetTime(keyArrived),
		deltas: make(chan delta),
		tally:  tally{prompts: len(prompts)}, tenant: s.tenant(c),
		names: tokenNames{tokenizer: t.Tokenizer, asIDs: p.Logprobs.AsIDs, skip: p.SkipSpecial},
	}
	var requests []*loopctl.Request
	var err error
	g.work, err = s.submit(c, t, func(ctx context.Context) (_ []*loopctl.Request, err error) {
		requests, err = g.requests(ctx, c.GetString(keyRequestID), prompts)
		return requests, err
	})
	if err != nil {
		return nil, err
	}
	g.offsets = make([]int, len(g.streams))
	for i, stream := range g.streams {
		f := &follower{
			index: i, stream: stream, params: p, model: t.Model, tokens: s.metrics.Tokens(t.Name, p.Depth.Exit.Kind.String()),
			decoder: t.Tokenizer.NewDecoder(p.SkipSpecial),
			stops:   tokenizer.NewStopMatcher(p.Stop), names: tokenNames{tokenizer: t.Tokenizer, asIDs: p.Logprobs.AsIDs},
		}
		if p.Answer.thinks || p.Answer.calls != noCalls {
			f.splitter = newSplitter(p.Answer)
			if p.SkipSpecial {
				f.marks = t.chat.marks
			}
		}
		if scorer, ok := requests[i].Scorer.(*promptScorer); ok {
			f.scorer = scorer
		}
		if p.Echo {
			f.echo = prompts[i/p.perPrompt()].text
		}
		g.wg.Go(func() { f.run(g.ctx, g.deltas) })
	}
	return g, nil
}

func (g *generation) requests(ctx context.Context, id string, prompts []prompt) ([]*loopctl.Request, error) {
	p := g.params
	var stop []int32
	if !p.IgnoreEOS {
		stop = slices.Clone(g.target.StopIDs)
	}
	stop = append(stop, p.StopIDs...)
	var out []*loopctl.Request
	for i, prompt := range prompts {
		g.tally.promptTokens += len(prompt.ids)
		if p.Echo && prompt.text == "" {
			text, err := g.target.Tokenizer.Decode(prompt.ids, p.SkipSpecial)
			if err != nil {
				return nil, api.Bad("prompt", api.CodeValue, "prompt cannot be echoed: %s: leave echo out", err.Error())
			}
			prompts[i].text = text
		}
		for j := range p.perPrompt() {
			picker, err := p.picker(prompt.ids, stop, j)
			if err != nil {
				return nil, err
			}
			r := &loopctl.Request{
				Context: ctx, ID: fmt.Sprintf("%s/%d", id, i*p.perPrompt()+j),
				Prompt: prompt.ids, MaxTokens: p.Depth.tokensWithin(prompt.maxTokens, g.target.Model),
				Seed: p.stateSeed(), Sampler: picker, StopIDs: stop, Arrived: g.arrived,
				Timeline: tracing.Sampled(ctx),
			}
			if p.scoresPrompt() {
				r.Scorer = newPromptScorer(prompt.ids, p.Logprobs)
			}
			p.Depth.apply(r)
			p.Schedule.apply(r, g.tenant)
			out = append(out, r)
		}
	}
	return out, nil
}

// next waits for a delta of any choice. Its error is why the request must end.
func (g *generation) next() (delta, error) {
	select {
	case d := <-g.deltas:
		if d.err == nil {
			g.tally.add(d, len(g.streams))
		}
		return d, d.err
	case <-g.ctx.Done():
		return delta{}, context.Cause(g.ctx)
	}
}

// collect waits for all deltas and hands them to take. The last one of a choice has its whole text, the others have none.
func (g *generation) collect(take func(delta)) error {
	texts := make([][]byte, len(g.streams))
	for open := len(g.streams); open > 0; {
		d, err := g.next()
		if err != nil {
			return err
		}
		texts[d.index] = append(texts[d.index], d.text...)
		d.text = ""
		if d.finish != "" {
			d.text = string(texts[d.index])
			open--
		}
		take(d)
	}
	return nil
}

func (g *generation) usage() *usage { return g.tally.usage(len(g.streams), g.params.Depth.Applied) }

func (g *generation) timings() *timings { return g.tally.timings(g.params.Depth.Draft > 0) }

// close ends what still runs and waits for it.
func (g *generation) close() {
	g.cancel()
	for _, s := range g.streams {
		s.Cancel()
	}
	g.wg.Wait()
	g.done()
}

// tokenObserver is told the loops of each token as it is delivered.
type tokenObserver interface{ Observe(loops int) }

// follower turns one stream's events into deltas.
type follower struct {
	index   int
	stream  *loopctl.Stream
	params  *params
	model   *Model
	tokens  tokenObserver
	decoder Decoder
	stops   *tokenizer.StopMatcher
	names   tokenNames // of the lens
	loops   int        // so far
	began   bool
	scorer  *promptScorer
	echo    string

	splitter *splitter        // nil: the answer is all content
	marks    map[int32]string // special tokens that it must see and the decoder leaves out
}

func (f *follower) run(ctx context.Context, out chan<- delta) {
	for {
		var d delta
		if e, err := nextEvent(ctx, f.stream); err != nil {
			d.err = err
		} else {
			d = f.delta(ctx, e)
			f.split(&d)
			f.begin(&d)
		}
		d.index = f.index
		select {
		case out <- d:
		case <-ctx.Done():
			return
		}
		if d.finish != "" || d.err != nil {
			return
		}
	}
}

// begin puts what is known of the prompt before the first delta.
func (f *follower) begin(d *delta) {
	if f.began {
		return
	}
	f.began = true
	d.text = f.echo + d.text
	if f.scorer == nil {
		return
	}
	if f.params.Echo {
		d.tokens = append(f.scorer.tokens, d.tokens...)
	}
	if f.params.Logprobs.Prompt {
		d.prompt = f.scorer.tokens
	}
}

// split takes a delta's text apart.
func (f *follower) split(d *delta) {
	if f.splitter == nil {
		return
	}
	d.thinks = f.splitter.state == thinking
	p := f.splitter.push(d.text, d.finish != "")
	d.text, d.reasoning, d.calls = p.content, p.reasoning, p.calls
	d.thinks = d.thinks || f.splitter.state == thinking
	if d.finish == "stop" && f.splitter.calls > 0 {
		d.finish = "tool_calls"
	}
}

func (f *follower) delta(ctx context.Context, e loopctl.Event) delta {
	d := delta{stats: e.Stats}
	if e.Token.ID < 0 { // nothing was to be generated
		d.finish = e.Finish.String()
		return d
	}
	d.loops = e.Loops
	d.tokens = []scored{{id: e.Token.ID, logprob: e.Token.Logprob, top: e.Token.Top}}
	f.tokens.Observe(e.Loops)
	if len(e.Lens) > 0 {
		d.lens = lensOf(e, &f.names)
	}
	f.loops += e.Loops
	if e.Finish == loopctl.FinishNone && f.params.Depth.spent(f.loops) {
		f.stream.Cancel()
		e.Finish, d.stats = loopctl.FinishLength, f.lastStats(ctx)
	}
	stopID := e.Finish == loopctl.FinishStop
	piece := ""
	if !stopID || f.params.IncludeStop {
		piece = f.decoder.Push(e.Token.ID) + f.marks[e.Token.ID]
	}
	if e.Finish != loopctl.FinishNone {
		piece += f.decoder.Flush()
		d.finish = e.Finish.String()
	}
	var hit string
	if d.text, hit, _ = f.stops.Push(piece); hit != "" {
		if f.params.IncludeStop {
			d.text += hit
		}
		d.finish, d.reason = "stop", hit
		if d.stats == nil {
			f.stream.Cancel()
			d.stats = f.lastStats(ctx)
		}
		return d
	}
	if d.finish != "" {
		d.text += f.stops.Flush()
	}
	if stopID && !slices.Contains(f.model.StopIDs, e.Token.ID) {
		d.reason = e.Token.ID
	}
	return d
}

// lastStats reads a cancelled stream to its end, which comes within a tick.
func (f *follower) lastStats(ctx context.Context) *loopctl.Stats {
	for {
		e, err := f.stream.Next(ctx)
		if err != nil {
			return nil
		}
		if e.Finish != loopctl.FinishNone {
			return e.Stats
		}
	}
}
