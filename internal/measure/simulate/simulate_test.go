// Package simulate_test plays a day of arrivals over a fleet: the real scheduler of each replica, on an engine that takes the measured
// time of its calls and computes nothing, in testing/synctest's time. `make simulate` prints the tables of docs/operations.md.
package simulate_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

// The times of calls of the (4⊗4) model of docs/benchmarks.md in int4 on two cores of a Zen 4, from
//
//	loopserve bench --random hidden=1024,layers=4,heads=16,ffn=2816,vocab=32000,weights=int4 --loops 1,4 --concurrency 1,8,32
//
// 1.4 ms a block call of 1 row, 2.3 to 4.2 of 9, 8 of 35; the head is what one loop takes beyond its block call.
const (
	blockCall, blockRow = 1200 * time.Microsecond, 200 * time.Microsecond
	codaCall, codaRow   = 900 * time.Microsecond, 100 * time.Microsecond
	starting            = 5 * time.Second // of a replica that is added
)

// dayLength is the time that a day is played in; LOOPSERVE_DAY makes it shorter, for fleets of many.
var dayLength = 4 * time.Minute

// engine takes the time of its calls.
type engine struct {
	capacity loopctl.Capacity
	busy     time.Duration
	logits   [][]float32
}

func newEngine() *engine {
	e := &engine{capacity: loopctl.Capacity{
		MaxRows: 256, Latents: 512, PageSize: 16, Context: 4096, Vocab: 1, Loops: loopctl.LoopRange{Min: 1, Default: 4, Trained: 4, Max: 32},
	}}
	for range e.capacity.MaxRows {
		e.logits = append(e.logits, []float32{0})
	}
	return e
}

func (e *engine) take(call, row time.Duration, rows int) {
	d := call + time.Duration(rows)*row
	e.busy += d
	time.Sleep(d)
}

func (e *engine) Capacity() loopctl.Capacity   { return e.capacity }
func (e *engine) Prelude(*loopctl.Batch) error { return nil }
func (e *engine) Block(b *loopctl.Batch) (loopctl.RowInfo, error) {
	e.take(blockCall, blockRow, b.Rows)
	return loopctl.RowInfo{}, nil
}

func (e *engine) Coda(b *loopctl.Batch) ([][]float32, error) {
	rows := 0
	for i := range b.Spans {
		rows += len(b.Spans[i].LogitRows)
	}
	e.take(codaCall, codaRow, rows)
	return e.logits[:rows], nil
}
func (e *engine) Fill([]loopctl.Fill) error     { return nil }
func (e *engine) Latent(int32, []float32) error { return nil }

// replica is one server.
type replica struct {
	*loopctl.Controller
	engine *engine
	open   int
	ready  time.Time
}

// day is what arrives: a rate that swings 1 : 3 between night and afternoon, as public traces of assistants do, with minutes of double
// load in it, prompts and answers of lognormal lengths, and three depths whose mix turns deep at midday.
type day struct {
	seed   uint64
	perSec float64 // mean arrivals a second
	shape  string  // mixed: 2, 4 or 16 loops; deepest: all 16; adaptive: an exit policy that takes 40 % of them
}

func (d day) rate(at float64) float64 { // at: 0 to 1
	r := d.perSec * (1 + 0.5*math.Sin(2*math.Pi*(at-0.3)))
	if math.Mod(at*24, 4) < 0.25 {
		r *= 2
	}
	return r
}

func (d day) request(r *rand.Rand, at float64) *loopctl.Request {
	deep := 0.1
	if at > 0.45 && at < 0.7 {
		deep = 0.4
	}
	loops := 2
	if x := r.Float64(); x < deep {
		loops = 16
	} else if x < deep+0.3 {
		loops = 4
	}
	switch d.shape {
	case "deepest":
		loops = 16
	case "adaptive":
		loops = max(1, int(math.Round(float64(loops)*(0.2+0.4*r.Float64()))))
	}
	length := func(median, sigma float64, most int) int {
		return min(1+int(median*math.Exp(sigma*r.NormFloat64())), most)
	}
	return &loopctl.Request{
		Prompt: make([]int32, length(48, 0.8, 512)), MaxTokens: length(24, 0.8, 256), Loops: loops, Sampler: loopctltest.Greedy{}, NoCache: true,
	}
}

