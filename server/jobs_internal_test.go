package server

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/generate"
)

func job1(kind, id string) *job {
	return newJob(kind, id, &generate.Model{Name: "adder"}, 0)
}

// One measurement runs at a time, of whatever kind; the next may begin when it has ended.
func TestJobsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var js jobs
		gate := make(chan struct{})
		first := job1(jobBench, "a")
		if running := js.start(t.Context(), first, func(context.Context) (any, error) { <-gate; return &measure.SweepResult{}, nil }); running != nil {
			t.Fatalf("%v runs", running)
		}
		for _, kind := range []string{jobBench, jobCurve} {
			if running := js.start(t.Context(), job1(kind, "b"), nil); running != first || js.current() != first {
				t.Errorf("%s beside another: %v", kind, running)
			}
		}
		_, changed := first.watch()
		first.progress(1, 3, measure.Shape{Loops: 4})
		<-changed
		if v := first.look(); v.Status != jobRunning || v.Progress.Done != 1 || v.Progress.Now.Loops != 4 || v.Object != "bench" {
			t.Errorf("%+v", v)
		}
		close(gate)
		<-first.finished
		if state := first.look(); state.cause != nil || state.Result == nil || state.Status != jobDone || js.current() != nil {
			t.Errorf("%+v", state)
		}
		js.wg.Wait()
	})
}

func TestJobsEnd(t *testing.T) {
	for _, tt := range []struct {
		name   string
		end    func(j *job, server context.CancelFunc)
		fail   error
		status string
	}{
		{"done", nil, nil, jobDone},
		{"failed", nil, loopctl.ErrEngine, jobFailed},
		{"deleted", func(j *job, _ context.CancelFunc) { j.cancel() }, nil, jobCancelled},
		{"the server ended", func(_ *job, server context.CancelFunc) { server() }, nil, jobCancelled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, stop := context.WithCancel(t.Context())
				defer stop()
				var js jobs
				j := job1(jobBench, "a")
				js.start(server, j, func(ctx context.Context) (any, error) {
					if tt.end == nil {
						return &measure.SweepResult{}, tt.fail
					}
					<-ctx.Done()
					return nil, context.Cause(ctx)
				})
				if tt.end != nil {
					tt.end(j, stop)
				}
				<-j.finished
				v := j.look()
				if v.Status != tt.status || (v.Error != nil) != (tt.status == jobFailed) {
					t.Errorf("%+v", v)
				}
				if err := v.cause; tt.fail != nil && !errors.Is(err, tt.fail) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// The last few of each kind are remembered, and none pushes out the other kind, nor one key's another's.
func TestJobsForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var js jobs
		run := func(kind, id string) {
			j := job1(kind, id)
			if id == "another's" {
				j.owner = id
			}
			js.start(t.Context(), j, func(context.Context) (any, error) { return nil, nil })
			<-j.finished
		}
		for i := range mostCurves + 1 {
			run(jobCurve, strconv.Itoa(i))
		}
		run(jobBench, "another's")
		for i := range mostJobs + 2 {
			run(jobBench, strconv.Itoa(i))
		}
		benches, curves := js.all(jobBench), js.all(jobCurve)
		if len(benches) != mostJobs+1 || benches[mostJobs].owner == "" || benches[0].id != strconv.Itoa(mostJobs+1) || len(curves) != mostCurves {
			t.Errorf("%d benchmarks, %d curves", len(benches), len(curves))
		}
		if js.find(jobBench, "0", nil) != nil || js.find(jobCurve, "1", nil) == nil || js.find(jobCurve, "1", &generate.Model{}) != nil {
			t.Error("the wrong ones are forgotten or found")
		}
		js.remove(benches[0])
		if js.find(jobBench, benches[0].id, nil) != nil {
			t.Error("removed, and still there")
		}
	})
}
