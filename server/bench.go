package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
)

// The benchmark runs inside the server, on the engine that serves, without HTTP in between. docs/benchmarks.md has the
// definitions.

// postBench starts a benchmark.
func (s *Server) postBench(c *gin.Context) (any, error) {
	v, t, err := s.decode(c, api.Bench)
	if err != nil {
		return nil, err
	}
	plan, steps, err := benchPlan(v, t, s.cfg.Limits)
	if err != nil {
		return nil, err
	}
	if s.tenant(c).LoopSteps > 0 { // it is booked for what it asks for, and no time makes it more
		plan.Least, plan.Most = 0, 0
	}
	if v.Bool("force") && !s.operates(c) {
		e := failure(http.StatusForbidden, "operator_only",
			"force is true: it slows down everybody's requests, and this API key is no operator's: leave force out, or ask the operator of this server")
		e.Param = "force"
		return nil, e
	}
	if s.isDraining() {
		return nil, loopctl.ErrDraining
	}
	// First, since its requests keep the server busy, and waiting for them or force would not help.
	if running := s.jobs.current(); running != nil {
		return nil, s.occupied(c, running)
	}
	if reason := s.busy(); reason != "" && !v.Bool("force") {
		e := failure(http.StatusServiceUnavailable, "server_busy",
			"the server is busy: %s: a benchmark would measure them as well, and slow them down; wait, or set force to true", reason)
		e.RetryAfter = max(s.backlog(), time.Second)
		return nil, e
	}
	j := newJob(jobBench, "bench-"+strings.ToLower(rand.Text()[:16]), t.Model, len(plan.Shapes())*(plan.Runs+plan.WarmUp))
	j.owner, plan.Progress = c.GetString(keyTenant), j.progress
	running, err := s.book(c, j, "concurrency", steps, slices.Max(plan.Concurrency), func(ctx context.Context) (any, error) { return s.runBench(ctx, j, plan) })
	if err != nil {
		return nil, err
	}
	if running != nil {
		return nil, s.occupied(c, running)
	}
	note(c, "bench", j.id)
	c.Writer.Header().Set("Location", s.cfg.RootPath+"/v1/bench/"+j.id)
	respond(c, http.StatusAccepted, j.look())
	return nil, nil
}

// book starts a job, unless one is running, at the cost of the request's key: the loop-steps whole, the sequences while it runs.
// Where that is more than the key ever has, the error names the field param.
func (s *Server) book(c *gin.Context, j *job, param string, steps int64, sequences int, run func(context.Context) (any, error)) (running *job, err error) {
	t := s.tenant(c)
	if err := t.take(steps, sequences, c.Writer.Header()); err != nil {
		e := toAPI(err, 0)
		if e.Param != "" {
			e.Param = param
		}
		return nil, e
	}
	running = s.jobs.start(s.stop, j, func(ctx context.Context) (any, error) {
		defer t.giveBack(0, sequences)
		return run(ctx)
	})
	if running != nil {
		t.giveBack(steps, sequences)
	}
	return running, nil
}

// occupied is the answer while another measurement runs.
func (s *Server) occupied(c *gin.Context, j *job) error {
	if j.kind == jobCurve {
		return curveRunning("a depth curve of model " + j.model.Name + " is being computed")
	}
	e := failure(http.StatusConflict, "bench_running",
		"another benchmark is running, and concurrent benchmarks distort each other: wait for %s, or delete it", j.id)
	if !s.sees(c, j) {
		e.Message = "another key's benchmark is running, and concurrent benchmarks distort each other: wait until it is done"
	}
	e.NoRetry = true
	return e
}

// busy says what the server is doing, if anything.
func (s *Server) busy() string {
	var what []string
	for _, m := range s.models() {
		if snap := m.Generator.Snapshot(); snap.Running+snap.Waiting > 0 {
			what = append(what, fmt.Sprintf("model %s has %d sequences that run and %d that wait", m.Name, snap.Running, snap.Waiting))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open > 0 {
		what = append(what, fmt.Sprintf("%d requests are open", s.open))
	}
	return strings.Join(what, ", ")
}

func (s *Server) runBench(ctx context.Context, j *job, plan measure.Plan) (any, error) {
	m := j.model
	inside := &measure.Process{Generator: m.Generator, Priority: 1, Blocks: func() loopctl.Blocks { return s.metrics.Blocks(m.Name) }}
	r, err := measure.Sweep(ctx, inside, plan)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error("benchmark failed", "bench", j.id, "model", m.Name, "err", err)
		}
		return nil, err
	}
	r.Model = m.Name
	return r, nil
}

