package server

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
)

// The kinds of measurements, and how many of each are remembered, of benchmarks each key's, the running one with them.
const (
	jobBench = "bench"
	jobCurve = "depth.curve"

	mostJobs   = 8
	mostCurves = 16
)

// What a job may be.
const (
	jobRunning   = "running"
	jobDone      = "done"
	jobFailed    = "failed"
	jobCancelled = "cancelled"
)

// jobs are the server's measurements, benchmarks and depth curves: one runs at a time, since concurrent ones distort each
// other. Each has a goroutine, which ends with the server; wg waits for them.
type jobs struct {
	mu   sync.Mutex
	list []*job // newest first: where one runs it is the first
	wg   sync.WaitGroup
}

// job is one measurement. Its fields below mu change while it runs.
type job struct {
	kind, id string // of a curve, what was asked for
	owner    string // tenant, of a benchmark: a curve is everybody's
	model    *generate.Model
	cancel   context.CancelFunc
	finished chan struct{}

	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, at each change
	state   jobState
}

// jobState is a job as clients see it.
type jobState struct {
	ID       string           `json:"id"`
	Object   string           `json:"object"`
	Model    string           `json:"model"`
	Created  int64            `json:"created"`
	Status   string           `json:"status"`
	Progress jobProgress      `json:"progress"`
	Error    *api.ErrorDetail `json:"error"`
	Result   any              `json:"result"` // *measure.SweepResult or *measure.Curve

	cause error // of failed and cancelled
}

type jobProgress struct {
	Done  int           `json:"done"` // runs of points, those that warm up too
	Total int           `json:"total"`
	Now   measure.Shape `json:"now"` // the point measured last
}

func newJob(kind, id string, m *generate.Model, total int) *job {
	return &job{
		kind: kind, id: id, model: m, finished: make(chan struct{}), changed: make(chan struct{}),
		state: jobState{ID: id, Object: kind, Model: m.Name, Status: jobRunning, Progress: jobProgress{Total: total}},
	}
}

// start begins a job unless one is running, which it then returns. run gets a context that ends with parent and with
// the job's deletion.
func (js *jobs) start(parent context.Context, j *job, run func(context.Context) (any, error)) (running *job) {
	js.mu.Lock()
	defer js.mu.Unlock()
	if other := js.running(); other != nil {
		return other
	}
	ctx, cancel := context.WithCancel(parent)
	j.cancel, j.state.Created = cancel, time.Now().Unix()
	js.list = slices.Insert(js.list, 0, j)
	same := slices.DeleteFunc(js.of(j.kind), func(o *job) bool { return o.owner != j.owner })
	if most := map[string]int{jobBench: mostJobs, jobCurve: mostCurves}[j.kind]; len(same) > most {
		js.drop(same[most])
	}
	js.wg.Go(func() {
		defer close(j.finished)
		defer cancel()
		result, err := run(ctx)
		j.end(ctx, result, err)
	})
	return nil
}

// running is the job that runs, nil where none does. Callers hold mu.
func (js *jobs) running() *job {
	if len(js.list) > 0 && js.list[0].look().Status == jobRunning {
		return js.list[0]
	}
	return nil
}

// current is the same for those who do not hold mu.
func (js *jobs) current() *job {
	js.mu.Lock()
	defer js.mu.Unlock()
	return js.running()
}

// of are the jobs of a kind, newest first. Callers hold mu.
func (js *jobs) of(kind string) []*job {
	return slices.DeleteFunc(slices.Clone(js.list), func(j *job) bool { return j.kind != kind })
}

// all are the same for those who do not hold mu.
func (js *jobs) all(kind string) []*job {
	js.mu.Lock()
	defer js.mu.Unlock()
	return js.of(kind)
}

// drop forgets a job. Callers hold mu.
func (js *jobs) drop(j *job) {
	js.list = slices.DeleteFunc(js.list, func(o *job) bool { return o == j })
}

// find is a job of a kind; model may be nil for any.
func (js *jobs) find(kind, id string, model *generate.Model) *job {
	for _, j := range js.all(kind) {
		if j.id == id && (model == nil || j.model == model) {
			return j
		}
	}
	return nil
}

func (js *jobs) remove(j *job) {
	js.mu.Lock()
	defer js.mu.Unlock()
	js.drop(j)
}

// progress is told of what has been done.
func (j *job) progress(done, total int, now measure.Shape) {
	j.change(func(s *jobState) { s.Progress = jobProgress{done, total, now} })
}

func (j *job) end(ctx context.Context, result any, err error) {
	j.change(func(s *jobState) {
		s.cause = err
		switch {
		case err == nil:
			s.Status, s.Result = jobDone, result
		case ctx.Err() != nil: // by its deletion, or with the server
			s.Status = jobCancelled
		default:
			s.Status, s.Error = jobFailed, new(toAPI(err, 0).Body().Error)
		}
	})
}

func (j *job) change(f func(*jobState)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f(&j.state)
	close(j.changed)
	j.changed = make(chan struct{})
}

// look is the job's state as it is.
func (j *job) look() jobState {
	state, _ := j.watch()
	return state
}

// watch is look, and what is closed at the next change.
func (j *job) watch() (jobState, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state, j.changed
}
