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

// ToolCall is OpenAI's. Index is of streams.
type ToolCall struct {
	Index    *int     `json:"index,omitempty"`
	ID       string   `json:"id"`
	Type     string   `json:"type"`
	Function Function `json:"function"`
}

// Function is a call's.
type Function struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"` // JSON, as the model wrote it
}

// follower turns one stream's events into deltas.
type follower struct {
	plan    *Plan
	index   int
	stream  *loopctl.Stream
	tokens  TokenObserver
	decoder Decoder
	stops   *StopMatcher
	names   tokenNames // of the lens
	loops   int        // so far
	began   bool
	scorer  *promptScorer
	echo    string

	parser Parser
	called bool             // it found calls
	marks  map[int32]string // special tokens that it must see and the decoder leaves out
}

func (f *follower) run(ctx context.Context, out chan<- Delta) {
	for {
		var d Delta
		if e, err := nextEvent(ctx, f.stream); err != nil {
			d.err = err
		} else {
			d = f.delta(ctx, e)
			f.parse(&d)
			f.begin(&d)
		}
		d.Index = f.index
		select {
		case out <- d:
		case <-ctx.Done():
			return
		}
		if d.Finish != "" || d.err != nil {
			return
		}
	}
}

// begin puts what is known of the prompt before the first delta.
func (f *follower) begin(d *Delta) {
	if f.began {
		return
	}
	f.began = true
	d.Text = f.echo + d.Text
	if f.scorer == nil {
		return
	}
	if f.plan.Echo {
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
	d.Text, d.Reasoning, d.Calls, d.thinks = p.Content, p.Reasoning, p.Calls, p.Thinks
	f.called = f.called || len(p.Calls) > 0
	if d.Finish == "stop" && f.called {
		d.Finish = "tool_calls"
	}
}

func (f *follower) delta(ctx context.Context, e loopctl.Event) Delta {
	d := Delta{Stats: e.Stats}
	if e.Token.ID < 0 { // nothing was to be generated
		d.Finish = e.Finish.String()
		return d
	}
	d.Loops = e.Loops
	d.tokens = []scored{{id: e.Token.ID, logprob: e.Token.Logprob, top: e.Token.Top}}
	f.tokens.Observe(e.Loops)
	if len(e.Lens) > 0 {
		d.Lens = lensOf(e, f.names)
	}
	f.loops += e.Loops
	if e.Finish == loopctl.FinishNone && f.plan.spent(f.loops) {
		f.stream.Cancel()
		e.Finish, d.Stats = loopctl.FinishLength, f.lastStats(ctx)
	}
	stopID := e.Finish == loopctl.FinishStop
	piece := ""
	if !stopID || f.plan.IncludeStop {
		piece = f.decoder.Push(e.Token.ID) + f.marks[e.Token.ID]
	}
	if e.Finish != loopctl.FinishNone {
		piece += f.decoder.Flush()
		d.Finish = e.Finish.String()
	}
	var hit string
	if d.Text, hit = f.stops.Push(piece); hit != "" {
		if f.plan.IncludeStop {
			d.Text += hit
		}
		d.Finish, d.Reason = "stop", hit
		if d.Stats == nil {
			f.stream.Cancel()
			d.Stats = f.lastStats(ctx)
		}
		return d
	}
	if d.Finish != "" {
		d.Text += f.stops.Flush()
	}
	if stopID && !slices.Contains(f.plan.Model.StopIDs, e.Token.ID) {
		d.Reason = e.Token.ID
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
