package loopctl

import (
	"fmt"
	"math"
)

// Trajectories says whether the state after a loop depends on where the request is going: most models' depends on the loops
// done and nothing else.
type Trajectories uint8

// What a model takes.
const (
	TrajectoryNone Trajectories = iota // the state after t loops is the same whatever the target
	TrajectoryEven                     // it depends on the target: each loop goes 1/loops of the way
	TrajectoryAny                      // and a request may say how far each loop goes
)

// Trajectory is how far each loop of a request goes, in order, in any unit: what counts is the share of the sum. nil is even
// steps.
type Trajectory []float64

// At gives the share of the way that is behind a row of so many loops after depth of them, and the share that the next loop
// goes.
func (t Trajectory) At(depth, loops int) (time, step float32) {
	if t == nil {
		return float32(float64(depth) / float64(loops)), float32(1 / float64(loops))
	}
	before, sum := 0.0, 0.0
	for i, s := range t {
		if i < depth {
			before += s
		}
		sum += s
	}
	return float32(before / sum), float32(t[depth] / sum)
}

// checkTrajectory checks the request's own steps, and refuses what takes a state for one of another target.
func (r *Request) checkTrajectory(l *Capacity) error {
	switch n := len(r.Trajectory); {
	case l.Trajectories != TrajectoryNone && len(r.Replay) > 0 && (r.Trajectory != nil || r.Replay[0] != r.loopsIn(l)):
		return &FieldError{Field: "replay_loops", Value: r.Replay, Why: targetCounts + fmt.Sprintf("; begin it with loops, %d, which the prompt does, and leave trajectory out", r.loopsIn(l))}
	case l.Trajectories != TrajectoryNone && r.Elastic:
		return &FieldError{Field: "elastic", Value: true, Why: targetCounts + "; leave it out, and target_itl_ms"}
	case r.Trajectory == nil:
		return nil
	case l.Trajectories != TrajectoryAny:
		return &FieldError{Field: "trajectory", Value: r.Trajectory, Why: "the loops of this model have no steps to choose; leave it out and set loops"}
	case n != r.loopsIn(l):
		return &FieldError{Field: "trajectory", With: "loops", Why: fmt.Sprintf("has %d steps and loops is %d: it has one for each loop; leave loops out", n, r.loopsIn(l))}
	}
	for _, s := range r.Trajectory {
		if !(s > 0) || math.IsInf(s, 0) {
			return &FieldError{Field: "trajectory", Value: r.Trajectory, Why: "each step must be a positive number"}
		}
	}
	for i := range r.Trajectory { // a sum that overflows makes each share 0
		if _, step := r.Trajectory.At(i, 0); step == 0 {
			return &FieldError{Field: "trajectory", Value: r.Trajectory, Why: fmt.Sprintf("step %d is no share of the sum as a float32: use steps nearer to each other, of a sum below 1e308", i)}
		}
	}
	return nil
}

// targetCounts is why nothing leaves the loop early where a trajectory counts.
const targetCounts = "the state of this model's loops depends on how many are to come, so that fewer of them are no answer"
