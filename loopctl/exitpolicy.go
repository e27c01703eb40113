package loopctl

import (
	"cmp"
	"slices"
)

// ExitKind is the number that an exit policy looks at.
type ExitKind uint8

// The policies. A row leaves after the first loop, at or above MinLoops, at which its number passes the threshold.
const (
	// ExitNone never leaves early: every row does Loops loops.
	ExitNone ExitKind = iota
	// ExitDelta leaves when the latent's relative change ‖h'−h‖/‖h'‖ is below the threshold. The graph emits it: free.
	ExitDelta
	// ExitGate leaves when the gate's cumulative exit probability reaches the threshold (Ouro's hazard CDF). Free.
	ExitGate
	// ExitKL leaves when Σ p_prev·(log p_prev − log p_now) of two loops in a row is below the threshold; the first p_prev
	// is uniform. It costs a coda call per loop.
	ExitKL
	// ExitEntropy leaves when the entropy's change between two loops, in nats, is below the threshold. A coda call per loop.
	ExitEntropy
	// ExitArgmax leaves when the most likely token has stayed the same for as many loops as the threshold says. A coda
	// call per loop.
	ExitArgmax
	numExits
)

var exitNames = [numExits]string{"none", "delta", "gate", "kl", "entropy", "argmax"}

// String returns the policy as the wire spells it.
func (k ExitKind) String() string { return exitNames[k] }

// ParseExitKind is the reverse of String.
func ParseExitKind(name string) (ExitKind, bool) {
	i := slices.Index(exitNames[:], name)
	return ExitKind(max(i, 0)), i >= 0
}

// ExitKinds are all policies, in the order in which users see them.
func ExitKinds() (all []ExitKind) {
	for k := range numExits {
		all = append(all, k)
	}
	return all
}

// Allows says whether a policy may end a row's loops: whether the model emits what it looks at, which is no question of logits,
// and whether the state before the last loop means anything.
func (l *Capacity) Allows(k ExitKind) bool {
	if l.Trajectories != TrajectoryNone {
		return k == ExitNone
	}
	switch k {
	case ExitDelta:
		return l.Delta
	case ExitGate:
		return l.Gate
	}
	return k < numExits
}

// Threshold is what a policy's threshold may be: above 0 and at most High.
type Threshold struct {
	Default float64 // Huginn's for delta, kl, entropy and argmax
	High    float64 // 0 where the policy takes no threshold
	Integer bool    // a number of loops, at least 1
	Means   string
}

var thresholds = [numExits]Threshold{
	ExitDelta:   {Default: 0.03, High: 2, Means: "the relative change of the hidden state below which a token exits"},
	ExitGate:    {Default: 0.5, High: 1, Means: "the probability at which a token exits"},
	ExitKL:      {Default: 1e-3, High: 100, Means: "the KL divergence of two loops below which a token exits"},
	ExitEntropy: {Default: 1e-3, High: 100, Means: "the change of entropy, in nats, below which a token exits"},
	ExitArgmax:  {Default: 5, Integer: true, Means: "for how many loops the most likely token must stay the same"},
}

// Threshold tells what the threshold of a policy may be in this model.
func (l *Capacity) Threshold(k ExitKind) Threshold {
	t := thresholds[k]
	if t.Integer {
		t.High = float64(l.Loops.Max)
	}
	return t
}

// DefaultThreshold is the threshold that 0 stands for.
func (k ExitKind) DefaultThreshold() float64 { return thresholds[k].Default }

// Probes says whether the policy needs the coda's logits after every loop. Such policies act on rows that need logits
// anyway, the last of the prompt and the generated ones; other prompt rows do all loops.
func (k ExitKind) Probes() bool { return k >= ExitKL && k < numExits }

// ExitPolicy decides when a row leaves the loop.
type ExitPolicy struct {
	Kind ExitKind
	// Threshold is the policy's; 0 means its default (DefaultThreshold).
	Threshold float64
	// MinLoops is the least that a row does; 0 means the model's least.
	MinLoops int
	// Agree is how many loops in a row must pass the threshold; 0 means 1.
	Agree int
}

// withDefaults fills in what the request left open.
func (p ExitPolicy) withDefaults(l LoopRange) ExitPolicy {
	p.Threshold = cmp.Or(p.Threshold, p.Kind.DefaultThreshold())
	p.MinLoops = cmp.Or(p.MinLoops, max(l.Min, 1))
	p.Agree = max(p.Agree, 1)
	return p
}

// free says that the policy decides from numbers that the block's graph emits.
func (p *ExitPolicy) free() bool { return p.Kind == ExitDelta || p.Kind == ExitGate }

// probesAt says whether a row that needs logits is probed after so many loops: early enough for a decision at MinLoops.
func (p *ExitPolicy) probesAt(depth int) bool {
	if !p.Kind.Probes() {
		return false
	}
	before := p.Agree
	if p.Kind == ExitArgmax {
		before += int(p.Threshold)
	}
	return depth >= p.MinLoops-before
}

// passes is whether a row's number, out of the graph, says that it may leave. It must be asked after every loop.
func (p *ExitPolicy) passes(r *rowState, delta, gate float32) bool {
	switch p.Kind {
	case ExitDelta:
		return r.count(p, float64(delta) < p.Threshold)
	case ExitGate:
		stop, rest := Hazard(r.rest, gate)
		r.cdf, r.rest = r.cdf+stop, rest
		return r.count(p, r.cdf >= p.Threshold)
	default:
		return false
	}
}

// count is whether enough loops in a row passed.
func (r *rowState) count(p *ExitPolicy, passed bool) bool {
	if !passed {
		r.agree = 0
		return false
	}
	r.agree++
	return r.agree >= p.Agree
}
