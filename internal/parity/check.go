package parity

import (
	"fmt"
	"io"
	"math"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/runtime/sampler"
)

// Line is one comparison.
type Line struct {
	What      string  // prompt_1/T_4/logits, …
	MaxDiff   float64 // largest absolute difference; for greedy, of the logits
	Tolerance float64
	Tokens    int // greedy: tokens compared
	Differ    int // greedy: tokens that differ where the reference's top two are further apart than 2·tolerance
}

// OK reports whether the line is within tolerance.
func (l Line) OK() bool { return l.MaxDiff <= l.Tolerance && l.Differ == 0 }

// Report is a case's comparisons.
type Report struct{ Lines []Line }

// OK reports whether every line is.
func (r Report) OK() bool {
	for _, l := range r.Lines {
		if !l.OK() {
			return false
		}
	}
	return len(r.Lines) > 0
}

// Write prints the report as a table.
func (r Report) Write(w io.Writer) {
	fmt.Fprintln(w, "| compared | max abs difference | tolerance | greedy tokens equal | |\n|---|---:|---:|---:|---|")
	for _, l := range r.Lines {
		tokens, verdict := "", "ok"
		if l.Tokens > 0 {
			tokens = fmt.Sprintf("%d of %d", l.Tokens-l.Differ, l.Tokens)
		}
		if !l.OK() {
			verdict = "**differs**"
		}
		fmt.Fprintf(w, "| %s | %.2e | %.1e | %s | %s |\n", l.What, l.MaxDiff, l.Tolerance, tokens, verdict)
	}
}

// Check runs every prompt of the case at every loop count, in chunks of at most chunk tokens (0: whole), and the greedy
// continuations.
func Check(e Latents, c *golden.Case, chunk int) (Report, error) {
	k := &checker{e: e, c: c, chunk: chunk}
	for i := 0; c.Has(fmt.Sprintf("prompt_%d/ids", i)); i++ {
		prompt := fmt.Sprintf("prompt_%d", i)
		for _, loops := range c.Loops(prompt) {
			if err := k.prompt(prompt, loops); err != nil {
				return k.r, fmt.Errorf("%s at %d loops: %w", prompt, loops, err)
			}
		}
	}
	for _, loops := range c.Loops("greedy") {
		if err := k.greedy(loops); err != nil {
			return k.r, fmt.Errorf("greedy at %d loops: %w", loops, err)
		}
	}
	return k.r, nil
}

type checker struct {
	e     Latents
	c     *golden.Case
	chunk int
	r     Report
}

func (k *checker) add(what, kind string, diff float64) {
	k.r.Lines = append(k.r.Lines, Line{What: what, MaxDiff: diff, Tolerance: k.c.Within(kind)})
}

// far is the largest absolute difference; NaN counts as infinite.
func far(got, want []float32) float64 {
	worst := 0.0
	for i := range want {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if math.IsNaN(d) {
			d = math.Inf(1)
		}
		worst = max(worst, d)
	}
	return worst
}

func (k *checker) prompt(prompt string, loops int) error {
	ids, err := k.c.IDs(prompt + "/ids")
	if err != nil {
		return err
	}
	at := fmt.Sprintf("%s/T_%d/", prompt, loops)
	want, shape, err := k.c.Floats(at + "logits")
	if err != nil {
		return err
	}
	vocab, width := int(shape[1]), 0
	skip := len(ids) - int(shape[0]) // the reference keeps the last rows only
	hidden := map[int][]float32{}
	for s := 0; k.c.Has(fmt.Sprintf("%shidden_step_%d", at, s)); s++ {
		v, sh, err := k.c.Floats(fmt.Sprintf("%shidden_step_%d", at, s))
		if err != nil {
			return err
		}
		hidden[s], width = v, int(sh[1])
	}
	final, finalShape := []float32(nil), []int64(nil)
	if k.c.Has(at + "final_hidden") {
		if final, finalShape, err = k.c.Floats(at + "final_hidden"); err != nil {
			return err
		}
	}
	worst, worstHidden, worstFinal := 0.0, 0.0, 0.0
	state := make([]float32, width)
	seq := newSequence(k.e, loops)
	for from := 0; from < len(ids); {
		to := len(ids)
		if k.chunk > 0 {
			to = min(to, from+k.chunk)
		}
		logits, err := seq.feed(ids[from:to], func(loop, row int, slot int32) error {
			w, ok := hidden[loop]
			if !ok {
				return nil
			}
			if err := k.e.Latent(slot, state); err != nil {
				return err
			}
			worstHidden = max(worstHidden, far(state, w[(from+row)*width:(from+row+1)*width]))
			return nil
		})
		if err != nil {
			return err
		}
		for i, l := range logits {
			row := from + i - skip
			if row < 0 {
				continue
			}
			worst = max(worst, far(l, want[row*vocab:(row+1)*vocab]))
			if h := k.e.FinalHidden(i); final != nil && h != nil {
				d := int(finalShape[1])
				worstFinal = max(worstFinal, far(h, final[row*d:(row+1)*d]))
			}
		}
		from = to
	}
	k.add(at+"logits", "logits", worst)
	if len(hidden) > 0 {
		k.add(at+fmt.Sprintf("hidden_step_0…%d", len(hidden)-1), "hidden", worstHidden)
	}
	if final != nil {
		k.add(at+"final_hidden", "final_hidden", worstFinal)
	}
	return nil
}

// greedy continues prompt_1 with a cache, as the reference did, following the reference's tokens: after one token that
// differs everything would.
func (k *checker) greedy(loops int) error {
	at := fmt.Sprintf("greedy/T_%d/", loops)
	prompt, err := k.c.IDs("prompt_1/ids")
	if err != nil {
		return err
	}
	tokens, err := k.c.IDs(at + "tokens")
	if err != nil {
		return err
	}
	want, shape, err := k.c.Floats(at + "logits")
	if err != nil {
		return err
	}
	margin, _, err := k.c.Floats(at + "margin")
	if err != nil {
		return err
	}
	vocab := int(shape[1])
	line := Line{What: at + "tokens", Tolerance: k.c.Within("logits"), Tokens: len(tokens)}
	seq := newSequence(k.e, loops)
	input := prompt
	for i, token := range tokens {
		logits, err := seq.feed(input, nil)
		if err != nil {
			return err
		}
		last := logits[len(logits)-1]
		line.MaxDiff = max(line.MaxDiff, far(last, want[i*vocab:(i+1)*vocab]))
		if sampler.Argmax(last) != token && float64(margin[i]) > 2*line.Tolerance {
			line.Differ++
		}
		input = tokens[i : i+1]
	}
	k.r.Lines = append(k.r.Lines, line)
	return nil
}
