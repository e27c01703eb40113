package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Evaluation says what to ask.
type Evaluation struct {
	Problems    []Problem
	Depths      []Depth
	Concurrency int  // problems asked at one time while counting; default 16
	Timed       int  // problems asked one after another for latencies; default 50, none if negative
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
	Points      []DepthPoint   `json:"points"`
	Recommended *Advice        `json:"recommended"` // null where no fixed depth was asked
	Drafts      []DraftOutcome `json:"drafts,omitempty"`

	// Before, Looped and After are the layers of prelude, block and coda; all 0 where nobody knows them.
	Before, Looped, After int `json:"-"`
}

// DepthPoint is one depth. Latencies are null where none was measured.
type DepthPoint struct {
	Depth         Depth    `json:"-"`
	Loops         int      `json:"loops"`
	ExitPolicy    string   `json:"exit_policy"`
	ExitThreshold float64  `json:"exit_threshold,omitempty"`
	Accuracy      float64  `json:"accuracy"` // percent
	Low           float64  `json:"accuracy_low"`
	High          float64  `json:"accuracy_high"` // the 95 % interval
	MeanLoops     float64  `json:"mean_loops"`    // per token
	NatsPerToken  *float64 `json:"nats_per_token,omitempty"`
	// TTFT, E2E and PerToken are medians over the timed problems, each alone on the server: to the first token, to the
	// last, and E2E divided by the answer's tokens. In milliseconds.
	TTFT     *float64 `json:"ttft_ms"`
	E2E      *float64 `json:"e2e_ms"`
	PerToken *float64 `json:"ms_per_token"`
	Groups   []Group  `json:"groups"` // in order of first appearance
}

// Group counts the problems of one difficulty.
type Group struct {
	Name      string  `json:"name"`
	Total     int     `json:"total"`
	Accuracy  float64 `json:"accuracy"`
	MeanLoops float64 `json:"mean_loops"`

	correct, tokens, loops int
	scored                 int // tokens whose likelihood is in logprob
	logprob                float64
}

func (g *Group) add(r *Reply, correct bool) {
	if g.Total++; correct {
		g.correct++
	}
	g.tokens, g.loops = g.tokens+r.Tokens, g.loops+r.Loops
	g.logprob, g.scored = g.logprob+r.Logprob, g.scored+r.Scored
	g.Accuracy = 100 * float64(g.correct) / float64(g.Total)
	g.MeanLoops = ratio(float64(g.loops), float64(g.tokens))
}

func (g *Group) interval() (low, high float64) { return wilson(g.correct, g.Total) }

// NewCurve is a curve without points.
func NewCurve(problems int) *Curve {
	return &Curve{Object: "depth.curve", Problems: problems, Date: now(), Points: []DepthPoint{}}
}

// Score asks every problem at each depth, and times some of them. The first failed request ends it.
func Score(ctx context.Context, c Client, e Evaluation) (*Curve, error) {
	x := newExam(c, e)
	replies, alone, err := x.sit(ctx)
	if err != nil {
		return nil, err
	}
	out := NewCurve(len(x.Problems))
	for i, d := range x.Depths {
		p := x.count(d, replies[i])
		if t := &alone[i]; len(t.whole) > 0 {
			ttft, e2e, each := median(t.first), median(t.whole), median(t.token)
			p.TTFT, p.E2E, p.PerToken = &ttft, &e2e, &each
		}
		out.Points = append(out.Points, p)
	}
	return out, nil
}

// exam is an evaluation under way.
type exam struct {
	Evaluation
	client Client

	mu   sync.Mutex // guards what follows
	done int
}

func newExam(c Client, e Evaluation) *exam {
	if e.Concurrency <= 0 {
		e.Concurrency = 16
	}
	if e.Timed == 0 {
		e.Timed = 50
	}
	e.Timed = max(0, min(e.Timed, len(e.Problems)))
	if e.Likelihood {
		e.Timed = 0
	}
	if e.MaxTokens <= 0 {
		for _, p := range e.Problems {
			e.MaxTokens = max(e.MaxTokens, len(p.Answer)+4)
		}
	}
	return &exam{Evaluation: e, client: c}
}

func (x *exam) ask(ctx context.Context, d Depth, p Problem) (*Reply, error) {
	a := Ask{Depth: d, Prompt: p.Prompt, MaxTokens: x.MaxTokens}
	if x.Likelihood {
		a.Answer = p.Answer
	}
	r, err := x.client.Do(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("at %s loops: %w", d.Name(), err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.done++; x.Progress != nil {
		x.Progress(x.done, len(x.Depths)*(len(x.Problems)+x.Timed))
	}
	return r, nil
}

// timed are what answers took that were asked for alone, in milliseconds: to the first token, whole, and whole over tokens.
type timed struct{ first, whole, token []float64 }

// sit asks every problem at each depth; then some of them alone, the depths in turn, so that a machine that becomes slower
// meanwhile is the same to all. Both results are by depth.
func (x *exam) sit(ctx context.Context) (replies [][]*Reply, alone []timed, err error) {
	if len(x.Depths) == 0 || len(x.Problems) == 0 {
		return nil, nil, errors.New("nothing to ask: needs depths and problems")
	}
	alone = make([]timed, len(x.Depths))
	for _, d := range x.Depths {
		list := make([]*Reply, len(x.Problems))
		err := each(ctx, x.Concurrency, len(list), func(ctx context.Context, i int) (err error) {
			list[i], err = x.ask(ctx, d, x.Problems[i])
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		replies = append(replies, list)
	}
	for n, problem := range Some(x.Problems, x.Timed)[:x.Timed] {
		for i := range x.Depths {
			at := (n + i) % len(x.Depths) // whoever comes later finds warmer caches
			r, err := x.ask(ctx, x.Depths[at], problem)
			if err != nil {
				return nil, nil, err
			}
			t := &alone[at]
			t.first, t.whole = append(t.first, ms(r.TTFT)), append(t.whole, ms(r.E2E))
			t.token = append(t.token, ms(r.E2E)/float64(max(r.Tokens, 1)))
		}
	}
	return replies, alone, nil
}

func (x *exam) count(d Depth, replies []*Reply) DepthPoint {
	p := DepthPoint{Depth: d, Loops: d.Loops, ExitPolicy: d.Exit.Kind.String(), ExitThreshold: d.Exit.Threshold}
	var whole Group
	for i, problem := range x.Problems {
		at := slices.IndexFunc(p.Groups, func(g Group) bool { return g.Name == problem.Group })
		if at < 0 {
			at = len(p.Groups)
			p.Groups = append(p.Groups, Group{Name: problem.Group})
		}
		r := replies[i]
		correct := r.Greedy
		if !x.Likelihood {
			correct = answerOf(r) == problem.Answer
		}
		whole.add(r, correct)
		p.Groups[at].add(r, correct)
	}
	p.Accuracy, p.MeanLoops = whole.Accuracy, whole.MeanLoops
	p.Low, p.High = whole.interval()
	if whole.tokens == 0 && !d.policy() {
		p.MeanLoops = float64(d.Loops)
	}
	if whole.scored > 0 {
		nats := -whole.logprob / float64(whole.scored)
		p.NatsPerToken = &nats
	}
	return p
}
