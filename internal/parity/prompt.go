package parity

import (
	"fmt"
	"strconv"
	"strings"
)

// prompt runs one prompt at one loop count and compares all that the case says about it.
func (k *checker) prompt(prompt string, loops int) error {
	ids, err := k.ids(prompt + "/ids")
	if err != nil {
		return err
	}
	r := &promptRun{checker: k, at: fmt.Sprintf("%s/T_%d/", prompt, loops), ids: ids, loops: loops, hidden: map[int][]float32{}}
	if err := r.read(); err != nil {
		return err
	}
	if err := r.run(); err != nil {
		return err
	}
	r.add(r.at+"logits", "logits", "logits", r.worst)
	if len(r.hidden) > 0 {
		r.add(r.at+fmt.Sprintf("hidden_step_0…%d", len(r.hidden)-1), "hidden", "hidden states of all loops", r.worstHidden)
	}
	if r.final != nil {
		r.add(r.at+"final_hidden", "final_hidden", "final hidden", r.worstFinal)
	}
	if err := r.gates(); err != nil {
		return err
	}
	return r.criteria()
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

func (r *promptRun) read() (err error) {
	var shape []int64
	if r.want, shape, err = r.floats(r.at + "logits"); err != nil {
		return err
	}
	r.vocab = int(shape[1])
	for s := 0; r.c.Has(fmt.Sprintf("%shidden_step_%d", r.at, s)); s++ {
		if r.hidden[s], _, err = r.floats(fmt.Sprintf("%shidden_step_%d", r.at, s)); err != nil {
			return err
		}
	}
	if r.c.Has(r.at + "final_hidden") {
		if r.final, _, err = r.floats(r.at + "final_hidden"); err != nil {
			return err
		}
	}
	r.d = r.e.Manifest().HiddenSize
	for _, name := range r.c.Names(r.at) {
		rest := name[len(r.at):]
		r.cosines = r.cosines || rest == "criteria/cosine"
		r.probes = r.probes || strings.HasPrefix(rest, "criteria/") || strings.HasSuffix(rest, "/logits")
	}
	return nil
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
func (r *promptRun) gates() error {
	if !r.c.Has(r.at + "gate") {
		return nil
	}
	if r.trail.gate[0] == nil {
		return fmt.Errorf("the case has gates, the block emits none")
	}
	pdf := make([][]float64, len(r.ids))
	for i, gate := range r.trail.gate {
		pdf[i] = exitPDF(gate)
	}
	for _, name := range r.c.Names(r.at) {
		rest := name[len(r.at):]
		step, isStep := strings.CutPrefix(rest, "exit_step_")
		theta, isExit := strings.CutPrefix(strings.TrimSuffix(rest, "/logits"), "exit_")
		var err error
		switch {
		case rest == "gate":
			err = r.byLoop(name, "gate_logit", "gate logits", func(row, loop int) float64 { return float64(r.trail.gate[row][loop]) })
		case rest == "exit_pdf":
			err = r.byLoop(name, "exit_pdf", "exit probabilities", func(row, loop int) float64 { return pdf[row][loop] })
		case isStep:
			err = r.exitSteps(name, step, pdf)
		case isExit:
			err = r.exitLogits(name, theta, pdf)
		case rest == "weighted_exit/logits":
			err = r.weighted(name, pdf)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// byLoop compares an answer [rows, loops].
func (r *promptRun) byLoop(name, kind, label string, got func(row, loop int) float64) error {
	want, shape, err := r.floats(name)
	if err != nil {
		return err
	}
	if len(shape) != 2 || int(shape[0]) != len(r.ids) || int(shape[1]) != r.loops {
		return fmt.Errorf("%s has the shape %v, want [%d %d]", name, shape, len(r.ids), r.loops)
	}
	r.add(name, kind, label, farthest(want, func(i int) float64 { return got(i/r.loops, i%r.loops) }))
	return nil
}

func (r *promptRun) exitSteps(name, threshold string, pdf [][]float64) error {
	theta, err := strconv.ParseFloat(threshold, 64)
	if err != nil {
		return fmt.Errorf("%s: threshold %w", name, err)
	}
	return r.count(name, "exit steps, threshold "+threshold, func(i int) int { return exitStep(pdf[i], theta) })
}

// exitLogits compares what is read out at each row's exit.
func (r *promptRun) exitLogits(name, threshold string, pdf [][]float64) error {
	theta, err := strconv.ParseFloat(threshold, 64)
	if err != nil {
		return fmt.Errorf("%s: threshold %w", name, err)
	}
	return r.compare(name, "logits", "logits at the exit", func(i int) float64 {
		row := i / r.vocab
		return float64(r.trail.logits[row][exitStep(pdf[row], theta)][i%r.vocab])
	})
}

// weighted compares the mean of all loops' logits, weighted with the exit probabilities.
func (r *promptRun) weighted(name string, pdf [][]float64) error {
	return r.compare(name, "logits", "logits, exit-weighted mean", func(i int) float64 {
		row, id := i/r.vocab, i%r.vocab
		sum := 0.0
		for loop, p := range pdf[row] {
			sum += p * float64(r.trail.logits[row][loop][id])
		}
		return sum
	})
}

// criteria compares the exit criteria after each loop.
func (r *promptRun) criteria() error {
	for _, name := range r.c.Names(r.at + "criteria/") {
		criterion := name[len(r.at+"criteria/"):]
		if criterion == "latent-diff-per-token" {
			err := r.compare(name, "criteria."+criterion, "criterion "+criterion, func(i int) float64 { // [loops, rows]
				return float64(r.trail.delta[i%len(r.ids)][i/len(r.ids)])
			})
			if err != nil {
				return err
			}
			continue
		}
		if r.opt.Chunk > 0 && r.opt.Chunk < len(r.ids) && r.e.Manifest().Coda.Layers > 0 && ofLogits(criterion) {
			// Earlier chunks are through the coda: its layers see them as they are after the last loop.
			r.why[name] = "the reference had the whole prompt in one call"
			continue
		}
		got := r.trail.criterion(criterion)
		if got == nil {
			continue // it is listed as left
		}
		if err := r.criterion(name, criterion, got); err != nil {
			return err
		}
	}
	return nil
}

// ofLogits says whether a criterion needs the logits after each loop.
func ofLogits(criterion string) bool { return criterion != "latent-diff" && criterion != "cosine" }

func (r *promptRun) criterion(name, criterion string, got []float64) error {
	if criterion == "argmax-stability" {
		return r.count(name, "criterion "+criterion, func(i int) int { return int(got[i]) })
	}
	return r.compare(name, "criteria."+criterion, "criterion "+criterion, func(i int) float64 { return got[i] })
}
