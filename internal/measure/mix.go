package measure

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Class is a number of clients that ask for the same depth.
type Class struct {
	Loops   int `json:"loops"`
	Clients int `json:"clients"`
}

// Mix is load of several depths at one time.
type Mix struct {
	Classes      []Class // shallow ones first or not: as they are to be reported
	PromptTokens int
	MaxTokens    int
	Requests     int // that each client at least completes in each phase
	Rounds       int // turns of all schedulings and of the baselines
	Seed         uint64
	Vocab        int // prompts' ids are below it
	Progress     func(done, total int, phase string)
}

// Scheduling is a way to serve that is compared with others. Start gives a fresh client; stop ends it.
type Scheduling struct {
	Name  string
	Start func() (c Client, stop func() error)
}

// Check refuses what cannot run.
func (m *Mix) Check() error {
	if len(m.Classes) == 0 {
		return errors.New("no classes: give clients and loops, like 8x2,8x16")
	}
	for _, c := range m.Classes {
		if c.Clients < 1 || c.Loops < 0 {
			return fmt.Errorf("class of %d clients and %d loops: clients must be at least 1, loops at least 0", c.Clients, c.Loops)
		}
	}
	if m.PromptTokens < 1 || m.MaxTokens < 2 || m.Requests < 1 || m.Rounds < 1 {
		return fmt.Errorf("prompt tokens %d, max tokens %d, requests %d, rounds %d: must be at least 1, 2, 1 and 1", m.PromptTokens, m.MaxTokens, m.Requests, m.Rounds)
	}
	return nil
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
	return Shape{Loops: loops, Concurrency: m.clients(), PromptTokens: m.PromptTokens, MaxTokens: m.MaxTokens}
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
	r := &mixRun{mix: m, requests: requests{vocab: m.Vocab, seed: m.Seed}, total: m.Rounds * (2*len(schedulings) + len(m.Classes))}
	mixed, sets := make([]phase, len(schedulings)), make([]phase, len(schedulings))
	alone := make([]phase, len(m.Classes))
	for range m.Rounds {
		for i, s := range schedulings {
			err := r.on(ctx, s, func(c Client) error {
				if err := r.steady(ctx, c, m.Classes, &mixed[i]); err != nil {
					return err
				}
				r.step(s.Name + ", steady")
				err := r.set(ctx, c, &sets[i])
				r.step(s.Name + ", fixed set")
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
		}
		for i, class := range m.Classes {
			all := []Class{{Loops: class.Loops, Clients: m.clients()}}
			err := r.on(ctx, schedulings[0], func(c Client) error { return r.steady(ctx, c, all, &alone[i]) })
			if err != nil {
				return nil, fmt.Errorf("%d loops alone: %w", class.Loops, err)
			}
			r.step(fmt.Sprintf("%d loops alone", class.Loops))
		}
	}
	return m.result(schedulings, mixed, sets, alone), nil
}

type mixRun struct {
	mix         Mix
	requests    requests
	done, total int
}

func (r *mixRun) step(name string) {
	if r.done++; r.mix.Progress != nil {
		r.mix.Progress(r.done, r.total, name)
	}
}

// on starts a scheduling, warms it up, and stops it afterwards.
func (r *mixRun) on(ctx context.Context, s Scheduling, f func(Client) error) (err error) {
	c, stop := s.Start()
	defer func() { err = errors.Join(err, stop()) }()
	warm := r.mix.shape(r.mix.Classes[0].Loops)
	warm.MaxTokens = 2
	if _, err := burst(ctx, c, &r.requests, warm); err != nil {
		return err
	}
	return f(c)
}

// phase gathers what was seen of one load, over all rounds.
type phase struct {
	replies [][]*Reply  // by class
	rates   []float64   // tokens per second, by round
	byClass [][]float64 // the same, by class
	blocks  Blocks
}

// steady lets every client send one request after another until each has completed its number, so that all classes are
// there all the time. Requests that were still open at that moment are waited for, and their tokens count up to it.
func (r *mixRun) steady(ctx context.Context, c Client, classes []Class, out *phase) error {
	var class []int // of each client
	for i := range classes {
		class = append(class, slices.Repeat([]int{i}, classes[i].Clients)...)
	}
	var mu sync.Mutex // guards what follows
	replies := make([][]*Reply, len(classes))
	left := len(class) // clients that have not completed their number
	var end time.Time
	out.blocks.count(c, -1)
	start := time.Now()
	err := together(ctx, len(class), func(ctx context.Context, client int) error {
		for n := 1; ; n++ {
			reply, err := c.Do(ctx, r.requests.next(r.mix.shape(classes[class[client]].Loops)))
			if err != nil {
				return err
			}
			mu.Lock()
			replies[class[client]] = append(replies[class[client]], reply)
			if n == r.mix.Requests {
				if left--; left == 0 {
					end = time.Now()
					out.blocks.count(c, 1)
				}
			}
			over := left == 0
			mu.Unlock()
			if over {
				return nil
			}
		}
	})
	if err == nil {
		out.add(replies, start, end)
	}
	return err
}

// add books the tokens between start and end, and the replies that ended in between.
func (p *phase) add(replies [][]*Reply, start, end time.Time) {
	if p.replies == nil {
		p.replies, p.byClass = make([][]*Reply, len(replies)), make([][]float64, len(replies))
	}
	wall, all := end.Sub(start).Seconds(), 0.0
	for i, list := range replies {
		tokens := 0.0
		for _, r := range list {
			n := 0
			for _, at := range r.Stamps {
				if !r.Start.Add(at).After(end) {
					n++
				}
			}
			tokens += float64(n) * ratio(float64(r.Tokens), float64(len(r.Stamps)))
			if !r.Start.Add(r.E2E).After(end) {
				p.replies[i] = append(p.replies[i], r)
			}
		}
		p.byClass[i] = append(p.byClass[i], ratio(tokens, wall))
		all += tokens
	}
	p.rates = append(p.rates, ratio(all, wall))
}

// set serves one and the same list of requests, in one and the same order, as fast as so many clients can.
func (r *mixRun) set(ctx context.Context, c Client, out *phase) error {
	type request struct {
		Ask
		class int
	}
	var list []request
	q := &requests{vocab: r.mix.Vocab, seed: r.mix.Seed + 1e6}
	for i, class := range r.mix.Classes {
		for range class.Clients * r.mix.Requests {
			list = append(list, request{q.next(r.mix.shape(class.Loops)), i})
		}
	}
	order := rand.New(rand.NewPCG(r.mix.Seed, 1))
	order.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	replies := make([]*Reply, len(list))
	out.blocks.count(c, -1)
	start := time.Now()
	err := each(ctx, r.mix.clients(), len(list), func(ctx context.Context, i int) (err error) {
		replies[i], err = c.Do(ctx, list[i].Ask)
		return err
	})
	if err != nil {
		return err
	}
	end := time.Now()
	out.blocks.count(c, 1)
	byClass := make([][]*Reply, len(r.mix.Classes))
	for i, reply := range replies {
		byClass[list[i].class] = append(byClass[list[i].class], reply)
	}
	out.add(byClass, start, end)
	return nil
}
