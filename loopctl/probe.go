package loopctl

import "math"

// probe is what a sequence remembers of the logits after the loop before, for policies that compare two of them. Only
// one row of a sequence is probed at a time: the one whose logits decide the next token.
type probe struct {
	state   rowState
	logits  []float32 // kept for KL alone
	entropy float64
	argmax  int
	steps   int // loops in a row with the same argmax
	seen    bool
	lens    []LoopView // of the row so far
}

func (p *probe) reset() {
	p.state, p.seen, p.steps = rowState{}, false, 0
	p.lens = nil
}

// passes is whether the logits after one more loop say that the row may leave.
func (p *probe) passes(x *ExitPolicy, logits []float32) bool {
	seen := p.seen
	p.seen = true
	switch x.Kind {
	case ExitKL:
		var before []float32
		if seen {
			before = p.logits
		}
		kl := KL(before, logits)
		p.logits = append(p.logits[:0], logits...)
		return p.state.count(x, seen && kl < x.Threshold)
	case ExitEntropy:
		before := p.entropy
		p.entropy = Entropy(logits)
		return p.state.count(x, seen && math.Abs(p.entropy-before) < x.Threshold)
	case ExitArgmax:
		before := p.argmax
		p.argmax = Argmax(logits)
		if seen && before == p.argmax {
			p.steps++
		} else {
			p.steps = 0
		}
		return p.state.count(x, float64(p.steps) >= x.Threshold)
	default:
		return false
	}
}

// seeLens notes the graph's numbers of the row that decides the next token, where the chunk that was looped has it.
func (s *sequence) seeLens(depth int, info *RowInfo, row int) {
	s.probe.lens = append(s.probe.lens, LoopView{Loop: depth, Delta: numberOr(info.Delta, row), Gate: numberOr(info.Gate, row)})
}

// numberOr is NaN where the model does not emit the number.
func numberOr(numbers []float32, row int) float32 {
	if row < len(numbers) {
		return numbers[row]
	}
	return float32(math.NaN())
}

// look completes the view of the loop that was just done with what its logits say.
func (s *sequence) look(logits []float32) {
	n := len(s.probe.lens)
	if n == 0 {
		return
	}
	v := &s.probe.lens[n-1]
	v.Entropy = float32(Entropy(logits))
	v.Top = NewDistribution(logits).Top(s.req.Lens)
}
