package loopctl

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
		return p.state.count(x, seen && abs(p.entropy-before) < x.Threshold)
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

func abs(v float64) float64 {
	if v < 0 {
		return -v
	}
	return v
}
