package parity

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// prompt runs one prompt at one loop count and compares all that the case says about it.
func (k *checker) prompt(prompt, at string, loops int) {
	r := &promptRun{checker: k, at: at, ids: k.ids(prompt + "/ids"), loops: loops, hidden: map[int][]float32{}}
	if r.read(); k.err == nil {
		k.fail(r.run())
	}
	if k.err != nil {
		return
	}
	r.add(r.at+"logits", "logits", "logits", r.worst)
	if len(r.hidden) > 0 {
		r.add(r.at+fmt.Sprintf("hidden_step_0…%d", len(r.hidden)-1), "hidden", "hidden states of all loops", r.worstHidden)
	}
	if r.final != nil {
		r.add(r.at+"final_hidden", "final_hidden", "final hidden", r.worstFinal)
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

	want, final []float32         // the reference's
	hidden      map[int][]float32 // by loop
	vocab, d    int
	probes      bool // something is said about the logits of earlier loops
	cosines     bool

	trail                          trail
	worst, worstHidden, worstFinal float64
}

func (r *promptRun) read() {
	var shape []int64
	if r.want, shape = r.floats(r.at + "logits"); r.err == nil {
		r.vocab = int(shape[1])
	}
	for s := 0; r.c.Has(fmt.Sprintf("%shidden_step_%d", r.at, s)); s++ {
		r.hidden[s], _ = r.floats(fmt.Sprintf("%shidden_step_%d", r.at, s))
	}
	if r.c.Has(r.at + "final_hidden") {
		r.final, _ = r.floats(r.at + "final_hidden")
	}
	r.d = r.e.Manifest().HiddenSize
	for _, name := range r.c.Names(r.at) {
		rest := name[len(r.at):]
		r.cosines = r.cosines || rest == "criteria/cosine"
		r.probes = r.probes || strings.HasPrefix(rest, "criteria/") || strings.HasSuffix(rest, "/logits")
	}
}

// run feeds the prompt in chunks.
func (r *promptRun) run() error {
	seq := newSequence(r.e, r.loops)
	skip := len(r.ids) - len(r.want)/r.vocab // the reference keeps the last rows only
	for from := 0; from < len(r.ids); {
		to := len(r.ids)
		if r.opt.Chunk > 0 {
			to = min(to, from+r.opt.Chunk)
		}
		logits, _, err := seq.feed(r.ids[from:to], r.loops, r.watch(from, to-from))
		if err != nil {
			return err
		}
		for i, l := range logits {
			if r.probes {
				r.trail.logits[from+i] = append(r.trail.logits[from+i], append([]float32(nil), l...))
			}
			row := from + i - skip
			if row < 0 {
				continue
			}
			r.worst = max(r.worst, far(l, r.want[row*r.vocab:(row+1)*r.vocab]))
			if h := r.e.FinalHidden(i); r.final != nil && h != nil {
				r.worstFinal = max(r.worstFinal, far(h, r.final[row*r.d:(row+1)*r.d]))
			}
		}
		from = to
	}
	return nil
}

// watch notes the trail of the rows from position first on.
func (r *promptRun) watch(first, rows int) watch {
	t := &r.trail
	t.delta, t.gate = append(t.delta, make([][]float32, rows)...), append(t.gate, make([][]float32, rows)...)
	t.logits, t.cosine = append(t.logits, make([][][]float32, rows)...), append(t.cosine, make([][]float64, rows)...)
	states := make([][2][]float32, rows) // before and after the last loop
	for i := range states {
		states[i] = [2][]float32{make([]float32, r.d), make([]float32, r.d)}
	}
	w := watch{
		state: func(loop, row int, slot int32) error {
			s := &states[row]
			s[0], s[1] = s[1], s[0]
			if err := r.e.Latent(slot, s[1]); err != nil {
				return err
			}
			if want, ok := r.hidden[loop]; ok {
				r.worstHidden = max(r.worstHidden, far(s[1], want[(first+row)*r.d:(first+row+1)*r.d]))
			}
			if r.cosines && loop > 0 {
				t.cosine[first+row] = append(t.cosine[first+row], cosine(s[0], s[1]))
			}
			return nil
		},
		info: func(_ int, delta, gate []float32) {
			for i := range rows {
				t.delta[first+i] = append(t.delta[first+i], delta[i])
				if gate != nil {
					t.gate[first+i] = append(t.gate[first+i], gate[i])
				}
			}
		},
	}
	if r.probes {
		w.probe = func(_ int, logits [][]float32) {
			for i, l := range logits {
				t.logits[first+i] = append(t.logits[first+i], append([]float32(nil), l...))
			}
		}
	}
	return w
}

// gates compares gate logits, exit probabilities, the exits of each threshold and the logits read there.
func (r *promptRun) gates() {
	if !r.c.Has(r.at + "gate") {
		return
	}
	if r.trail.gate[0] == nil {
		r.fail(fmt.Errorf("the case has gates, the block emits none"))
		return
	}
	pdf := make([][]float64, len(r.ids))
	for i, gate := range r.trail.gate {
		pdf[i] = exitPDF(gate)
	}
	for _, name := range r.c.Names(r.at) {
		rest := name[len(r.at):]
		step, isStep := strings.CutPrefix(rest, "exit_step_")
		theta, isExit := strings.CutPrefix(strings.TrimSuffix(rest, "/logits"), "exit_")
		switch {
		case rest == "gate":
			r.byLoop(name, "gate_logit", "gate logits", func(row, loop int) float64 { return float64(r.trail.gate[row][loop]) })
		case rest == "exit_pdf":
			r.byLoop(name, "exit_pdf", "exit probabilities", func(row, loop int) float64 { return pdf[row][loop] })
		case isStep:
			at := r.threshold(name, step)
			r.count(name, "exit steps, threshold "+step, func(i int) int { return exitStep(pdf[i], at) })
		case isExit:
			at := r.threshold(name, theta)
			r.logits(name, "logits at the exit", func(row, id int) float64 {
				return float64(r.trail.logits[row][exitStep(pdf[row], at)][id])
			})
		case rest == "weighted_exit/logits":
			r.logits(name, "logits, exit-weighted mean", func(row, id int) float64 {
				sum := 0.0
				for loop, p := range pdf[row] {
					sum += p * float64(r.trail.logits[row][loop][id])
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
		criterion := name[len(r.at+"criteria/"):]
		kind, label := "criteria."+criterion, "criterion "+criterion
		if criterion == "latent-diff-per-token" {
			r.compare(name, kind, label, func(i int) float64 { // [loops, rows]
				return float64(r.trail.delta[i%len(r.ids)][i/len(r.ids)])
			})
			continue
		}
		if r.opt.Chunk > 0 && r.opt.Chunk < len(r.ids) && r.e.Manifest().Coda.Layers > 0 && ofLogits(criterion) {
			// Earlier chunks are through the coda: its layers see them as they are after the last loop.
			r.why[name] = "the reference had the whole prompt in one call"
			continue
		}
		switch got := r.trail.criterion(criterion); {
		case got == nil: // it is listed as left
		case criterion == "argmax-stability":
			r.count(name, label, func(i int) int { return int(got[i]) })
		default:
			r.compare(name, kind, label, func(i int) float64 { return got[i] })
		}
	}
}

// ofLogits says whether a criterion needs the logits after each loop.
func ofLogits(criterion string) bool { return criterion != "latent-diff" && criterion != "cosine" }
