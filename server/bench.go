package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"
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
func (s *Server) postBench(c *gin.Context) {
	b, t, err := s.readRequest(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	plan, force, err := readBench(b, t, s.cfg.Limits)
	if err != nil {
		s.fail(c, err)
		return
	}
	if s.isDraining() {
		s.fail(c, loopctl.ErrDraining)
		return
	}
	// First, since its requests keep the server busy, and waiting for them or force would not help.
	if running := s.jobs.current(); running != nil {
		s.fail(c, occupied(running))
		return
	}
	if reason := s.busy(); reason != "" && !force {
		s.fail(c, &api.Error{
			Status: http.StatusServiceUnavailable, Type: api.TypeServer, Code: "server_busy", RetryAfter: max(s.backlog(), time.Second),
			Message: "the server is busy: " + reason + ": a benchmark would measure them as well, and slow them down; wait, or set force to true",
		})
		return
	}
	j := &job{
		kind: jobBench, id: "bench-" + strings.ToLower(rand.Text()[:16]), model: t.Model, total: len(plan.Shapes()) * (plan.Runs + plan.WarmUp),
	}
	plan.Progress = j.progress
	if running := s.jobs.start(s.stop, j, func(ctx context.Context) (any, error) { return s.runBench(ctx, j, plan) }); running != nil {
		s.fail(c, occupied(running))
		return
	}
	note(c, "bench", j.id)
	c.Writer.Header().Set("Location", "/v1/bench/"+j.id)
	respond(c, http.StatusAccepted, j.view())
}

// occupied is the answer while another measurement runs.
func occupied(j *job) error {
	if j.kind == jobBench {
		return &api.Error{
			Status: http.StatusConflict, Type: api.TypeInvalid, Code: "bench_running", NoRetry: true,
			Message: "another benchmark is running, and concurrent benchmarks distort each other: wait for " + j.id + ", or delete it",
		}
	}
	return curveRunning("a depth curve of model " + j.model.Name + " is being computed")
}

// busy says what the server is doing, if anything.
func (s *Server) busy() string {
	running, waiting := 0, 0
	for _, m := range s.models() {
		snap := m.Generator.Snapshot()
		running, waiting = running+snap.Running, waiting+snap.Waiting
	}
	s.mu.Lock()
	open := s.open
	s.mu.Unlock()
	if running+waiting+open == 0 {
		return ""
	}
	return strconv.Itoa(open) + " requests are open, " + strconv.Itoa(running) + " sequences run and " + strconv.Itoa(waiting) + " wait"
}

func (s *Server) runBench(ctx context.Context, j *job, plan measure.Plan) (any, error) {
	m := j.model
	inside := &measure.Process{Generator: m.Generator, Priority: 1, Blocks: func() measure.Blocks {
		b, _ := s.metrics.Blocks(m.Name)
		return measure.Blocks(b)
	}}
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

// getBenches lists what is remembered, newest first.
func (s *Server) getBenches(c *gin.Context) {
	list := []jobView{}
	for _, j := range s.jobs.all(jobBench) {
		list = append(list, j.view())
	}
	respond(c, http.StatusOK, gin.H{"object": "list", "data": list})
}

// withBench finds the job of the path, or answers 404.
func (s *Server) withBench(handle func(*gin.Context, *job)) gin.HandlerFunc {
	return s.whenReady(func(c *gin.Context) {
		if j := s.jobs.find(jobBench, c.Param("id"), nil); j != nil {
			handle(c, j)
			return
		}
		s.fail(c, &api.Error{
			Status: http.StatusNotFound, Type: api.TypeInvalid, Code: "bench_not_found",
			Message: "benchmark " + api.Quote(c.Param("id")) + " is not known: GET /v1/bench lists the last " + strconv.Itoa(mostJobs),
		})
	})
}

// result is the job's, or an answer that says why there is none.
func (s *Server) result(c *gin.Context, j *job) *measure.SweepResult {
	found, _ := j.outcome()
	r, ok := found.(*measure.SweepResult)
	if !ok {
		s.fail(c, &api.Error{
			Status: http.StatusConflict, Type: api.TypeInvalid, Code: "bench_not_done", NoRetry: true,
			Message: "benchmark " + j.id + " is " + j.view().Status + ": there is a result only when it is done",
		})
	}
	return r
}

func (s *Server) getBench(c *gin.Context, j *job) {
	kinds := map[string]string{measure.CSV: "text/csv; charset=utf-8", measure.Benchstat: "text/plain; charset=utf-8"}
	format := c.Query("format")
	switch {
	case format == "" || format == measure.JSON:
		v := j.view()
		v.Result, _ = j.outcome()
		respond(c, http.StatusOK, v)
		return
	case kinds[format] == "":
		s.fail(c, api.Bad("format", api.CodeValue, "format is %s: it must be json, csv or benchstat", api.Quote(format)))
		return
	}
	r := s.result(c, j)
	if r == nil {
		return
	}
	var out bytes.Buffer
	if err := measure.Write(&out, format, r); err != nil {
		s.fail(c, err)
		return
	}
	respondBytes(c, http.StatusOK, kinds[format], out.Bytes())
}

// respondSVG sends a plot, which may run nothing and load nothing where it is opened as a page.
func respondSVG(c *gin.Context, svg []byte) {
	c.Writer.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	respondBytes(c, http.StatusOK, "image/svg+xml", svg)
}

func (s *Server) getBenchPlot(c *gin.Context, j *job) {
	kind := c.DefaultQuery("kind", "latency")
	if kind != "latency" && kind != "throughput" {
		s.fail(c, api.Bad("kind", api.CodeValue, "kind is %s: it must be latency or throughput", api.Quote(kind)))
		return
	}
	r := s.result(c, j)
	switch {
	case r == nil:
	case kind == "throughput":
		respondSVG(c, r.ThroughputPlot())
	default:
		respondSVG(c, r.LatencyPlot())
	}
}

// getBenchEvents streams the job's state at each change, and at least every ten seconds, until it ends.
func (s *Server) getBenchEvents(c *gin.Context, j *job) {
	w := newEventWriter(c)
	for {
		changed := j.watch() // before looking: a change in between is not missed
		v := j.view()
		if w.send(v) != nil {
			return
		}
		if v.Status != jobRunning {
			_ = w.done()
			return
		}
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
		case <-c.Request.Context().Done():
			return
		case <-s.stop.Done():
			s.endStream(c, w, errShutdown)
			return
		}
	}
}

// deleteBench cancels a job that runs, and forgets one that has ended.
func (s *Server) deleteBench(c *gin.Context, j *job) {
	j.cancel(errJobDeleted)
	select {
	case <-j.finished:
	case <-c.Request.Context().Done():
		s.endFailed(c, errors.Join(context.Canceled, context.Cause(c.Request.Context())))
		return
	}
	s.jobs.remove(j)
	respond(c, http.StatusOK, gin.H{"id": j.id, "object": "bench.deleted", "deleted": true, "status": j.view().Status})
}
