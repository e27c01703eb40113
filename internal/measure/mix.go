package measure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Class is a number of clients that ask for the same depth.
type Class struct {
	Loops   int `json:"loops"`
	Clients int `json:"clients"`
}

// Mix is load of several depths at one time.
type Mix struct {
	Classes      []Class                             `json:"-"` // shallow ones first or not: as they are to be reported
	PromptTokens int                                 `json:"prompt_tokens"`
	MaxTokens    int                                 `json:"max_tokens"`
	Requests     int                                 `json:"requests"` // that each client at least completes in each phase
	Rounds       int                                 `json:"rounds"`   // turns of all schedulings and of the baselines
	Seed         uint64                              `json:"-"`
	Vocab        int                                 `json:"-"` // prompts' ids are below it
	Progress     func(done, total int, phase string) `json:"-"`
}

// Scheduling is a way to serve that is compared with others. Start gives a fresh client; stop ends it.
type Scheduling struct {
	Name  string
	Start func() (c Client, stop func() error)
}

// Check refuses what cannot run.
func (m *Mix) Check() error {
	return errors.Join(
		atLeast(1, "clients", m.clients()), atLeast(1, "prompt tokens", m.PromptTokens), atLeast(2, "max tokens", m.MaxTokens),
		atLeast(1, "requests", m.Requests), atLeast(1, "rounds", m.Rounds),
	)
}

func (m *Mix) clients() int {
	n := 0
	for _, c := range m.Classes {
		n += c.Clients
	}
	return n
}

// shape is a request at so many loops.
func (m *Mix) shape(loops int) Shape {
	return Shape{Loops: loops, Load: Load{Concurrency: m.clients(), PromptTokens: m.PromptTokens, MaxTokens: m.MaxTokens}}
}

// MixResult is what Mixed measured. Times are in milliseconds.
type MixResult struct {
	Model  string `json:"model"`
	Target string `json:"target"`
	Date   string `json:"date"`
	Mix
	Schedulings []MixRow `json:"schedulings"`
	Alone       []MixRow `json:"alone"` // each class at the whole number of clients, under the first scheduling
}

// Rows are all of them.
func (r *MixResult) Rows() []MixRow { return slices.Concat(r.Schedulings, r.Alone) }

// Base is the scheduling whose throughput the others' is compared with.
func (r *MixResult) Base() MixRow { return r.Schedulings[len(r.Schedulings)-1] }

// MixRow is one scheduling under the mix, all classes being there all the time.
type MixRow struct {
	Scheduling string     `json:"scheduling"`
	Classes    []ClassRow `json:"classes"`
	Numbers
	// SetTokensPerSecond is over a fixed list of requests, from the first to the last token.
	SetTokensPerSecond Spread `json:"set_tokens_per_second"`
}

// ClassRow is one class under one load.
type ClassRow struct {
	Class
	Numbers
	// OfDeepest is the median TPOT over that of the deepest class of the same row; OfAlone over its own alone.
	OfDeepest float64 `json:"tpot_of_deepest"`
	OfAlone   float64 `json:"tpot_of_alone"`
}

// Mixed measures the mix under each scheduling, in turn, and each class alone at the whole number of clients under the
// first one.
func Mixed(ctx context.Context, schedulings []Scheduling, m Mix) (*MixResult, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	if len(schedulings) == 0 {
		return nil, errors.New("no scheduling to measure")
	}
	var steady, sets, alone []*phase
	for _, s := range schedulings {
		steady = append(steady, newPhase(s.Name, s, m.Classes, false))
		sets = append(sets, newPhase(s.Name+", fixed set", s, m.Classes, true))
	}
	for _, c := range m.Classes {
		all := []Class{{Loops: c.Loops, Clients: m.clients()}}
		alone = append(alone, newPhase(fmt.Sprintf("alone, %d loops", c.Loops), schedulings[0], all, false))
	}
	phases, q := slices.Concat(steady, sets, alone), &requests{vocab: m.Vocab, seed: m.Seed}
	for done := range m.Rounds * len(phases) {
		p := phases[done%len(phases)]
		if err := p.measure(ctx, &m, q); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		if m.Progress != nil {
			m.Progress(done+1, m.Rounds*len(phases), p.name)
		}
	}
	out := &MixResult{Date: now(), Target: inProcess, Mix: m}
	own := map[int]float64{} // time per token of a class alone
	for i, p := range alone {
		own[m.Classes[i].Loops] = p.whole.numbers().TPOT.P50
		out.Alone = append(out.Alone, p.row(own))
	}
	for i, p := range steady {
		row := p.row(own)
		row.SetTokensPerSecond = sets[i].whole.numbers().TokensPerSecond
		out.Schedulings = append(out.Schedulings, row)
	}
	return out, nil
}

