package parity

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/loopserve/loopserve/loopctl"
)

// prompt runs one prompt at one loop count, on a way of its own where there is one, and compares all that the case says about it.
func (k *checker) prompt(prompt, at string, loops int, way loopctl.Trajectory) {
	r := &promptRun{checker: k, at: at, ids: k.ids(prompt + "/ids"), loops: loops}
	chunk, visible := cmp.Or(k.opt.Chunk, len(r.ids)), 0
	if strings.HasPrefix(at, prefix) {
		chunk, visible = len(r.ids), len(r.ids)
	}
	if k.err == nil {
		r.rows, k.err = record(k.e, r.ids, chunk, visible, loops, r.probes(), way)
	}
	if k.err != nil {
		return
	}
	r.vocab = len(r.rows[0].last())
	r.add(at+"logits", "logits", "logits", r.worst("logits", (*row).last))
	r.hidden()
	switch name := at + "final_hidden"; {
	case !r.c.Has(name):
	case r.rows[0].final == nil:
		r.why[name] = "the coda does not show what its head is applied to"
	default:
		r.add(name, "final_hidden", "final hidden", r.worst("final_hidden", func(of *row) []float32 { return of.final }))
	}
	r.gates()
	r.criteria()
}

// promptRun is one prompt at one loop count.
type promptRun struct {
	*checker
	at    string
	ids   []int32
	loops int
	rows  []row
	vocab int
}

// probes says whether the case has something about the logits of earlier loops.
func (r *promptRun) probes() bool {
	return slices.ContainsFunc(r.c.Names(r.at), func(name string) bool {
		rest := name[len(r.at):]
		return strings.HasPrefix(rest, "criteria/") || strings.HasSuffix(rest, "/logits")
	})
}

// worst is the largest difference from an answer [rows, numbers of a row]; the reference keeps some of the last rows only.
func (r *promptRun) worst(name string, got func(of *row) []float32) float64 {
	want, shape := r.floats(r.at + name)
	if r.err != nil {
		return 0
	}
	if len(shape) != 2 || shape[0] > int64(len(r.rows)) {
		r.fail(fmt.Errorf("%s%s has the shape %v, want at most %d rows", r.at, name, shape, len(r.rows)))
		return 0
	}
	skip, width := len(r.rows)-int(shape[0]), int(shape[1])
	worst := 0.0
	for i := range r.rows[skip:] {
		worst = max(worst, far(got(&r.rows[skip+i]), want[i*width:(i+1)*width]))
	}
	return worst
}

// hidden compares the states after all loops, in one line.
func (r *promptRun) hidden() {
	worst, steps := 0.0, 0
	for ; steps <= r.loops && r.c.Has(fmt.Sprintf("%shidden_step_%d", r.at, steps)); steps++ {
		worst = max(worst, r.worst(fmt.Sprintf("hidden_step_%d", steps), func(of *row) []float32 { return of.states[steps] }))
	}
	if steps > 0 {
		r.add(fmt.Sprintf("%shidden_step_0…%d", r.at, steps-1), "hidden", "hidden states of all loops", worst)
	}
}

// gates compares gate logits, exit probabilities, the exits of each threshold and the logits read there.
func (r *promptRun) gates() {
	if !r.c.Has(r.at + "gate") {
		return
	}
	if r.rows[0].gate == nil {
		r.fail(fmt.Errorf("the case has gates, the block emits none"))
		return
	}
	pdf := make([][]float64, len(r.ids))
	for i := range r.rows {
		pdf[i] = exitPDF(r.rows[i].gate)
	}
	for _, name := range r.c.Names(r.at) {
		rest := name[len(r.at):]
		step, isStep := strings.CutPrefix(rest, "exit_step_")
		theta, isExit := strings.CutPrefix(strings.TrimSuffix(rest, "/logits"), "exit_")
		switch {
		case rest == "gate":
			r.byLoop(name, "gate_logit", "gate logits", func(row, loop int) float64 { return float64(r.rows[row].gate[loop]) })
		case rest == "exit_pdf":
			r.byLoop(name, "exit_pdf", "exit probabilities", func(row, loop int) float64 { return pdf[row][loop] })
		case isStep:
			at := r.threshold(name, step)
			r.count(name, "exit steps, threshold "+step, func(i int) int { return exitStep(pdf[i], at) })
		case isExit:
			at := r.threshold(name, theta)
			r.logits(name, "logits at the exit", func(row, id int) float64 {
				return float64(r.rows[row].logits[exitStep(pdf[row], at)][id])
			})
		case rest == "weighted_exit/logits":
			r.logits(name, "logits, exit-weighted mean", func(row, id int) float64 {
				sum := 0.0
				for loop, p := range pdf[row] {
					sum += p * float64(r.rows[row].logits[loop][id])
				}
				return sum
			})
		}
	}
}

// threshold is the number in an answer's name.
func (r *promptRun) threshold(name, number string) float64 {
	theta, err := strconv.ParseFloat(number, 64)
	if err != nil {
		r.fail(fmt.Errorf("%s: threshold %w", name, err))
	}
	return theta
}

// byLoop compares an answer [rows, loops].
func (r *promptRun) byLoop(name, kind, label string, got func(row, loop int) float64) {
	if _, shape := r.floats(name); r.err == nil && !slices.Equal(shape, []int64{int64(len(r.ids)), int64(r.loops)}) {
		r.fail(fmt.Errorf("%s has the shape %v, want [%d %d]", name, shape, len(r.ids), r.loops))
		return
	}
	r.compare(name, kind, label, func(i int) float64 { return got(i/r.loops, i%r.loops) })
}

// logits compares an answer [rows, vocab].
func (r *promptRun) logits(name, label string, got func(row, id int) float64) {
	r.compare(name, "logits", label, func(i int) float64 { return got(i/r.vocab, i%r.vocab) })
}

// criteria compares the exit criteria after each loop.
func (r *promptRun) criteria() {
	for _, name := range r.c.Names(r.at + "criteria/") {
		of := name[len(r.at+"criteria/"):]
		kind, label := "criteria."+of, "criterion "+of
		if of == "latent-diff-per-token" {
			r.compare(name, kind, label, func(i int) float64 { // [loops, rows]
				return float64(r.rows[i%len(r.rows)].delta[i/len(r.rows)])
			})
			continue
		}
		if r.opt.Chunk > 0 && r.opt.Chunk < len(r.ids) && r.e.Manifest().Coda.Layers > 0 && ofLogits(of) {
			// Earlier chunks are through the coda: its layers see them as they are after the last loop.
			r.why[name] = "the reference had the whole prompt in one call"
			continue
		}
		switch got := criterion(of, r.rows); {
		case got == nil: // it is listed as left
		case of == "argmax-stability":
			r.count(name, label, func(i int) int { return int(got[i]) })
		default:
			r.compare(name, kind, label, func(i int) float64 { return got[i] })
		}
	}
}

// ofLogits says whether a criterion needs the logits after each loop.
func ofLogits(criterion string) bool { return criterion != "latent-diff" && criterion != "cosine" }
