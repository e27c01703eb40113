package server

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/loopserve/loopserve/internal/evaluate"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
)

// curveWish is what a request for a depth curve asks for.
type curveWish struct {
	settings []evaluate.Setting
	policy   bool // settings of an exit policy are among them
	maxLoss  float64
	svg, log bool
}

var curveFields = []string{"model", "loops", "exit_policy", "max_loss", "format", "log"}

// readCurve reads the query. A name's own loops or policy hold where the query has none.
func readCurve(q url.Values, t target) (w curveWish, err error) {
	for _, name := range curveFields {
		if len(q[name]) > 1 {
			return w, api.Bad(name, api.CodeValue, "%s is given %d times: give it once", name, len(q[name]))
		}
	}
	m := t.Model
	if t.Alias > 0 && !q.Has("loops") {
		q.Set("loops", strconv.Itoa(t.Alias))
	}
	if t.Auto && !q.Has("exit_policy") {
		q.Set("exit_policy", "auto")
	}
	loops, err := curveLoops(q.Get("loops"), m)
	if err != nil {
		return w, err
	}
	for _, n := range loops {
		w.settings = append(w.settings, evaluate.Setting{Loops: n})
	}
	if name := q.Get("exit_policy"); name != "" {
		kind := m.AutoDepth().Exit.Kind
		if name != "auto" {
			if kind, err = generate.ParsePolicy(name, m); err != nil {
				return w, err
			}
		}
		for _, v := range evaluate.Thresholds[kind] {
			w.settings = append(w.settings, evaluate.Setting{Loops: slices.Max(loops), Exit: loopctl.ExitPolicy{Kind: kind, Threshold: v}})
		}
		w.policy = kind != loopctl.ExitNone
	}
	w.maxLoss = curveMaxLoss
	if q.Has("max_loss") {
		text := q.Get("max_loss")
		w.maxLoss, err = strconv.ParseFloat(text, 64)
		if err != nil || !(w.maxLoss >= 0 && w.maxLoss <= 100) {
			return w, api.Bad("max_loss", api.CodeValue, "max_loss is %s: it must be a number from 0 to 100, points of accuracy", api.Quote(text))
		}
	}
	switch format := q.Get("format"); format {
	case "", "json":
	case "svg":
		w.svg, w.log = true, q.Get("log") == "true"
	default:
		return w, api.Bad("format", api.CodeValue, "format is %s: it must be json or svg", api.Quote(format))
	}
	return w, nil
}

// curveLoops reads 1,2,4; nothing means powers of two up to the most, the default and the trained depth.
func curveLoops(text string, m *generate.Model) ([]int, error) {
	if text == "" {
		loops := append(defaultSweep(m), m.Loops.Default, m.TrainedLoops())
		slices.Sort(loops)
		return slices.Compact(loops), nil
	}
	var out []int
	for _, item := range strings.Split(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(item))
		if err != nil || n < m.Loops.Min || n > m.Loops.Max {
			return nil, api.Bad("loops", "loops_out_of_range", "loops is %s: it must be integers from %d to %d, with commas between", api.Quote(text), m.Loops.Min, m.Loops.Max)
		}
		out = append(out, n)
	}
	if len(out) > mostBenchList {
		return nil, api.Bad("loops", api.CodeValue, "loops has %d numbers: at most %d are allowed", len(out), mostBenchList)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
