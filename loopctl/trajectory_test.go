package loopctl_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
)

// A trajectory says where a row is by the shares of its steps, and what a request may say of it depends on the model.
func TestTrajectory(t *testing.T) {
	way := loopctl.Trajectory{4, 2, 1, 1}
	var times, steps []float32
	for depth := range 4 {
		time, step := way.At(depth, 4)
		times, steps = append(times, time), append(steps, step)
	}
	if !slices.Equal(times, []float32{0, 0.5, 0.75, 0.875}) || !slices.Equal(steps, []float32{0.5, 0.25, 0.125, 0.125}) {
		t.Errorf("times %v, steps %v", times, steps)
	}
	if time, step := loopctl.Trajectory(nil).At(1, 4); time != 0.25 || step != 0.25 {
		t.Errorf("the second of four even steps: %v, %v", time, step)
	}
	for _, c := range []struct {
		kind loopctl.Trajectories
		req  loopctl.Request
		want string // "": it is served
	}{
		{loopctl.TrajectoryAny, loopctl.Request{Loops: 4, Trajectory: way}, ""},
		{loopctl.TrajectoryEven, loopctl.Request{Loops: 3}, ""},
		{loopctl.TrajectoryEven, loopctl.Request{Loops: 4, Draft: 2}, ""},
		{loopctl.TrajectoryEven, loopctl.Request{Loops: 4, Trajectory: way}, "trajectory is [4 2 1 1]: the loops of this model have no steps to choose"},
		{loopctl.TrajectoryNone, loopctl.Request{Loops: 4, Trajectory: way}, "trajectory is"},
		{loopctl.TrajectoryAny, loopctl.Request{Loops: 3, Trajectory: way}, "trajectory has 4 steps and loops is 3"},
		{loopctl.TrajectoryAny, loopctl.Request{Loops: 2, Trajectory: loopctl.Trajectory{1, 0}}, "must be a positive number"},
		{loopctl.TrajectoryAny, loopctl.Request{Loops: 3, Trajectory: loopctl.Trajectory{1e308, 1e308, 1e308}}, "step 0 is no share of the sum"},
		{loopctl.TrajectoryAny, loopctl.Request{Loops: 2, Trajectory: loopctl.Trajectory{1, 1e-60}}, "step 1 is no share of the sum"},
		{loopctl.TrajectoryEven, loopctl.Request{Loops: 4, Elastic: true}, "elastic is true: the state"},
		{loopctl.TrajectoryEven, loopctl.Request{Loops: 4, Replay: []int{1}}, "replay_loops is [1]: the state"},
		{loopctl.TrajectoryEven, loopctl.Request{Loops: 4, Replay: []int{4, 1}}, ""},
		{loopctl.TrajectoryAny, loopctl.Request{Loops: 4, Replay: []int{4, 1}, Trajectory: way}, "replay_loops is [4 1]: the state"},
		{loopctl.TrajectoryEven, loopctl.Request{Loops: 4, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitKL}}, "exit_policy is kl: the state"},
	} {
		l := loopctl.Capacity{Loops: loopctl.LoopRange{Min: 1, Default: 4, Trained: 4, Max: 8}, Vocab: 8, Delta: true, Trajectories: c.kind}
		err := c.req.CheckDepth(&l)
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d, %+v: %v, want %q", c.kind, c.req, err, c.want)
		}
	}
}