// sees says whether a job is its own, or the request an operator's.
func (s *Server) sees(c *gin.Context, j *job) bool {
	return s.operates(c) || j.owner == c.GetString(keyTenant)
}

// getBenches lists what is remembered of the key's own, newest first.
func (s *Server) getBenches(c *gin.Context) (any, error) {
	list := []jobState{}
	for _, j := range s.jobs.all(jobBench) {
		if state := j.look(); s.sees(c, j) {
			state.Result = nil // which is long
			list = append(list, state)
		}
	}
	return gin.H{"object": "list", "data": list}, nil
}

// ofBench finds the job of the path, or answers 404.
func (s *Server) ofBench(handle func(*gin.Context, *job) (any, error)) handler {
	return func(c *gin.Context) (any, error) {
		if j := s.jobs.find(jobBench, c.Param("id"), nil); j != nil && s.sees(c, j) {
			return handle(c, j)
		}
		return nil, failure(http.StatusNotFound, "bench_not_found", "benchmark %s is not known: GET /v1/bench lists the last %d", api.Quote(c.Param("id")), mostJobs)
	}
}

// benchAs answers with a benchmark in one of the formats, which a parameter of the query names; without it the first.
func (s *Server) benchAs(param string, formats ...string) handler {
	return s.ofBench(func(c *gin.Context, j *job) (any, error) {
		format, state := c.DefaultQuery(param, formats[0]), j.look()
		if !slices.Contains(formats, format) {
			return nil, api.Bad(param, api.CodeValue, "%s is %s: it must be one of %s", param, api.Quote(format), strings.Join(formats, ", "))
		}
		if format == measure.JSON {
			return state, nil
		}
		if state.Result == nil {
			e := failure(http.StatusConflict, "bench_not_done", "benchmark %s is %s: there is a result only when it is done", j.id, state.Status)
			e.NoRetry = true
			return nil, e
		}
		var out bytes.Buffer
		if err := measure.Write(&out, format, state.Result); err != nil {
			return nil, err
		}
		switch format {
		case measure.CSV:
			respondBytes(c, http.StatusOK, "text/csv; charset=utf-8", out.Bytes())
		case measure.Benchstat:
			respondBytes(c, http.StatusOK, "text/plain; charset=utf-8", out.Bytes())
		default:
			respondSVG(c, out.Bytes())
		}
		return nil, nil
	})
}

// respondSVG sends a plot, which may run nothing and load nothing where it is opened as a page.
func respondSVG(c *gin.Context, svg []byte) {
	c.Writer.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	respondBytes(c, http.StatusOK, "image/svg+xml", svg)
}

// getBenchEvents streams the job's state at each change, and at least every ten seconds, until it ends.
func (s *Server) getBenchEvents(c *gin.Context, j *job) (any, error) {
	w := newEventWriter(c)
	for {
		state, changed := j.watch()
		state.Result = nil
		if left := w.send(state) != nil || w.flush() != nil; left {
			return nil, nil
		}
		if state.Status != jobRunning {
			_ = w.done()
			return nil, nil
		}
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
		case <-c.Request.Context().Done():
			return nil, nil
		case <-s.stop.Done():
			s.endStream(c, w, errShutdown)
			return nil, nil
		}
	}
}

// deleteBench cancels a job that runs, and forgets one that has ended.
func (s *Server) deleteBench(c *gin.Context, j *job) (any, error) {
	j.cancel()
	select {
	case <-j.finished:
	case <-c.Request.Context().Done():
		return nil, errors.Join(context.Canceled, context.Cause(c.Request.Context()))
	}
	s.jobs.remove(j)
	return gin.H{"id": j.id, "object": "bench.deleted", "deleted": true, "status": j.look().Status}, nil
}
