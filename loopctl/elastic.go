package loopctl

import (
	"math"
	"time"
)

// Elastic says when requests that allow it are given fewer loops.
type Elastic struct {
	// After is the wait, as the backlog promises it, at which the first step is taken; each further one at twice the
	// wait before. Default 1 s.
	After time.Duration
	// Steps are the fractions of the loops asked for, the first for a short backlog. Default 1, ¾, ½, ¼.
	Steps []float64
}

func (e Elastic) withDefaults() Elastic {
	if e.After <= 0 {
		e.After = time.Second
	}
	if len(e.Steps) == 0 {
		e.Steps = []float64{1, 0.75, 0.5, 0.25}
	}
	return e
}

// step is the fraction for a wait.
func (e *Elastic) step(wait time.Duration) float64 {
	level := 0
	for limit := e.After; wait >= limit && level < len(e.Steps)-1; limit *= 2 {
		level++
	}
	return e.Steps[level]
}

// grant fixes the depth of s when it is first admitted.
func (c *Controller) grant(s *sequence) {
	if s.stats.LoopsGranted > 0 {
		return // it has been admitted before
	}
	asked := s.loops
	if s.req.Elastic {
		least := min(max(s.exit.MinLoops, c.capacity.Loops.Min, 1), asked)
		wait := time.Duration(float64(c.gauges.backlog.Load()-s.owed) * math.Float64frombits(c.gauges.pace.Load()) * float64(time.Second))
		loops := int(math.Round(c.cfg.Elastic.step(wait) * float64(asked)))
		if t := s.req.TargetITL; t > 0 {
			if tick := math.Float64frombits(c.gauges.tick.Load()); tick > 0 { // a decode row does one loop a tick
				loops = min(loops, int(t.Seconds()/tick))
			}
		}
		s.loops = min(max(loops, least), asked)
		if s.loops < asked {
			c.pay(s, s.req.rows()*(asked-s.loops))
			c.stats.Degraded++
		}
	}
	s.stats.LoopsGranted = s.loops
	planes := c.capacity.KV.Planes
	s.wraps = planes > 0 && planes < s.loops
}