// signal is what replicas are added and taken away by: how many of a full replica's worth there is, at a target.
type signal struct {
	name    string
	targets []float64
	value   func(replicas []*replica, busy float64) float64
}

var signals = []signal{
	{"loop_debt_seconds", []float64{0.25, 0.5, 1, 2}, func(rs []*replica, _ float64) (debt float64) {
		for _, r := range rs {
			s := r.Snapshot()
			debt += float64(s.Backlog) * s.SecondsPerLoopStep
		}
		return debt
	}},
	{"share of CPU", []float64{0.5, 0.7, 0.9}, func(_ []*replica, busy float64) float64 { return busy }},
	{"requests, running and waiting", []float64{2, 4, 8, 16}, func(rs []*replica, _ float64) (n float64) {
		for _, r := range rs {
			n += float64(r.open)
		}
		return n
	}},
}

// outcome is what a day came to.
type outcome struct {
	ttft, e2e       []float64
	tokens, refused int
	replicaSeconds  float64
	busy            time.Duration // of all engines
}

func (o *outcome) p(times []float64, q float64) float64 {
	slices.Sort(times)
	return times[min(int(q*float64(len(times))), len(times)-1)]
}

// play plays a day, with a fixed number of replicas or as many as a signal wants.
func play(t *testing.T, d day, n, most int, scheduling loopctl.Scheduling, by *signal, target float64) (out outcome) {
	synctest.Test(t, func(t *testing.T) {
		start, rng := time.Now(), rand.New(rand.NewPCG(d.seed, 1))
		var all []*replica
		add := func(ready time.Time) {
			e := newEngine()
			c := loopctl.New(e, loopctl.Config{Scheduling: scheduling, QueueLimit: 1 << 20})
			c.Start()
			all = append(all, &replica{Controller: c, engine: e, ready: ready})
		}
		for range n {
			add(start)
		}
		type end struct {
			ttft, e2e float64
			tokens    int
			of        *replica
		}
		ends := make(chan end, 1<<16)
		var leaving []*replica
		booked := func() {
			for {
				select {
				case e := <-ends:
					e.of.open--
					out.ttft, out.e2e, out.tokens = append(out.ttft, e.ttft), append(out.e2e, e.e2e), out.tokens+e.tokens
				default:
					return
				}
			}
		}
		next, scaled, busyBefore := start, start, time.Duration(0)
		for {
			now := time.Now()
			at := float64(now.Sub(start)) / float64(dayLength)
			if at >= 1 {
				break
			}
			booked()
			if by != nil && now.Sub(scaled) >= 2*time.Second {
				busy := time.Duration(0)
				for _, r := range slices.Concat(all, leaving) {
					busy += r.engine.busy
				}
				want := int(math.Ceil(by.value(all, float64(busy-busyBefore)/float64(now.Sub(scaled))) / target))
				busyBefore, scaled = busy, now
				for len(all) < min(max(want, 1), most) {
					add(now.Add(starting))
				}
				if want < len(all)-1 { // one at a time, as a stabilization window does
					leaving, all = append(leaving, all[len(all)-1]), all[:len(all)-1]
				}
			}
			to := all[0] // the least busy that is ready
			for _, r := range all {
				if !r.ready.After(now) && (to.ready.After(now) || r.open < to.open) {
					to = r
				}
			}
			streams, err := to.Submit(d.request(rng, at))
			if err != nil {
				out.refused++
			} else {
				to.open++
				go func() {
					first, tokens := 0.0, 0
					for {
						if _, err := streams[0].Next(context.Background()); err != nil {
							break
						}
						if tokens++; tokens == 1 {
							first = time.Since(now).Seconds()
						}
					}
					ends <- end{first, time.Since(now).Seconds(), tokens, to}
				}()
			}
			gap := time.Duration(rng.ExpFloat64() / d.rate(at) * float64(time.Second))
			out.replicaSeconds += gap.Seconds() * float64(len(all))
			next = next.Add(gap)
			time.Sleep(time.Until(next))
		}
		for _, r := range slices.Concat(all, leaving) {
			if err := r.Drain(t.Context()); err != nil {
				t.Error(err)
			}
			if err := r.Close(t.Context()); err != nil {
				t.Error(err)
			}
			out.busy += r.engine.busy
		}
		synctest.Wait()
		booked()
	})
	return out
}

