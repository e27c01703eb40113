package bench

import (
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
)

// Shape is one point's place in a sweep.
type Shape struct {
	Loops        int `json:"loops"` // 0: the server's default
	Concurrency  int `json:"concurrency"`
	PromptTokens int `json:"prompt_tokens"`
	MaxTokens    int `json:"max_tokens"`
}

// Plan is a sweep over every combination of its lists.
type Plan struct {
	Loops        []int
	Concurrency  []int
	PromptTokens []int
	MaxTokens    []int
	Runs         int // measured runs of each point
	WarmUp       int // unmeasured ones before them
	Seed         uint64
	Exit         loopctl.ExitPolicy // of every request; loops is its cap
	Draft        int                // of every request; below every loop count
	// Progress is told after each run; done counts warm-ups, too. It is called by the goroutine of Run.
	Progress func(done, total int, now Shape)
}

// Shapes are the points, loops changing fastest.
func (p *Plan) Shapes() []Shape {
	var out []Shape
	for _, tokens := range p.MaxTokens {
		for _, prompt := range p.PromptTokens {
			for _, c := range p.Concurrency {
				for _, l := range p.Loops {
					out = append(out, Shape{l, c, prompt, tokens})
				}
			}
		}
	}
	return out
}

// Check refuses a plan that cannot run. It names the list as the wire spells it.
func (p *Plan) Check() error {
	for _, l := range []struct {
		name   string
		values []int
		least  int
	}{{"loops", p.Loops, 0}, {"concurrency", p.Concurrency, 1}, {"prompt_tokens", p.PromptTokens, 1}, {"max_tokens", p.MaxTokens, 1}} {
		if len(l.values) == 0 {
			return fmt.Errorf("%s is empty: give at least one number", l.name)
		}
		for _, v := range l.values {
			if v < l.least {
				return fmt.Errorf("%s has %d in it: each must be at least %d", l.name, v, l.least)
			}
		}
	}
	if p.Runs < 1 {
		return fmt.Errorf("runs is %d: must be at least 1", p.Runs)
	}
	if p.WarmUp < 0 {
		return fmt.Errorf("warmup is %d: must be 0 or more", p.WarmUp)
	}
	return nil
}
