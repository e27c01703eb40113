package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Evaluation says what to ask.
type Evaluation struct {
	Problems    []Problem
	Depths      []Depth
	Concurrency int  // problems asked at one time while counting
	Timed       int  // problems asked one after another for latencies
	MaxTokens   int  // default: the longest answer's bytes + 4
	Likelihood  bool // score the answers' log-likelihood instead of generating
	Progress    func(done, total int)
}

// Curve is what a depth buys: accuracy, loops and latency at each depth. GET /v1/depth/curve answers with one.
type Curve struct {
	Object      string         `json:"object"` // "depth.curve"
	Model       string         `json:"model"`
	Problems    int            `json:"problems"`
	Date        string         `json:"date"`
	Points      []*DepthPoint  `json:"points"`
	Recommended *Advice        `json:"recommended"` // null where no fixed depth was asked
	Drafts      []DraftOutcome `json:"drafts,omitempty"`

	// Before, Looped and After are the layers of prelude, block and coda; all 0 where nobody knows them.
	Before, Looped, After int `json:"-"`
}

// DepthPoint is one depth. Latencies are null where none was measured.
type DepthPoint struct {
	Depth         `json:"-"`
	Loops         int     `json:"loops"`
	ExitPolicy    string  `json:"exit_policy"`
	ExitThreshold float64 `json:"exit_threshold,omitempty"`
	Tally
	Low          float64  `json:"accuracy_low"`
	High         float64  `json:"accuracy_high"` // the 95 % interval
	NatsPerToken *float64 `json:"nats_per_token,omitempty"`
	// TTFT, E2E and PerToken are medians over the timed problems, each alone on the server: to the first token, to the
	// last, and E2E divided by the answer's tokens. In milliseconds.
	TTFT     *float64 `json:"ttft_ms"`
	E2E      *float64 `json:"e2e_ms"`
	PerToken *float64 `json:"ms_per_token"`
	Groups   []Group  `json:"groups"` // in order of first appearance
}

// Tally counts answers.
type Tally struct {
	Total     int     `json:"total"`
	Accuracy  float64 `json:"accuracy"`   // percent
	MeanLoops float64 `json:"mean_loops"` // per token

	correct, tokens, loops int
}

// Group counts the problems of one difficulty.
type Group struct {
	Name string `json:"name"`
	Tally
}

func (t *Tally) add(r *Reply, correct bool) {
	if t.Total++; correct {
		t.correct++
	}
	t.tokens, t.loops = t.tokens+r.Tokens, t.loops+r.Loops
	t.Accuracy, t.MeanLoops = 100*float64(t.correct)/float64(t.Total), ratio(float64(t.loops), float64(t.tokens))
}

// Title is the model with its layers, in the notation of the looped-transformer papers.
func (c *Curve) Title() string {
	if c.Looped == 0 {
		return c.Model
	}
	return fmt.Sprintf("%s (%d + %d⊗L + %d layers)", c.Model, c.Before, c.Looped, c.After)
}

// those are the points that keep takes.
func those(points []*DepthPoint, keep func(*DepthPoint) bool) []*DepthPoint {
	return slices.DeleteFunc(slices.Clone(points), func(p *DepthPoint) bool { return !keep(p) })
}

// Score asks every problem at each depth, and times some of them, each alone on the server. A depth with a draft is compared
// with the first of as many loops. The first failed request ends it.
func Score(ctx context.Context, c Client, e Evaluation) (*Curve, error) {
	replies, alone, err := e.ask(ctx, c)
	if err != nil {
		return nil, err
	}
	out := &Curve{Object: "depth.curve", Problems: len(e.Problems), Date: now()}
	for i, d := range e.Depths {
		if d.Draft != 0 {
			plain := slices.Index(e.Depths, Depth{Loops: d.Loops})
			out.Drafts = append(out.Drafts, e.compare(d, replies[i], replies[plain], alone[i], alone[plain]))
			continue
		}
		p := e.count(d, replies[i])
		if timed := alone[i]; len(timed) > 0 {
			p.TTFT, p.E2E, p.PerToken = new(spread(timed, ttft).P50), new(spread(timed, e2e).P50), new(spread(timed, perToken).P50)
		}
		out.Points = append(out.Points, p)
	}
	return out, nil
}

