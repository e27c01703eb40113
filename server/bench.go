package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/internal/bench"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
	"github.com/loopserve/loopserve/server/metrics"
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
	if j := s.jobs.current(); j != nil {
		s.fail(c, benchRuns(j))
		return
	}
	if reason := s.busy(); reason != "" && !force {
		s.fail(c, &api.Error{
			Status: http.StatusServiceUnavailable, Type: api.TypeServer, Code: "server_busy", RetryAfter: max(s.backlog(), time.Second),
			Message: "the server is busy: " + reason + ": a benchmark would measure them as well, and slow them down; wait, or set force to true",
		})
		return
	}
	j, running := s.jobs.start(s.stop, t.Name, len(plan.Shapes())*(plan.Runs+plan.WarmUp), func(ctx context.Context, j *job) (*bench.Result, error) {
		return s.runBench(ctx, j, t.Model, plan)
	})
	if running != nil {
		s.fail(c, benchRuns(running))
		return
	}
	note(c, "bench", j.id)
	c.Writer.Header().Set("Location", "/v1/bench/"+j.id)
	respond(c, http.StatusAccepted, j.brief())
}

func benchRuns(j *job) error {
	return &api.Error{
		Status: http.StatusConflict, Type: api.TypeInvalid, Code: "bench_running", NoRetry: true,
		Message: "benchmark " + j.id + " is running, and two would measure each other: wait for it, or delete it",
	}
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

func (s *Server) runBench(ctx context.Context, j *job, m *generate.Model, plan bench.Plan) (*bench.Result, error) {
	target := &bench.InProcess{Generator: m.Generator, Vocab: m.Vocab, Priority: 1, Counter: blockCounter{s.metrics, m.Name}}
	plan.Progress = j.progress
	r, err := bench.Run(ctx, target, plan)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error("benchmark failed", "bench", j.id, "model", m.Name, "err", err)
		}
		return nil, err
	}
	r.Model = m.Name
	return r, nil
}

// blockCounter is the server's own count of a model's block calls.
type blockCounter struct {
	metrics *metrics.Registry
	model   string
}

func (b blockCounter) Blocks() (bench.Blocks, bool) {
	v, ok := b.metrics.Blocks(b.model)
	return bench.Blocks(v), ok
}

// getBenches lists what is remembered, newest first.
func (s *Server) getBenches(c *gin.Context) {
	list := []jobView{}
	for _, j := range s.jobs.all() {
		list = append(list, j.brief())
	}
	respond(c, http.StatusOK, gin.H{"object": "list", "data": list})
}

// job finds the one of the path, or answers 404.
func (s *Server) job(c *gin.Context) *job {
	j := s.jobs.find(c.Param("id"))
	if j == nil {
		s.fail(c, &api.Error{
			Status: http.StatusNotFound, Type: api.TypeInvalid, Code: "bench_not_found",
			Message: "benchmark " + api.Quote(c.Param("id")) + " is not known: GET /v1/bench lists the last " + strconv.Itoa(mostJobs),
		})
	}
	return j
}

// result is the job's, or an answer that says why there is none.
func (s *Server) result(c *gin.Context, j *job) *bench.Result {
	v := j.view()
	if v.Result == nil {
		s.fail(c, &api.Error{
			Status: http.StatusConflict, Type: api.TypeInvalid, Code: "bench_not_done", NoRetry: true,
			Message: "benchmark " + j.id + " is " + v.Status + ": there is a result only when it is done",
		})
	}
	return v.Result
}

func (s *Server) getBench(c *gin.Context) {
	j := s.job(c)
	if j == nil {
		return
	}
	var kind string
	var write func(*bench.Result, io.Writer) error
	switch format := c.Query("format"); format {
	case "", "json":
		respond(c, http.StatusOK, j.view())
		return
	case "csv":
		kind, write = "text/csv; charset=utf-8", (*bench.Result).WriteCSV
	case "benchstat":
		kind, write = "text/plain; charset=utf-8", (*bench.Result).WriteBenchstat
	default:
		s.fail(c, api.Bad("format", api.CodeValue, "format is %s: it must be json, csv or benchstat", api.Quote(format)))
		return
	}
	r := s.result(c, j)
	if r == nil {
		return
	}
	var out bytes.Buffer
	if err := write(r, &out); err != nil {
		s.fail(c, err)
		return
	}
	respondBytes(c, http.StatusOK, kind, out.Bytes())
}

// respondSVG sends a plot, which may run nothing and load nothing where it is opened as a page.
func respondSVG(c *gin.Context, svg []byte) {
	c.Writer.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	respondBytes(c, http.StatusOK, "image/svg+xml", svg)
}

func (s *Server) getBenchPlot(c *gin.Context) {
	j := s.job(c)
	if j == nil {
		return
	}
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
func (s *Server) getBenchEvents(c *gin.Context) {
	j := s.job(c)
	if j == nil {
		return
	}
	w := newEventWriter(c)
	for {
		changed := j.watch() // before looking: a change in between is not missed
		v := j.brief()
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
func (s *Server) deleteBench(c *gin.Context) {
	j := s.job(c)
	if j == nil {
		return
	}
	j.cancel(errJobDeleted)
	select {
	case <-j.finished:
	case <-c.Request.Context().Done():
		s.endFailed(c, errors.Join(context.Canceled, context.Cause(c.Request.Context())))
		return
	}
	v := j.brief()
	s.jobs.remove(j)
	respond(c, http.StatusOK, gin.H{"id": j.id, "object": "bench.deleted", "deleted": true, "status": v.Status})
}
