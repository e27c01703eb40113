package parity

import (
	"math"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	r := Report{
		Lines: []Line{
			{What: "prompt_0/T_1/logits", Kind: "logits", MaxDiff: 1e-5, Tolerance: 4e-4},
			{What: "prompt_1/T_1/logits", Kind: "logits", MaxDiff: 2e-5, Tolerance: 4e-4},
			{What: "prompt_1/T_1/exit_step_0.5", Kind: "exit steps, threshold 0.5", Compared: 7, Differ: 1},
			{What: "greedy/T_1/tokens", Kind: "greedy logits and tokens", MaxDiff: 3e-5, Tolerance: 4e-4, Compared: 24},
		},
		Left: []string{"prompt_1/prelude: not shown"},
	}
	var all, worst strings.Builder
	r.Write(&all)
	r.WriteSummary(&worst)
	const wantAll = `| compared | max abs difference | tolerance | equal | |
|---|---:|---:|---:|---|
| prompt_0/T_1/logits | 1.0e-05 | 4e-04 |  | ok |
| prompt_1/T_1/logits | 2.0e-05 | 4e-04 |  | ok |
| prompt_1/T_1/exit_step_0.5 |  |  | 6 of 7 | **differs** |
| greedy/T_1/tokens | 3.0e-05 | 4e-04 | 24 of 24 | ok |
not compared: prompt_1/prelude: not shown
`
	const wantWorst = `| worst of | max abs difference | tolerance | equal | |
|---|---:|---:|---:|---|
| logits | 2.0e-05 | 4e-04 |  | ok |
| exit steps, threshold 0.5 |  |  | 6 of 7 | **differs** |
| greedy logits and tokens | 3.0e-05 | 4e-04 | 24 of 24 | ok |
`
	if all.String() != wantAll {
		t.Errorf("got\n%s\nwant\n%s", &all, wantAll)
	}
	if worst.String() != wantWorst {
		t.Errorf("got\n%s\nwant\n%s", &worst, wantWorst)
	}
	if r.OK() {
		t.Error("an exit step differs, and the report is OK")
	}
	if (Report{}).OK() {
		t.Error("nothing was compared, and the report is OK")
	}
}

// A NaN is as far as can be, unless the reference has one there, too.
func TestFar(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name      string
		got, want []float32
		far       float64
	}{
		{"equal", []float32{1, 2}, []float32{1, 2}, 0},
		{"largest", []float32{1, 2.5}, []float32{1.25, 2}, 0.5},
		{"NaN", []float32{nan}, []float32{0}, math.Inf(1)},
		{"NaN on purpose", []float32{nan}, []float32{nan}, 0},
		{"one infinity", []float32{float32(math.Inf(1))}, []float32{0}, math.Inf(1)},
		{"lengths", []float32{1}, []float32{1, 2}, math.Inf(1)},
	} {
		if got := far(c.got, c.want); got != c.far {
			t.Errorf("%s: %v, want %v", c.name, got, c.far)
		}
	}
}

// Gates of log 1 and log 3 stop with ½ and ¾: ½, then ¾ of the other half; the last loop takes the rest whatever its gate.
func TestExits(t *testing.T) {
	pdf := exitPDF([]float32{0, float32(math.Log(3)), -9})
	for i, want := range []float64{0.5, 0.375, 0.125} {
		if math.Abs(pdf[i]-want) > 1e-7 {
			t.Errorf("loop %d: %v, want %v", i, pdf[i], want)
		}
	}
	for threshold, want := range map[float64]int{0.1: 0, 0.5: 0, 0.6: 1, 0.87: 1, 0.9: 2, 1: 2} {
		if got := exitStep(pdf, threshold); got != want {
			t.Errorf("threshold %v: step %d, want %d", threshold, got, want)
		}
	}
}

// Half, a quarter, a quarter are kept; a probability below a tenth of the largest becomes a quarter, then all are shared out.
func TestMinP(t *testing.T) {
	got := minP([]float32{float32(math.Log(100)), float32(math.Log(50)), float32(math.Log(49)), 0})
	sum := 0.0
	for _, l := range got {
		sum += math.Exp(float64(l))
	}
	for i, want := range []float64{0.5 / 1.245, 0.25 / 1.245, 0.245 / 1.245, 0.25 / 1.245} {
		if p := math.Exp(float64(got[i])) / sum; math.Abs(p-want) > 1e-6 {
			t.Errorf("token %d: %v, want %v", i, p, want)
		}
	}
}
