package server

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
)

// curveQuery is what a request for a depth curve asks for.
type curveQuery struct {
	depths   []measure.Depth
	policy   bool // depths under an exit policy are among them
	maxLoss  float64
	svg, log bool
}

var curveFields = []string{"model", "loops", "exit_policy", "max_loss", "format", "log"}

// readCurve reads the query. A name's own loops or policy hold where the query has none.
func readCurve(query url.Values, t target) (q curveQuery, err error) {
	for _, name := range curveFields {
		if len(query[name]) > 1 {
			return q, api.Bad(name, api.CodeValue, "%s is given %d times: give it once", name, len(query[name]))
		}
	}
	m := t.Model
	if t.Alias > 0 && !query.Has("loops") {
		query.Set("loops", strconv.Itoa(t.Alias))
	}
	if t.Auto && !query.Has("exit_policy") {
		query.Set("exit_policy", "auto")
	}
	loops, err := curveLoops(query.Get("loops"), m)
	if err != nil {
		return q, err
	}
	for _, n := range loops {
		q.depths = append(q.depths, measure.Depth{Loops: n})
	}
	if name := query.Get("exit_policy"); name != "" {
		kind := m.AutoDepth().Exit.Kind
		if name != "auto" {
			if kind, err = generate.ParsePolicy(name, m); err != nil {
				return q, err
			}
		}
		for _, v := range measure.Thresholds(kind, m.Loops.Max) {
			q.depths = append(q.depths, measure.Depth{Loops: slices.Max(loops), Exit: loopctl.ExitPolicy{Kind: kind, Threshold: v}})
		}
		q.policy = kind != loopctl.ExitNone
	}
	q.maxLoss = curveMaxLoss
	if query.Has("max_loss") {
		text := query.Get("max_loss")
		q.maxLoss, err = strconv.ParseFloat(text, 64)
		if err != nil || !(q.maxLoss >= 0 && q.maxLoss <= 100) {
			return q, api.Bad("max_loss", api.CodeValue, "max_loss is %s: it must be a number from 0 to 100, points of accuracy", api.Quote(text))
		}
	}
	format := "json"
	if query.Has("format") {
		format = query.Get("format")
	}
	switch format {
	case "json":
	case "svg":
		q.svg, q.log = true, query.Get("log") == "true"
	default:
		return q, api.Bad("format", api.CodeValue, "format is %s: it must be json or svg", api.Quote(format))
	}
	return q, nil
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
		if err != nil || !m.Takes(n) {
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