// ask asks every problem at each depth; then some of them alone, the depths in turn, so that a machine that becomes slower
// meanwhile is the same to all. Both results are by depth.
func (e Evaluation) ask(ctx context.Context, c Client) (replies, alone [][]*Reply, err error) {
	if len(e.Depths) == 0 || len(e.Problems) == 0 {
		return nil, nil, errors.New("nothing to ask: needs depths and problems")
	}
	for _, d := range e.Depths {
		if d.Draft != 0 && !slices.Contains(e.Depths, Depth{Loops: d.Loops}) {
			return nil, nil, fmt.Errorf("drafts at %d loops have nothing to be compared with: ask without, too", d.Loops)
		}
	}
	e.Concurrency, e.Timed = max(1, e.Concurrency), min(e.Timed, len(e.Problems))
	if e.Likelihood {
		e.Timed = 0
	}
	if e.MaxTokens <= 0 {
		for _, p := range e.Problems {
			e.MaxTokens = max(e.MaxTokens, len(p.Answer)+4)
		}
	}
	done, total := 0, len(e.Depths)*(len(e.Problems)+e.Timed)
	ask := func(d Depth, problems []Problem, clients int) ([]*Reply, error) {
		out, next := make([]*Reply, len(problems)), 0
		err := drive(ctx, c, clients, func(int, int) (*Ask, func(*Reply)) {
			if next == len(out) {
				return nil, nil
			}
			at := next
			next++
			a := &Ask{Depth: d, Prompt: problems[at].Prompt, MaxTokens: e.MaxTokens}
			if e.Likelihood {
				a.Answer = problems[at].Answer
			}
			return a, func(r *Reply) {
				out[at] = r
				if done++; e.Progress != nil {
					e.Progress(done, total)
				}
			}
		})
		if err != nil {
			err = fmt.Errorf("at %s loops: %w", d.Name(), err)
		}
		return out, err
	}
	replies, alone = make([][]*Reply, len(e.Depths)), make([][]*Reply, len(e.Depths))
	for i, d := range e.Depths {
		if replies[i], err = ask(d, e.Problems, e.Concurrency); err != nil {
			return nil, nil, err
		}
	}
	timed := Some(e.Problems, e.Timed)[:e.Timed]
	for n := range timed {
		for i := range e.Depths {
			at := (n + i) % len(e.Depths) // whoever comes later finds warmer caches
			one, err := ask(e.Depths[at], timed[n:n+1], 1)
			if err != nil {
				return nil, nil, err
			}
			alone[at] = append(alone[at], one...)
		}
	}
	return replies, alone, nil
}

func (e *Evaluation) count(d Depth, replies []*Reply) *DepthPoint {
	p := &DepthPoint{Depth: d, Loops: d.Loops, ExitPolicy: d.Exit.Kind.String(), ExitThreshold: d.Exit.Threshold}
	scored, logprob := 0, 0.0
	for i, problem := range e.Problems {
		at := slices.IndexFunc(p.Groups, func(g Group) bool { return g.Name == problem.Group })
		if at < 0 {
			at = len(p.Groups)
			p.Groups = append(p.Groups, Group{Name: problem.Group})
		}
		r := replies[i]
		correct := r.Greedy
		if !e.Likelihood {
			correct = answerOf(r) == problem.Answer
		}
		p.add(r, correct)
		p.Groups[at].add(r, correct)
		scored, logprob = scored+r.Scored, logprob+r.Logprob
	}
	p.Low, p.High = wilson(p.correct, p.Total)
	if p.tokens == 0 && !d.policy() {
		p.MeanLoops = float64(d.Loops)
	}
	if scored > 0 {
		p.NatsPerToken = new(-logprob / float64(scored))
	}
	return p
}

// DraftOutcome is what drafting at a depth did, against the same problems without.
type DraftOutcome struct {
	Draft     int     `json:"draft_loops"`
	Loops     int     `json:"loops"`
	Problems  int     `json:"problems"`
	Different int     `json:"different"` // answers that were not the same: must be 0
	Example   string  `json:"example,omitempty"`
	Drafted   int     `json:"drafted"`
	Accepted  int     `json:"accepted"`
	Plain     float64 `json:"plain_ms_per_token"` // medians, in turns
	Drafting  float64 `json:"drafting_ms_per_token"`
}

// Acceptance is in percent.
func (d *DraftOutcome) Acceptance() float64 {
	return 100 * float64(d.Accepted) / float64(max(d.Drafted, 1))
}

// Word is the draft as it is asked for.
func (d *DraftOutcome) Word() string { return draftWord(d.Draft) }

// SpeedUp is how many times faster a token came; below 1 it came later.
func (d *DraftOutcome) SpeedUp() float64 { return ratio(d.Plain, d.Drafting) }

// compare holds a draft's replies against those without, each with what was timed.
func (e *Evaluation) compare(d Depth, drafted, plain, timed, timedPlain []*Reply) DraftOutcome {
	out := DraftOutcome{Draft: d.Draft, Loops: d.Loops, Problems: len(e.Problems), Plain: spread(timedPlain, perToken).P50, Drafting: spread(timed, perToken).P50}
	for i, got := range drafted {
		want := plain[i]
		out.Drafted, out.Accepted = out.Drafted+got.Drafted, out.Accepted+got.Accepted
		if answerOf(got) == answerOf(want) && got.Tokens == want.Tokens {
			continue
		}
		if out.Different++; out.Different == 1 {
			out.Example = fmt.Sprintf("%q: %q with a draft, %q without", e.Problems[i].Prompt, answerOf(got), answerOf(want))
		}
	}
	return out
}

// answerOf is the text without white space around it, which a tokenizer may put there.
func answerOf(r *Reply) string { return strings.TrimSpace(r.Text) }
