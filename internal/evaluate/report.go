package evaluate

import (
	"encoding/json"
	"io"
	"time"
)

// Report is what is kept of an evaluation: JSON for files and for GET /v1/depth/curve.
type Report struct {
	Object      string         `json:"object"` // "depth.curve"
	Model       string         `json:"model"`
	Problems    int            `json:"problems"`
	Date        string         `json:"date"`
	Points      []ReportPoint  `json:"points"`
	Recommended *ReportAdvice  `json:"recommended"` // null where no fixed depth was asked
	Drafts      []DraftOutcome `json:"drafts,omitempty"`
}

// ReportPoint is one setting. Latencies are null where none was measured.
type ReportPoint struct {
	Loops         int           `json:"loops"`
	ExitPolicy    string        `json:"exit_policy"`
	ExitThreshold float64       `json:"exit_threshold,omitempty"`
	Accuracy      float64       `json:"accuracy"` // percent
	Low           float64       `json:"accuracy_low"`
	High          float64       `json:"accuracy_high"` // the 95 % interval
	MeanLoops     float64       `json:"mean_loops"`
	NatsPerToken  *float64      `json:"nats_per_token,omitempty"`
	TTFT          *float64      `json:"ttft_ms"`
	E2E           *float64      `json:"e2e_ms"`
	PerToken      *float64      `json:"ms_per_token"`
	Groups        []ReportGroup `json:"groups"`
}

// ReportGroup is one difficulty at one setting.
type ReportGroup struct {
	Name      string  `json:"name"`
	Total     int     `json:"total"`
	Accuracy  float64 `json:"accuracy"`
	MeanLoops float64 `json:"mean_loops"`
}

// ReportAdvice is the least depth within a loss of accuracy.
type ReportAdvice struct {
	MaxLoss       float64 `json:"max_loss"`
	Loops         int     `json:"loops"`
	ExitPolicy    string  `json:"exit_policy,omitempty"` // of the cheapest policy within the loss
	ExitThreshold float64 `json:"exit_threshold,omitempty"`
	PolicyLoops   int     `json:"policy_loops,omitempty"` // its cap
	MeanLoops     float64 `json:"policy_mean_loops,omitempty"`
}

// NewReport puts points into the form that is kept.
func NewReport(model string, points []Point, maxLoss float64) *Report {
	r := &Report{Object: "depth.curve", Model: model, Date: time.Now().UTC().Format(time.RFC3339), Points: []ReportPoint{}}
	for i := range points {
		p := &points[i]
		r.Problems = p.Total
		q := ReportPoint{
			Loops: p.Setting.Loops, ExitPolicy: p.Setting.Exit.Kind.String(), ExitThreshold: p.Setting.Exit.Threshold,
			Accuracy: p.Accuracy(), MeanLoops: p.MeanLoops(), Groups: []ReportGroup{},
		}
		q.Low, q.High = p.Interval()
		if p.Tokens == 0 && !p.policy() {
			q.MeanLoops = float64(p.Setting.Loops)
		}
		if p.Scored > 0 {
			nats := p.NatsPerToken()
			q.NatsPerToken = &nats
		}
		if p.E2E > 0 {
			q.TTFT, q.E2E, q.PerToken = millis(p.TTFT), millis(p.E2E), millis(p.PerToken)
		}
		for _, g := range p.Groups {
			q.Groups = append(q.Groups, ReportGroup{g.Name, g.Total, g.Accuracy(), g.MeanLoops()})
		}
		r.Points = append(r.Points, q)
	}
	r.Recommended = NewAdvice(points, maxLoss)
	return r
}

// NewAdvice is what a report recommends; nil where no fixed depth was asked.
func NewAdvice(points []Point, maxLoss float64) *ReportAdvice {
	r, ok := Recommend(points, maxLoss)
	if !ok {
		return nil
	}
	a := &ReportAdvice{MaxLoss: maxLoss, Loops: r.Fixed.Setting.Loops}
	if p := r.Policy; p != nil {
		a.ExitPolicy, a.ExitThreshold = p.Setting.Exit.Kind.String(), p.Setting.Exit.Threshold
		a.PolicyLoops, a.MeanLoops = p.Setting.Loops, p.MeanLoops()
	}
	return a
}

func millis(d time.Duration) *float64 {
	v := float64(d) / float64(time.Millisecond)
	return &v
}

// WriteJSON writes the report as it is.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
