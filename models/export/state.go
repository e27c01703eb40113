package export

import (
	"fmt"

	"github.com/loopserve/loopserve/models/bundle"
)

// States of Options.
const (
	StateZeros  = "zeros"
	StateNormal = "normal"
)

// startsLikeInit reports whether state_init is what the published checkpoints have: a truncated normal, as wide as the
// embedding's initialisation.
func (c *config) startsLikeInit() bool {
	kind := "like-init"
	c.take("state_init", &kind)
	return kind == "like-init"
}

// initial is the state before the first loop. The families that inject start from noise upstream, drawn anew at every
// call: zeros are the default because then a request repeats without a seed, requests of different seeds share their
// prefixes, and zeros are what the other servers of these models take. normal has upstream's width, drawn from the
// request's seed and the row's position.
func (f *frame) initial(kind string) (bundle.State, error) {
	switch {
	case !f.inject && kind == StateNormal:
		return bundle.State{}, fmt.Errorf("state is %q, but this family starts from the prelude's output", kind)
	case !f.inject:
		return bundle.State{Kind: "prelude"}, nil
	case kind == StateZeros:
		return bundle.State{Kind: "zeros"}, nil
	case f.noise == nil:
		return bundle.State{}, fmt.Errorf("state is %q, but config.json's state_init or init_values name no width for it (only state_init like-init is implemented)", kind)
	}
	return *f.noise, nil
}