// phase is one load under one scheduling, and what was seen of it, a run in each round.
type phase struct {
	name    string
	on      Scheduling
	classes []Class
	fixed   bool // the load is a list of requests, not clients that are there all the time
	whole   runs
	each    []runs // by class
}

func newPhase(name string, on Scheduling, classes []Class, fixed bool) *phase {
	return &phase{name: name, on: on, classes: classes, fixed: fixed, each: make([]runs, len(classes))}
}

// measure starts the scheduling, warms it up, puts the load on it, and stops it. Of a steady load counts what came until the
// load ended: requests that are still open at that moment are waited for, and their tokens count up to it.
func (p *phase) measure(ctx context.Context, m *Mix, q *requests) (err error) {
	c, stop := p.on.Start()
	defer func() { err = errors.Join(err, stop()) }()
	warm := m.shape(p.classes[0].Loops)
	warm.MaxTokens = 2
	if _, err := q.burst(ctx, c, warm); err != nil {
		return err
	}
	load := p.steady(m)
	if p.fixed {
		load, q = p.list(m), &requests{vocab: m.Vocab, seed: m.Seed + 1e6}
	}
	var whole run
	var end time.Time
	stopCounting := func() {
		if end.IsZero() {
			end = time.Now()
			whole.countBlocks(c, 1)
		}
	}
	replies := make([][]*Reply, len(p.classes))
	whole.countBlocks(c, -1)
	start := time.Now()
	err = drive(ctx, c, m.clients(), func(client, had int) (*Ask, func(*Reply)) {
		class, more := load(client, had)
		if !more {
			if !p.fixed {
				stopCounting()
			}
			return nil, nil
		}
		return q.next(m.shape(p.classes[class].Loops)), func(r *Reply) { replies[class] = append(replies[class], r) }
	})
	if err != nil {
		return err
	}
	stopCounting()
	for i, list := range replies {
		var r run
		r.add(list, start, end)
		p.each[i] = append(p.each[i], r)
	}
	whole.add(slices.Concat(replies...), start, end)
	p.whole = append(p.whole, whole)
	return nil
}

// load has the class of a client's next request, when it has had so many answers. Where there is no more for one client there
// is none for any.
type load func(client, had int) (class int, more bool)

// clientClasses has the class of each client.
func (p *phase) clientClasses() (out []int) {
	for i, c := range p.classes {
		out = append(out, slices.Repeat([]int{i}, c.Clients)...)
	}
	return out
}

// steady lets every client send one request after another until each has completed its number, so that all classes are
// there all the time.
func (p *phase) steady(m *Mix) load {
	class := p.clientClasses()
	left := len(class) // clients that have not completed their number
	return func(client, had int) (int, bool) {
		if had == m.Requests {
			left--
		}
		return class[client], left > 0
	}
}

// list is one and the same list of requests, in one and the same order, served as fast as so many clients can.
func (p *phase) list(m *Mix) load {
	list := slices.Repeat(p.clientClasses(), m.Requests)
	rand.New(rand.NewPCG(m.Seed, 1)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	sent := -1
	return func(int, int) (int, bool) {
		if sent++; sent < len(list) {
			return list[sent], true
		}
		return 0, false
	}
}

// row is what came of the phase. own is the time per token of each class that was alone, by its loops.
func (p *phase) row(own map[int]float64) MixRow {
	row := MixRow{Scheduling: p.name, Numbers: p.whole.numbers()}
	for i, c := range p.classes {
		row.Classes = append(row.Classes, ClassRow{Class: c, Numbers: p.each[i].numbers()})
	}
	deepest := slices.MaxFunc(row.Classes, func(a, b ClassRow) int { return cmp.Compare(a.Loops, b.Loops) })
	for i := range row.Classes {
		c := &row.Classes[i]
		c.OfDeepest, c.OfAlone = ratio(c.TPOT.P50, deepest.TPOT.P50), ratio(c.TPOT.P50, own[c.Loops])
	}
	return row
}
