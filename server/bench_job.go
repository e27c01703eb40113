package server

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/loopserve/loopserve/internal/bench"
	"github.com/loopserve/loopserve/server/api"
)

// mostJobs bounds how many benchmarks are remembered, the running one with them.
const mostJobs = 8

// What a job may be.
const (
	jobRunning   = "running"
	jobDone      = "done"
	jobFailed    = "failed"
	jobCancelled = "cancelled"
)

// errJobDeleted is why a deleted job's requests end.
var errJobDeleted = errors.New("the benchmark was deleted")

// jobs are the server's benchmarks: at most one runs at a time, since two would measure each other.
type jobs struct {
	mu   sync.Mutex
	list []*job // oldest first
	wg   sync.WaitGroup
}

// job is one benchmark. Its fields below mu change while it runs.
type job struct {
	id, model string
	created   time.Time
	cancel    context.CancelCauseFunc
	finished  chan struct{}

	mu          sync.Mutex
	changed     chan struct{} // closed, and replaced, at each change
	status      string
	done, total int
	now         bench.Shape
	result      *bench.Result
	err         error
}

// start begins a job unless one is running, which it then returns. run gets a context that ends with parent and with
// the job's deletion.
func (js *jobs) start(parent context.Context, model string, total int, run func(context.Context, *job) (*bench.Result, error)) (j, running *job) {
	js.mu.Lock()
	defer js.mu.Unlock()
	if other := js.busy(); other != nil {
		return nil, other
	}
	ctx, cancel := context.WithCancelCause(parent)
	j = &job{
		id: "bench-" + strings.ToLower(rand.Text()[:16]), model: model, created: time.Now(), cancel: cancel,
		finished: make(chan struct{}), changed: make(chan struct{}), status: jobRunning, total: total,
	}
	js.list = append(js.list, j)
	if over := len(js.list) - mostJobs; over > 0 {
		js.list = slices.Delete(js.list, 0, over)
	}
	js.wg.Go(func() {
		defer close(j.finished)
		defer cancel(nil)
		result, err := run(ctx, j)
		j.end(ctx, result, err)
	})
	return j, nil
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

// current is the job that runs, nil where none does.
func (js *jobs) current() *job {
	js.mu.Lock()
	defer js.mu.Unlock()
	return js.busy()
}

func (js *jobs) find(id string) *job {
	js.mu.Lock()
	defer js.mu.Unlock()
	for _, j := range js.list {
		if j.id == id {
			return j
		}
	}
	return nil
}

// all are the remembered jobs, newest first.
func (js *jobs) all() []*job {
	js.mu.Lock()
	defer js.mu.Unlock()
	out := slices.Clone(js.list)
	slices.Reverse(out)
	return out
}

func (js *jobs) remove(j *job) {
	js.mu.Lock()
	defer js.mu.Unlock()
	js.list = slices.DeleteFunc(js.list, func(o *job) bool { return o == j })
}

// progress is told after each run.
func (j *job) progress(done, total int, now bench.Shape) {
	j.change(func() { j.done, j.total, j.now = done, total, now })
}

func (j *job) end(ctx context.Context, result *bench.Result, err error) {
	j.change(func() {
		switch {
		case err == nil:
			j.status, j.result = jobDone, result
		case ctx.Err() != nil: // by its deletion, or with the server
			j.status = jobCancelled
		default:
			j.status, j.err = jobFailed, err
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

// jobView is a job as clients see it.
type jobView struct {
	ID       string           `json:"id"`
	Object   string           `json:"object"`
	Model    string           `json:"model"`
	Created  int64            `json:"created"`
	Status   string           `json:"status"`
	Progress jobProgress      `json:"progress"`
	Error    *api.ErrorDetail `json:"error"`
	Result   *bench.Result    `json:"result"`
}

type jobProgress struct {
	Done  int         `json:"done"` // runs of points, those that warm up too
	Total int         `json:"total"`
	Now   bench.Shape `json:"now"` // the point measured last
}

func (j *job) view() jobView {
	j.mu.Lock()
	defer j.mu.Unlock()
	v := jobView{
		ID: j.id, Object: "bench", Model: j.model, Created: j.created.Unix(), Status: j.status,
		Progress: jobProgress{j.done, j.total, j.now}, Result: j.result,
	}
	if j.err != nil {
		e := toAPI(j.err, 0).Body()
		v.Error = &e.Error
	}
	return v
}

// brief is the view without the result, which is long.
func (j *job) brief() jobView {
	v := j.view()
	v.Result = nil
	return v
}
