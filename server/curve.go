package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/loopctl"
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
)

// getCurve answers 200 with the curve, or 202 while it is being computed. A failure is told once; asking again tries again.
func (s *Server) getCurve(c *gin.Context) (any, error) {
	t, err := s.models().find(c.Query("model"))
	if err != nil {
		return nil, err
	}
	b, err := api.Query(c.Request.URL.Query(), api.Curve)
	if err != nil {
		return nil, err
	}
	v, err := api.Decode(b, api.Curve, t.Bounds(s.cfg.Limits))
	if err != nil {
		return nil, err
	}
	depths, err := curveDepths(v, t)
	if err != nil {
		return nil, err
	}
	if t.Problems == nil {
		e := failure(http.StatusNotFound, "no_problems",
			"model %s has no problems to measure it with: put an eval.jsonl into its bundle, or run `loopserve eval --problems`", t.Name)
		e.Param = "model"
		return nil, e
	}
	j, err := s.curve(c, t.Model, depths)
	if err != nil {
		return nil, err
	}
	state := j.look()
	if state.Status == jobRunning {
		c.Writer.Header().Set("Retry-After", "2")
		respond(c, http.StatusAccepted, gin.H{
			"object": jobCurve, "model": t.Name, "status": "computing", "progress": gin.H{"done": state.Progress.Done, "total": state.Progress.Total},
		})
		return nil, nil
	}
	curve, ok := state.Result.(*measure.Curve)
	switch {
	case !ok:
		s.jobs.remove(j)
		return nil, state.cause
	case v.Text("format") == "json":
		out := *curve
		out.Recommended = measure.Advise(curve.Points, v.Number("max_loss"))
		return &out, nil
	case depths[len(depths)-1].Exit.Kind != loopctl.ExitNone:
		respondSVG(c, curve.PolicyPlot())
	default:
		respondSVG(c, curve.AccuracyPlot(v.Bool("log")))
	}
	return nil, nil
}

// curveDepths are the loops that the query asks for, or the name's own, or powers of two, the default and the trained depth;
// then those under an exit policy, at its thresholds.
func curveDepths(v *api.Values, t target) (depths []measure.Depth, err error) {
	m, loops := t.Model, v.Ints("loops")
	if loops == nil {
		if loops = sweptLoops(t); t.Alias == 0 {
			loops = append(loops, m.Loops.Default, m.TrainedLoops())
		}
	}
	slices.Sort(loops)
	loops = slices.Compact(loops)
	for _, n := range loops {
		if !m.Takes(n) {
			return nil, v.OutOfRange("loops", "loops", json.RawMessage(strconv.Itoa(n)))
		}
	}
	kind := loopctl.ExitNone
	switch policy := v.Text("exit_policy"); {
	case policy == "auto" || policy == "" && t.Auto:
		kind = m.AutoDepth().Exit.Kind
	case policy != "":
		kind, err = generate.ParsePolicy(policy, m)
	}
	return measure.Depths(loops, loops[len(loops)-1], []loopctl.ExitKind{kind}, nil, 0), err
}

// curve finds a model's curve, or starts it where nothing else is being measured.
func (s *Server) curve(c *gin.Context, m *generate.Model, depths []measure.Depth) (*job, error) {
	id := fmt.Sprint(depths)
	if j := s.jobs.find(jobCurve, id, m); j != nil {
		return j, nil
	}
	e := measure.Evaluation{Depths: depths, Concurrency: curveConcurrency, Timed: curveTimed}
	data, err := m.Problems()
	if err == nil {
		e.Problems, err = measure.ReadProblems(data)
	}
	if err != nil {
		return nil, fmt.Errorf("problems of model %s: %w", m.Name, err)
	}
	e.Problems = measure.Some(e.Problems, curveProblems)
	j := newJob(jobCurve, id, m, len(depths)*(len(e.Problems)+min(curveTimed, len(e.Problems))))
	e.Progress = func(done, total int) { j.progress(done, total, measure.Shape{}) }
	if most := s.tenant(c).Sequences; most > 0 {
		e.Concurrency = min(e.Concurrency, most)
	}
	running, err := s.book(c, j, "loops", curveSteps(e), e.Concurrency, func(ctx context.Context) (any, error) {
		inside := &measure.Process{Generator: m.Generator, Tokenizer: m.Tokenizer, StopIDs: m.StopIDs, Context: m.Context, Priority: curvePriority}
		curve, err := measure.Score(ctx, inside, e)
		if err != nil {
			return nil, err
		}
		curve.Model = m.Name
		return curve, nil
	})
	switch {
	case err != nil:
		return nil, err
	case running == nil:
		return j, nil
	case running.kind == jobCurve && running.id == id && running.model == m: // somebody else asked in between
		return running, nil
	case running.kind == jobCurve:
		return nil, curveRunning("another depth curve is being computed")
	}
	return nil, curveRunning("a benchmark is running")
}

// curveSteps are the loop-steps of an evaluation at worst: a token for each byte.
func curveSteps(e measure.Evaluation) (steps int64) {
	rows, answer := 0, 0
	for i, p := range e.Problems {
		answer = max(answer, len(p.Answer)+4)
		if rows += len(p.Prompt); i < e.Timed {
			rows += len(p.Prompt)
		}
	}
	rows += (len(e.Problems) + min(e.Timed, len(e.Problems))) * answer
	for _, d := range e.Depths {
		steps += int64(rows) * int64(d.Loops)
	}
	return steps
}

// curveRunning is the answer while another measurement runs, which ends by itself.
func curveRunning(what string) error {
	e := failure(http.StatusServiceUnavailable, "curve_running", "%s, and concurrent measurements distort each other: try again when it is done", what)
	e.RetryAfter = 5 * time.Second
	return e
}
