package server

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/internal/evaluate"
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
	mostCurves       = 16  // kept
)

// curves are those that were asked for; at most one is being computed.
type curves struct {
	mu   sync.Mutex
	list []*curve // oldest first
	wg   sync.WaitGroup
}

type curve struct {
	model    *generate.Model
	settings []evaluate.Setting

	// Under curves.mu.
	done, total int
	running     bool
	points      []evaluate.Point
	report      *evaluate.Report
	err         error
}

// getCurve answers 200 with the curve, or 202 while it is being computed.
func (s *Server) getCurve(c *gin.Context) {
	t, err := s.models().find(c.Query("model"))
	if err != nil {
		s.fail(c, err)
		return
	}
	w, err := readCurve(c.Request.URL.Query(), t)
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
	v, err := s.curves.get(s.stop, t.Model, w.settings, s.jobs.current() != nil)
	switch {
	case err != nil:
		s.fail(c, err)
	case v.report == nil:
		c.Writer.Header().Set("Retry-After", "2")
		respond(c, http.StatusAccepted, gin.H{
			"object": "depth.curve", "model": t.Name, "status": "computing", "progress": gin.H{"done": v.done, "total": v.total},
		})
	case w.svg && w.policy:
		respondSVG(c, evaluate.PolicyPlot(t.Name, v.points))
	case w.svg:
		respondSVG(c, evaluate.AccuracyPlot(t.Name, v.points, w.log))
	default:
		report := *v.report
		report.Recommended = evaluate.NewAdvice(v.points, w.maxLoss)
		respond(c, http.StatusOK, &report)
	}
}

// get finds a curve, or starts it where neither a curve is being computed nor a benchmark runs, which would measure it. A
// failure is told once; asking again tries again.
func (cs *curves) get(ctx context.Context, m *generate.Model, settings []evaluate.Setting, benchmark bool) (curve, error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	busy := benchmark
	for i, v := range cs.list {
		busy = busy || v.running
		if v.model != m || !slices.Equal(v.settings, settings) {
			continue
		}
		if v.err != nil {
			cs.list = slices.Delete(cs.list, i, i+1)
			return curve{}, v.err
		}
		return *v, nil
	}
	if busy {
		return curve{}, &api.Error{
			Status: http.StatusServiceUnavailable, Type: api.TypeServer, Code: "curve_running", RetryAfter: 5 * time.Second,
			Message: "another depth curve is being computed, or a benchmark runs: try again when it is done",
		}
	}
	data, err := m.Problems()
	if err != nil {
		return curve{}, fmt.Errorf("problems of model %s: %w", m.Name, err)
	}
	problems, err := evaluate.ReadProblems(bytes.NewReader(data))
	if err != nil {
		return curve{}, fmt.Errorf("problems of model %s: %w", m.Name, err)
	}
	problems = evaluate.Some(problems, curveProblems)
	v := &curve{model: m, settings: settings, running: true, total: len(settings) * (len(problems) + min(curveTimed, len(problems)))}
	cs.list = append(cs.list, v)
	if over := len(cs.list) - mostCurves; over > 0 {
		cs.list = slices.Delete(cs.list, 0, over)
	}
	cs.wg.Go(func() { cs.compute(ctx, v, problems) })
	return *v, nil
}

func (cs *curves) compute(ctx context.Context, v *curve, problems []evaluate.Problem) {
	o := evaluate.Options{Settings: v.settings, Concurrency: curveConcurrency, Timed: curveTimed, Progress: func(done, _ int) {
		cs.mu.Lock()
		defer cs.mu.Unlock()
		v.done = done
	}}
	points, err := evaluate.Run(ctx, &insideAsker{v.model}, o, problems)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	v.running = false
	if v.err = err; err == nil {
		v.points, v.report = points, evaluate.NewReport(v.model.Name, points, curveMaxLoss)
	}
}
