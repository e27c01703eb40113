package server

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
)

// A depth curve is computed when somebody first asks for it, on some of the model's own problems, behind everybody
// else's requests, and then kept until the model is replaced.
const (
	curveProblems    = 100
	curveTimed       = 10
	curveConcurrency = 4
	curvePriority    = 2
	curveMaxLoss     = 0.5 // points of accuracy that the recommended depth may lose, unless max_loss says more
)

// getCurve answers 200 with the curve, or 202 while it is being computed. A failure is told once; asking again tries again.
func (s *Server) getCurve(c *gin.Context) {
	t, err := s.models().find(c.Query("model"))
	if err != nil {
		s.fail(c, err)
		return
	}
	q, err := readCurve(c.Request.URL.Query(), t)
	if err != nil {
		s.fail(c, err)
		return
	}
	if t.Problems == nil {
		s.fail(c, &api.Error{
			Status: http.StatusNotFound, Type: api.TypeInvalid, Code: "no_problems", Param: "model",
			Message: "model " + t.Name + " has no problems to measure it with: put an eval.jsonl into its bundle, or run `loopserve eval --problems`",
		})
		return
	}
	j, err := s.curve(t.Model, q.depths)
	if err != nil {
		s.fail(c, err)
		return
	}
	if v := j.view(); v.Status == jobRunning {
		c.Writer.Header().Set("Retry-After", "2")
		respond(c, http.StatusAccepted, gin.H{
			"object": jobCurve, "model": t.Name, "status": "computing", "progress": gin.H{"done": v.Progress.Done, "total": v.Progress.Total},
		})
		return
	}
	found, err := j.outcome()
	curve, ok := found.(*measure.Curve)
	switch {
	case !ok:
		s.jobs.remove(j)
		s.fail(c, err)
	case q.svg && q.policy:
		respondSVG(c, curve.PolicyPlot())
	case q.svg:
		respondSVG(c, curve.AccuracyPlot(q.log))
	default:
		out := *curve
		out.Recommended = measure.Advise(curve.Points, q.maxLoss)
		respond(c, http.StatusOK, &out)
	}
}

// curve finds a model's curve, or starts it where nothing else is being measured.
func (s *Server) curve(m *generate.Model, depths []measure.Depth) (*job, error) {
	id := fmt.Sprint(depths)
	if j := s.jobs.find(jobCurve, id, m); j != nil {
		return j, nil
	}
	e := measure.Evaluation{Depths: depths, Concurrency: curveConcurrency, Timed: curveTimed}
	data, err := m.Problems()
	if err == nil {
		e.Problems, err = measure.ReadProblems(bytes.NewReader(data))
	}
	if err != nil {
		return nil, fmt.Errorf("problems of model %s: %w", m.Name, err)
	}
	e.Problems = measure.Some(e.Problems, curveProblems)
	j := &job{kind: jobCurve, id: id, model: m, total: len(depths) * (len(e.Problems) + min(curveTimed, len(e.Problems)))}
	e.Progress = func(done, total int) { j.progress(done, total, measure.Shape{}) }
	running := s.jobs.start(s.stop, j, func(ctx context.Context) (any, error) {
		inside := &measure.Process{Generator: m.Generator, Tokenizer: m.Tokenizer, StopIDs: m.StopIDs, Context: m.Context, Priority: curvePriority}
		curve, err := measure.Score(ctx, inside, e)
		if err != nil {
			return nil, err
		}
		curve.Model = m.Name
		return curve, nil
	})
	switch {
	case running == nil:
		return j, nil
	case running.kind == jobCurve && running.id == id && running.model == m: // somebody else asked in between
		return running, nil
	case running.kind == jobCurve:
		return nil, curveRunning("another depth curve is being computed")
	}
	return nil, curveRunning("a benchmark is running")
}

// curveRunning is the answer while another measurement runs, which ends by itself.
func curveRunning(what string) error {
	return &api.Error{
		Status: http.StatusServiceUnavailable, Type: api.TypeServer, Code: "curve_running", RetryAfter: 5 * time.Second,
		Message: what + ", and concurrent measurements distort each other: try again when it is done",
	}
}
