package loopctl_test

import (
	"math"
	"slices"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/kv"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

// answer is what a request comes to.
type answer struct {
	Tokens []int32
	Loops  []int // of each token
}

// expect works out a request's tokens alone: no pages, no ticks, no other sequences, no cache, no guesses. It is the
// other side of the law: alone = in any mix of depths. wrap is Config.WrapRows, which counts only where planes are
// written more than once.
func expect(l loopctl.Capacity, r *loopctl.Request, wrap int) answer {
	m := &model{l: l, r: r, loops: r.Loops, planes: map[[2]int][]int64{}}
	if m.loops == 0 {
		m.loops = l.Loops.Default
	}
	tokens := slices.Clone(r.Prompt)
	var out answer
	for pos := 0; ; {
		n := 1
		if l.Whole && pos == 0 {
			n = len(r.Prompt)
		} else if p := l.KV.Planes; p > 0 && p < m.loops && pos < len(r.Prompt) {
			n = piece(r, pos, wrap)
			if l.Pages[loopctl.StageCoda] > 0 && r.Exit.Kind.Probes() && pos+n == len(r.Prompt) && n > 1 {
				n--
			}
		}
		h, loops := m.run(tokens, pos, n)
		pos += n
		if pos < len(tokens) {
			continue
		}
		id := int32(loopctltest.Says(h, l.Vocab))
		if _, shifts := r.Sampler.(*shifting); shifts {
			id = shifted(int(id), len(out.Tokens), l.Vocab)
		}
		tokens = append(tokens, id)
		out.Tokens, out.Loops = append(out.Tokens, id), append(out.Loops, loops)
		if len(tokens) == len(r.Prompt)+r.MaxTokens || slices.Contains(r.StopIDs, id) || r.Ends != nil && r.Ends(id, loops, loopctl.FinishNone) != loopctl.FinishNone {
			return out
		}
	}
}

// piece is how many rows of a prompt stay together from pos on.
func piece(r *loopctl.Request, pos, wrap int) int {
	first := 0
	for _, end := range r.Cut {
		if end > pos {
			return end - pos
		}
		first = end
	}
	return min(wrap-(pos-first)%wrap, len(r.Prompt)-pos)
}

// model is one sequence, computed the plain way.
type model struct {
	l      loopctl.Capacity
	r      *loopctl.Request
	loops  int
	planes map[[2]int][]int64 // by stage and plane: one number for each position
}

func (m *model) write(st loopctl.Stage, plane, pos int, h int64) {
	at := [2]int{int(st), plane}
	for len(m.planes[at]) <= pos {
		m.planes[at] = append(m.planes[at], 0)
	}
	m.planes[at][pos] = loopctltest.Key(h, pos)
}

func (m *model) attend(st loopctl.Stage, plane, pos int, h int64) int64 {
	if m.l.Pages[st] == 0 {
		return h
	}
	m.write(st, plane, pos, h)
	seen := pos + 1
	if m.l.Whole {
		seen = max(seen, len(m.r.Prompt))
	}
	for i, k := range m.planes[[2]int{int(st), plane}][:seen] {
		h += loopctltest.Sees(k, pos-i)
	}
	return h % loopctltest.Modulus
}

// run takes n rows from position first through all stages, each loop of all of them before the next. It returns what
// the last one says and the loops that it did.
func (m *model) run(tokens []int32, first, n int) (h int64, loops int) {
	hs, injects, gone := make([]int64, n), make([]int64, n), make([]int, n)
	rules := make([]rule, n)
	ahead := func(st loopctl.Stage, plane int, h func(i int) int64) { // rows of a whole prompt see those behind them
		for i := 0; m.l.Whole && i < n; i++ {
			if gone[i] == 0 {
				m.write(st, plane, first+i, h(i))
			}
		}
	}
	state := func(i int) int64 { return hs[i] }
	ahead(loopctl.StagePrelude, 0, func(i int) int64 { return loopctltest.Embed(tokens[first+i], first+i, m.r.Seed) })
	for i := range n {
		pos := first + i
		hs[i] = m.attend(loopctl.StagePrelude, 0, pos, loopctltest.Embed(tokens[pos], pos, m.r.Seed))
		injects[i] = hs[i]
		rules[i] = rule{m: m, position: pos, decides: pos >= len(m.r.Prompt)-1}
	}
	for d := range m.loops {
		plane, last := d, m.loops
		if p := m.l.KV.Planes; p > 0 {
			plane, last = d%p, min(p, m.loops)
		}
		writer := map[kv.Keep]int{kv.KeepAny: d, kv.KeepFirst: 0, kv.KeepLast: rules[0].most() - 1}[m.l.KV.Keep]
		if d != writer { // nothing is kept: what it sees of itself is forgotten
			plane = 1
			at := [2]int{int(loopctl.StageBlock), plane}
			m.planes[at] = append(m.planes[at][:0], m.planes[[2]int{int(loopctl.StageBlock), 0}][:first]...)
		}
		ahead(loopctl.StageBlock, plane, state)
		for i := range n {
			if gone[i] > 0 {
				continue
			}
			hs[i] = loopctltest.Loop(m.attend(loopctl.StageBlock, plane, first+i, hs[i]), injects[i], d)
			if m.l.Trajectories != loopctl.TrajectoryNone {
				time, step := m.r.Trajectory.At(d, rules[i].most())
				hs[i] = loopctltest.Way(hs[i], time, step)
			}
		}
		for i := range n {
			if gone[i] > 0 || !rules[i].leaves(d+1, hs[i]) {
				continue
			}
			gone[i] = d + 1
			if m.l.Pages[loopctl.StageBlock] > 0 {
				for later := d + 1; later < last; later++ { // seen by those who go deeper
					at := [2]int{int(loopctl.StageBlock), later}
					m.write(loopctl.StageBlock, later, first+i, 0)
					m.planes[at][first+i] = m.planes[[2]int{int(loopctl.StageBlock), plane}][first+i]
				}
			}
		}
	}
	for i := range n {
		h = m.attend(loopctl.StageCoda, 0, first+i, hs[i])
	}
	return h, gone[n-1]
}

// rule decides for one row.
type rule struct {
	m           *model
	position    int
	decides     bool
	agree, same int
	cdf, stay   float64
	entropy     float64
	says        int
	logit       float64
	seen        bool
}

// most is the loops that a row does at most.
func (u *rule) most() int {
	r := u.m.r
	if t, n := u.position-len(r.Prompt)+1, len(r.Replay); n > 0 && t >= 0 {
		return r.Replay[min(t, n-1)]
	}
	return u.m.loops
}

func (u *rule) leaves(depth int, h int64) bool {
	x := u.m.r.Exit
	if len(u.m.r.Replay) > 0 || depth >= u.m.loops {
		return depth >= u.most()
	}
	threshold := x.Threshold
	if threshold == 0 {
		threshold = x.Kind.DefaultThreshold()
	}
	pass := false
	switch {
	case x.Kind == loopctl.ExitDelta:
		pass = float64(loopctltest.Change(h)) < threshold
	case x.Kind == loopctl.ExitGate:
		if depth == 1 {
			u.stay = 1
		}
		p := 1 / (1 + math.Exp(-float64(loopctltest.Gate(h))))
		u.cdf += p * u.stay
		u.stay *= 1 - p
		pass = u.cdf >= threshold
	case x.Kind.Probes() && u.decides:
		pass = u.probe(h, threshold)
	}
	if !pass {
		u.agree = 0
		return false
	}
	u.agree++
	return u.agree >= max(x.Agree, 1) && depth >= max(x.MinLoops, 1)
}

// probe looks at the logits: one of them stands out, by `logit`.
func (u *rule) probe(h int64, threshold float64) bool {
	if u.m.l.Pages[loopctl.StageCoda] > 0 {
		h = u.m.attend(loopctl.StageCoda, 0, u.position, h)
	}
	id, logit := loopctltest.Says(h, u.m.l.Vocab), float64(loopctltest.Sure(h))
	others := float64(u.m.l.Vocab - 1)
	logZ := math.Log(math.Exp(logit) + others)
	entropy := logZ - math.Exp(logit-logZ)*logit
	seen, before, lastLogit, lastID := u.seen, u.entropy, u.logit, u.says
	u.seen, u.entropy, u.logit, u.says = true, entropy, logit, id
	if !seen {
		return false
	}
	if id == lastID {
		u.same++
	} else {
		u.same = 0
	}
	switch u.m.r.Exit.Kind {
	case loopctl.ExitEntropy:
		return math.Abs(entropy-before) < threshold
	case loopctl.ExitArgmax:
		return float64(u.same) >= threshold
	default: // KL of two distributions that each have one logit that is not 0
		z := math.Log(math.Exp(lastLogit) + others)
		p := math.Exp(lastLogit - z)
		kl := logZ - z + p*lastLogit
		if id == lastID {
			return kl-p*logit < threshold
		}
		return kl-math.Exp(-z)*logit < threshold
	}
}

// shifting is a sampler with a state: from the largest logit it moves on, by how many tokens it has picked. One that was asked
// once too often, or whose copy was, picks others.
type shifting struct{ picked int }

// Fork returns a copy.
func (s *shifting) Fork() loopctl.Forking {
	c := *s
	return &c
}

// Sample picks the next token.
func (s *shifting) Sample(logits []float32) loopctl.Sampled {
	s.picked++
	return loopctl.Sampled{ID: shifted(loopctl.Argmax(logits), s.picked-1, len(logits))}
}

// shifted is what shifting makes of a token after so many others.
func shifted(id, picked, vocab int) int32 { return int32((id + picked*picked) % vocab) }
