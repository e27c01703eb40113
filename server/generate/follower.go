package generate

import (
	"context"
	"slices"

	"github.com/loopserve/loopserve/loopctl"
)

// Parser takes an answer's text apart while it comes. Text is all content where there is none.
type Parser interface {
	// Push takes text, of which nothing comes after the last.
	Push(text string, last bool) Part
}

// Part is what a stretch of an answer's text is made of.
type Part struct {
	Content, Reasoning string
	Calls              []ToolCall
	Thinks             bool // some of the text was inside the reasoning
}

// ToolCall is OpenAI's. In a stream, Index says to which call a piece belongs; the first has ID, type and name.
type ToolCall struct {
	Index    *int     `json:"index,omitempty"`
	ID       string   `json:"id,omitempty"`
	Type     string   `json:"type,omitempty"`
	Function Function `json:"function"`
}

// Function is a call's.
type Function struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"` // JSON, as the model wrote it
}

// follower turns one stream's events into deltas.
type follower struct {
	plan   *Plan
	index  int
	stream *loopctl.Stream
	prompt *Prompt
	voice  *voice
	names  tokenNames // of the lens
	began  bool
	scorer *promptScorer

	parser Parser
	called bool // it found calls
}

// next waits for the next delta.
func (f *follower) next(ctx context.Context) Delta {
	e, err := nextEvent(ctx, f.stream)
	if err != nil {
		return Delta{Index: f.index, err: err}
	}
	d := f.delta(e)
	d.Index = f.index
	f.parse(&d)
	f.begin(&d)
	return d
}

// run makes deltas until the stream ends or nobody wants them any more, and returns the loops of the one that nobody took.
func (f *follower) run(ctx context.Context, out chan<- Delta) (missed int) {
	for {
		d := f.next(ctx)
		select {
		case out <- d:
		case <-ctx.Done():
			return d.Loops
		}
		if d.Finish != "" || d.err != nil {
			return 0
		}
	}
}

// begin puts what is known of the prompt before the first delta.
func (f *follower) begin(d *Delta) {
	if f.began {
		return
	}
	f.began, d.first = true, true
	if f.plan.Echo {
		d.Text = f.prompt.Text + d.Text
	}
	if f.scorer == nil {
		return
	}
	if f.plan.Echo {
		f.plan.place(f.scorer.tokens, f.prompt.Text)
		d.tokens = append(f.scorer.tokens, d.tokens...)
	}
	if f.plan.Logprobs.Prompt {
		d.prompt = f.scorer.tokens
	}
}

// parse takes a delta's text apart.
func (f *follower) parse(d *Delta) {
	if f.parser == nil {
		return
	}
	p := f.parser.Push(d.Text, d.Finish != "")
	d.Text, d.Reasoning, d.Calls, d.Thinks = p.Content, p.Reasoning, p.Calls, p.Thinks
	f.called = f.called || len(p.Calls) > 0
	if d.Finish == "stop" && f.called {
		d.Finish = "tool_calls"
	}
}

func (f *follower) delta(e loopctl.Event) Delta {
	d := Delta{Stats: e.Stats}
	if e.Finish != loopctl.FinishNone {
		d.Finish = e.Finish.String()
	}
	if e.Token.ID < 0 { // nothing was to be generated
		return d
	}
	d.Loops, d.id = e.Loops, e.Token.ID
	at := f.voice.end()
	if len(e.Lens) > 0 {
		d.Lens = lensOf(e, f.names)
	}
	var hit string
	d.Text, hit = f.voice.say(e.Token.ID, e.Finish)
	d.tokens = []scored{{id: e.Token.ID, logprob: e.Token.Logprob, top: e.Token.Top, chars: f.voice.end() - at}}
	switch {
	case hit != "":
		d.Finish, d.Reason = "stop", hit
	case e.Finish == loopctl.FinishStop && (f.plan.IgnoreEOS || !slices.Contains(f.plan.Model.StopIDs, e.Token.ID)):
		d.Reason = e.Token.ID
	}
	return d
}

// ends makes what ends a sequence beside its stop ids and its length: a stop string, or a budget of loops that may not do
// for one more token. It is nil where neither was asked for.
func (p *Plan) ends(prompt []int32) func(id int32, loops int, finish loopctl.FinishReason) loopctl.FinishReason {
	if len(p.Stop) == 0 && p.Budget == 0 {
		return nil
	}
	v, all := p.voice(prompt), 0
	return func(id int32, loops int, finish loopctl.FinishReason) loopctl.FinishReason {
		if all += loops; finish == loopctl.FinishNone && p.spent(all) {
			finish = loopctl.FinishLength
		}
		if _, hit := v.say(id, finish); hit != "" {
			finish = loopctl.FinishStop
		}
		return finish
	}
}
