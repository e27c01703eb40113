package evaluate

import (
	"math"
	"slices"
	"time"
)

func count(s Setting, problems []Problem, replies []reply) Point {
	p := Point{Setting: s}
	for i, problem := range problems {
		at := slices.IndexFunc(p.Groups, func(g Group) bool { return g.Name == problem.Group })
		if at < 0 {
			at = len(p.Groups)
			p.Groups = append(p.Groups, Group{Name: problem.Group})
		}
		p.add(&replies[i])
		p.Groups[at].add(&replies[i])
	}
	return p
}

func (g *Group) add(r *reply) {
	g.Total++
	if r.correct {
		g.Correct++
	}
	g.Tokens += r.answer.Tokens
	g.Loops += r.answer.Loops
	g.Logprob += r.likelihood.Logprob
	g.Scored += r.likelihood.Tokens
}

// Interval is where the true accuracy lies with a probability of 95 %, in percent, by Wilson's score: what so few
// problems can tell.
func (g Group) Interval() (low, high float64) {
	if g.Total == 0 {
		return 0, 100
	}
	const z = 1.96
	n, p := float64(g.Total), float64(g.Correct)/float64(g.Total)
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return 100 * max(middle-half, 0), 100 * min(middle+half, 1)
}

func median(v []time.Duration) time.Duration {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return v[(len(v)-1)/2]
}
