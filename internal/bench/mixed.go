package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/loopserve/loopserve/loopctl"
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
	Progress     func(done, total int, phase string)
}

// Scheduling is a way to serve that is compared with others. Open gives a fresh target; close ends it.
type Scheduling struct {
	Name string
	Open func() (t Target, closer func() error, err error)
}

// Check refuses what cannot run.
func (m *Mix) Check() error {
	if len(m.Classes) == 0 {
		return errors.New("no classes: give clients and loops, like 8x2,8x16")
	}
	for _, c := range m.Classes {
		if c.Clients < 1 || c.Loops < 0 {
			return fmt.Errorf("class %d clients of %d loops: needs at least one client, and loops from 1", c.Clients, c.Loops)
		}
	}
	if m.PromptTokens < 1 || m.MaxTokens < 2 || m.Requests < 1 || m.Rounds < 1 {
		return fmt.Errorf("prompt tokens %d, max tokens %d, requests %d, rounds %d: need 1, 2, 1 and 1 at least", m.PromptTokens, m.MaxTokens, m.Requests, m.Rounds)
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

// RunMix measures the mix under each scheduling, in turn, and each class alone at the whole number of clients under the
// first one.
func RunMix(ctx context.Context, schedulings []Scheduling, m Mix) (*MixResult, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	if len(schedulings) == 0 {
		return nil, errors.New("no scheduling to measure")
	}
	r := &mixRun{mix: m, seed: m.Seed, total: m.Rounds * (2*len(schedulings) + len(m.Classes))}
	mixed, sets := make([]phase, len(schedulings)), make([]phase, len(schedulings))
	alone := make([]phase, len(m.Classes))
	for range m.Rounds {
		for i, s := range schedulings {
			err := r.on(ctx, s, func(t Target) error {
				if err := r.steady(ctx, t, m.Classes, &mixed[i]); err != nil {
					return err
				}
				r.step(s.Name + ", steady")
				err := r.set(ctx, t, &sets[i])
				r.step(s.Name + ", fixed set")
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
		}
		for i, c := range m.Classes {
			all := []Class{{Loops: c.Loops, Clients: m.clients()}}
			err := r.on(ctx, schedulings[0], func(t Target) error { return r.steady(ctx, t, all, &alone[i]) })
			if err != nil {
				return nil, fmt.Errorf("%d loops alone: %w", c.Loops, err)
			}
			r.step(fmt.Sprintf("%d loops alone", c.Loops))
		}
	}
	return m.result(schedulings, mixed, sets, alone), nil
}

type mixRun struct {
	mix         Mix
	seed        uint64
	done, total int
}

func (r *mixRun) step(name string) {
	if r.done++; r.mix.Progress != nil {
		r.mix.Progress(r.done, r.total, name)
	}
}

// on opens a scheduling, warms it up, and closes it afterwards.
func (r *mixRun) on(ctx context.Context, s Scheduling, f func(Target) error) (err error) {
	t, closer, err := s.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	warm := Shape{Loops: r.mix.Classes[0].Loops, Concurrency: r.mix.clients(), PromptTokens: r.mix.PromptTokens, MaxTokens: 2}
	if _, err := burst(ctx, t, warm, loopctl.ExitPolicy{}, 0, &r.seed); err != nil {
		return err
	}
	return f(t)
}

// phase gathers what was seen of one load, over all rounds.
type phase struct {
	samples [][]*Sample // by class
	rates   []float64   // tokens per second, by round
	byClass [][]float64 // the same, by class
	blocks  Blocks
}

// steady lets every client send one request after another until each has completed its number, so that all classes are
// there all the time. Requests that were still open at that moment are waited for, and their tokens count up to it.
func (r *mixRun) steady(ctx context.Context, t Target, classes []Class, out *phase) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var left sync.WaitGroup // clients that have not completed their number
	over := make(chan struct{})
	samples := make([][]*Sample, len(classes))
	var mu sync.Mutex // guards samples and seed
	var clients sync.WaitGroup
	before, start := blocksOf(t), time.Now()
	for i, class := range classes {
		for range class.Clients {
			left.Add(1)
			clients.Go(func() {
				enough := sync.OnceFunc(left.Done)
				defer enough()
				for n := 0; ; {
					select {
					case <-over:
						return
					default:
					}
					mu.Lock()
					r.seed++
					c := Call{Loops: class.Loops, PromptTokens: r.mix.PromptTokens, MaxTokens: r.mix.MaxTokens, Seed: r.seed}
					mu.Unlock()
					s, err := t.Generate(ctx, c)
					if err != nil {
						cancel(err)
						return
					}
					mu.Lock()
					samples[i] = append(samples[i], s)
					mu.Unlock()
					if n++; n == r.mix.Requests {
						enough()
					}
				}
			})
		}
	}
	left.Wait()
	end := time.Now()
	out.blocks = out.blocks.plus(blocksOf(t).minus(before))
	close(over)
	clients.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	out.add(samples, start, end)
	return nil
}

// add books the tokens between start and end, and the samples that ended in between.
func (p *phase) add(samples [][]*Sample, start, end time.Time) {
	if p.samples == nil {
		p.samples, p.byClass = make([][]*Sample, len(samples)), make([][]float64, len(samples))
	}
	wall, all := end.Sub(start).Seconds(), 0.0
	for i, list := range samples {
		tokens := 0.0
		for _, s := range list {
			n := 0
			for _, a := range s.Arrivals {
				if !s.Start.Add(a).After(end) {
					n++
				}
			}
			tokens += float64(n) * ratio(float64(s.Tokens), float64(len(s.Arrivals)))
			if !s.Start.Add(s.E2E).After(end) {
				p.samples[i] = append(p.samples[i], s)
			}
		}
		p.byClass[i] = append(p.byClass[i], ratio(tokens, wall))
		all += tokens
	}
	p.rates = append(p.rates, ratio(all, wall))
}

// set serves one and the same list of requests, in one and the same order, as fast as so many clients can.
func (r *mixRun) set(ctx context.Context, t Target, out *phase) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var calls []Call
	for _, class := range r.mix.Classes {
		for range class.Clients * r.mix.Requests {
			calls = append(calls, Call{
				Loops: class.Loops, PromptTokens: r.mix.PromptTokens, MaxTokens: r.mix.MaxTokens, Seed: r.mix.Seed + 1e6 + uint64(len(calls)),
			})
		}
	}
	order := rand.New(rand.NewPCG(r.mix.Seed, 1))
	order.Shuffle(len(calls), func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })
	samples := make([]*Sample, len(calls))
	next := make(chan int)
	var clients sync.WaitGroup
	before, start := blocksOf(t), time.Now()
	for range r.mix.clients() {
		clients.Go(func() {
			for i := range next {
				s, err := t.Generate(ctx, calls[i])
				if err != nil {
					cancel(err)
					continue
				}
				samples[i] = s
			}
		})
	}
	for i := range calls {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	clients.Wait()
	end := time.Now()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	out.blocks = out.blocks.plus(blocksOf(t).minus(before))
	byClass := make([][]*Sample, len(r.mix.Classes))
	for i, s := range samples {
		at := slices.IndexFunc(r.mix.Classes, func(c Class) bool { return c.Loops == calls[i].Loops })
		byClass[at] = append(byClass[at], s)
	}
	out.add(byClass, start, end)
	return nil
}