// TestDay prints what a fleet makes of a day, by ways to schedule and to scale. LOOPSERVE_SIMULATE names the fleets, as 1,4 replicas;
// without it a short day of one replica shows that all requests end, and that depth costs what it costs.
func TestDay(t *testing.T) {
	sizes := os.Getenv("LOOPSERVE_SIMULATE")
	if sizes == "" {
		dayLength = 10 * time.Second
		mixed := play(t, day{1, 3, "mixed"}, 1, 1, loopctl.ScheduleDepth, nil, 0)
		again := play(t, day{1, 3, "mixed"}, 1, 1, loopctl.ScheduleDepth, nil, 0)
		deepest := play(t, day{1, 3, "deepest"}, 1, 1, loopctl.ScheduleDepth, nil, 0)
		if len(mixed.e2e) == 0 || len(mixed.e2e) != len(deepest.e2e) || mixed.refused > 0 || mixed.tokens != again.tokens {
			t.Errorf("%d and %d requests ended, %d refused, %d and %d tokens", len(mixed.e2e), len(deepest.e2e), mixed.refused, mixed.tokens, again.tokens)
		}
		if m, d := mixed.p(mixed.e2e, 0.5), deepest.p(deepest.e2e, 0.5); m >= d {
			t.Errorf("at 2, 4 and 16 loops the median takes %.2f s, at 16 for all %.2f s", m, d)
		}
		return
	}
	if text := os.Getenv("LOOPSERVE_DAY"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			t.Fatalf("LOOPSERVE_DAY is %q: must be a time such as 30s", text)
		}
		dayLength = d
	}
	fmt.Println("| replicas | requests | scheduling | tokens/s | ms of a replica for a token | TTFT p50, p99 s | end to end p99 s |\n|---|---|---|---|---|---|---|")
	const each = 3.0 // arrivals a second of each replica
	for text := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("LOOPSERVE_SIMULATE is %q: must be numbers of replicas with commas between", sizes)
		}
		for _, way := range []struct {
			shape      string
			scheduling loopctl.Scheduling
		}{{"mixed", loopctl.ScheduleDepth}, {"mixed", loopctl.ScheduleLockstep}, {"adaptive", loopctl.ScheduleDepth}, {"deepest", loopctl.ScheduleDepth}} {
			o := play(t, day{1, each * float64(n), way.shape}, n, n, way.scheduling, nil, 0)
			fmt.Printf("| %d | %s | %s | %.0f | %.1f | %.2f, %.2f | %.1f |\n", n, way.shape, way.scheduling, float64(o.tokens)/dayLength.Seconds(),
				1000*o.busy.Seconds()/float64(o.tokens), o.p(o.ttft, 0.5), o.p(o.ttft, 0.99), o.p(o.e2e, 0.99))
		}
	}
	fmt.Println("\n| scaled by | target of a replica | replicas on average | TTFT p50, p99 s | end to end p99 s |\n|---|---|---|---|---|")
	for i := range signals {
		for _, target := range signals[i].targets {
			o := play(t, day{1, 12, "mixed"}, 4, 20, loopctl.ScheduleDepth, &signals[i], target)
			fmt.Printf("| %s | %g | %.1f | %.2f, %.2f | %.1f |\n", signals[i].name, target, o.replicaSeconds/dayLength.Seconds(), o.p(o.ttft, 0.5), o.p(o.ttft, 0.99), o.p(o.e2e, 0.99))
		}
	}
}
