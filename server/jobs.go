package server

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
)

// The kinds of measurements, and how many of each are remembered, the running one with them.
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

// errJobDeleted is why a deleted job's requests end.
var errJobDeleted = errors.New("the benchmark was deleted")

// jobs are the server's measurements, benchmarks and depth curves: one runs at a time, since concurrent ones distort each
// other. Each has a goroutine, which ends with the server; wg waits for them.
type jobs struct {
	mu   sync.Mutex
	list []*job // oldest first
	wg   sync.WaitGroup
}

// job is one measurement. Its fields below mu change while it runs.
type job struct {
	kind, id string // of a curve, what was asked for
	model    *generate.Model
	created  time.Time
	cancel   context.CancelCauseFunc
	finished chan struct{}

	mu          sync.Mutex
	changed     chan struct{} // closed, and replaced, at each change
	status      string
	done, total int
	now         measure.Shape
	result      any // *measure.SweepResult or *measure.Curve
	err         error
}

// start begins a job unless one is running, which it then returns. run gets a context that ends with parent and with
// the job's deletion.
func (js *jobs) start(parent context.Context, j *job, run func(context.Context) (any, error)) (running *job) {
	js.mu.Lock()
	defer js.mu.Unlock()
	if other := js.busy(); other != nil {
		return other
	}
	ctx, cancel := context.WithCancelCause(parent)
	j.created, j.cancel, j.status = time.Now(), cancel, jobRunning
	j.finished, j.changed = make(chan struct{}), make(chan struct{})
	js.list = append(js.list, j)
	js.forget(j.kind)
	js.wg.Go(func() {
		defer close(j.finished)
		defer cancel(nil)
		result, err := run(ctx)
		j.end(ctx, result, err)
	})
	return nil
}

// busy is the job that runs. Callers hold mu.
func (js *jobs) busy() *job {
	for _, j := range js.list {
		if j.view().Status == jobRunning {
			return j
		}
	}
	return nil
}

// forget drops the oldest of a kind that there are too many of. Callers hold mu.
func (js *jobs) forget(kind string) {
	left := map[string]int{jobBench: mostJobs, jobCurve: mostCurves}[kind]
	for i := len(js.list) - 1; i >= 0; i-- {
		if js.list[i].kind != kind {
			continue
		}
		if left--; left < 0 {
			js.list = slices.Delete(js.list, i, i+1)
		}
	}
}

// current is the job that runs, nil where none does.
func (js *jobs) current() *job {
	js.mu.Lock()
	defer js.mu.Unlock()
	return js.busy()
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

// all are the remembered jobs of a kind, newest first.
func (js *jobs) all(kind string) []*job {
	js.mu.Lock()
	defer js.mu.Unlock()
	out := slices.DeleteFunc(slices.Clone(js.list), func(j *job) bool { return j.kind != kind })
	slices.Reverse(out)
	return out
}

func (js *jobs) remove(j *job) {
	js.mu.Lock()
	defer js.mu.Unlock()
	js.list = slices.DeleteFunc(js.list, func(o *job) bool { return o == j })
}

// progress is told of what has been done.
func (j *job) progress(done, total int, now measure.Shape) {
	j.change(func() { j.done, j.total, j.now = done, total, now })
}

func (j *job) end(ctx context.Context, result any, err error) {
	j.change(func() {
		j.err = err
		switch {
		case err == nil:
			j.status, j.result = jobDone, result
		case ctx.Err() != nil: // by its deletion, or with the server
			j.status = jobCancelled
		default:
			j.status = jobFailed
		}
	})
}

func (j *job) change(f func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f()
	close(j.changed)
	j.changed = make(chan struct{})
}

// watch is closed at the job's next change.
func (j *job) watch() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.changed
}

// outcome is what came of a job that has ended.
func (j *job) outcome() (result any, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.result, j.err
}

// jobView is a job as clients see it.
type jobView struct {
	ID       string           `json:"id"`
	Object   string           `json:"object"`
	Model    string           `json:"model"`
	Created  int64            `json:"created"`
	Status   string           `json:"status"`
	Progress jobProgress      `json:"progress"`
	Error    *api.ErrorDetail `json:"error"`
	Result   any              `json:"result"`
}

type jobProgress struct {
	Done  int           `json:"done"` // runs of points, those that warm up too
	Total int           `json:"total"`
	Now   measure.Shape `json:"now"` // the point measured last
}

// view is the job without its result, which is long.
func (j *job) view() jobView {
	j.mu.Lock()
	defer j.mu.Unlock()
	v := jobView{
		ID: j.id, Object: j.kind, Model: j.model.Name, Created: j.created.Unix(), Status: j.status,
		Progress: jobProgress{j.done, j.total, j.now},
	}
	if j.status == jobFailed {
		e := toAPI(j.err, 0).Body()
		v.Error = &e.Error
	}
	return v
}
