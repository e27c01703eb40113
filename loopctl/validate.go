package loopctl

import (
	"fmt"
	"math"
)

// validate checks what can be known before anything runs: a request that passes can be served, given time.
func (c *Controller) validate(r *Request) error {
	l := &c.limits
	if len(r.Prompt) == 0 {
		return &FieldError{"prompt", "[]", "is empty; give at least one token"}
	}
	for i, id := range r.Prompt {
		if id < 0 || int(id) >= l.Vocab {
			return &FieldError{"prompt", id, fmt.Sprintf("token %d is outside the vocabulary; ids go from 0 to %d", i, l.Vocab-1)}
		}
	}
	if r.MaxTokens < 1 && (r.MaxTokens < 0 || r.Scorer == nil && r.Pool == nil) {
		return &FieldError{"max_tokens", r.MaxTokens, "must be at least 1"}
	}
	if r.Loops != 0 && (r.Loops < l.Loops.Min || r.Loops > l.Loops.Max) {
		return &FieldError{"loops", r.Loops, fmt.Sprintf("is out of range; this model takes %d to %d", l.Loops.Min, l.Loops.Max)}
	}
	if err := c.validateDepth(r); err != nil {
		return err
	}
	if r.Picker == nil && r.MaxTokens > 0 {
		return &FieldError{"sampling", nil, "no picker is set; every request needs one"}
	}
	if len(r.Prompt) > l.Context-r.MaxTokens { // so written, a huge MaxTokens cannot overflow
		return fmt.Errorf("%w: %d prompt tokens and max_tokens %d exceed the context of %d; shorten one of them",
			ErrPromptTooLong, len(r.Prompt), r.MaxTokens, l.Context)
	}
	need := c.worstCase(r)
	for s := range numStages {
		if need[s] > l.Pages[s] {
			return fmt.Errorf("%w: %s needs %d pages and has %d in all; lower max_tokens or loops, or give the server more pages",
				ErrPagesExhausted, s, need[s], l.Pages[s])
		}
	}
	return nil
}

// loopsOf is the depth at which r's rows leave the block.
func (c *Controller) loopsOf(r *Request) int {
	if r.Loops == 0 {
		return c.limits.Loops.Default
	}
	return r.Loops
}

// worstCase is how many pages of each stage r may come to hold. The last token is never fed back: it needs no place.
func (c *Controller) worstCase(r *Request) [numStages]int {
	perPlane := pagesFor(rowsOf(r), c.limits.PageSize)
	var need [numStages]int
	for s := range numStages {
		need[s] = perPlane * c.limits.KV.planesIn(s, c.loopsOf(r), c.limits.Pages)
	}
	return need
}

func queueFull(waiting, more, limit int) error {
	return fmt.Errorf("%w: %d requests wait and %d more would exceed the limit of %d; try again later", ErrQueueFull, waiting, more, limit)
}

// validateDepth checks what a request says about its loops beside their number.
func (c *Controller) validateDepth(r *Request) error {
	l, x, loops := &c.limits, &r.Exit, c.loopsOf(r)
	switch {
	case x.Kind >= numExits:
		return &FieldError{"exit_policy", x.Kind, "is not known"}
	case x.Kind == ExitDelta && !l.Delta:
		return &FieldError{"exit_policy", x.Kind, "is not possible: this model's block does not emit its latent's change; use kl, entropy or argmax"}
	case x.Kind == ExitGate && !l.Gate:
		return &FieldError{"exit_policy", x.Kind, "is not possible: this model has no gate; use delta, kl, entropy or argmax"}
	case math.IsNaN(x.Threshold) || x.Threshold < 0:
		return &FieldError{"exit_threshold", x.Threshold, "must be a positive number"}
	case x.MinLoops != 0 && (x.MinLoops < l.Loops.Min || x.MinLoops > loops):
		return &FieldError{"min_loops", x.MinLoops, fmt.Sprintf("is out of range; it must be from %d to loops, which is %d", l.Loops.Min, loops)}
	case x.Agree < 0:
		return &FieldError{"exit_agree", x.Agree, "must not be negative"}
	case r.Lens < 0 || r.Lens > l.Vocab:
		return &FieldError{"return_lens", r.Lens, fmt.Sprintf("must be from 0 to the vocabulary's size, %d", l.Vocab)}
	case len(r.Replay) > 0 && x.Kind != ExitNone:
		return &FieldError{"replay_loops", r.Replay, "does not go with an exit policy; leave one of them out"}
	}
	for i, n := range r.Replay {
		if n < l.Loops.Min || n > loops {
			return &FieldError{"replay_loops", n, fmt.Sprintf("entry %d is out of range; it must be from %d to loops, which is %d", i, l.Loops.Min, loops)}
		}
	}
	if r.Pool != nil {
		if _, ok := c.engine.(LatentReader); !ok {
			return &FieldError{"embedding", nil, "is not possible: this model's latents cannot be read"}
		}
	}
	return c.validateDraft(r, loops)
}

func (c *Controller) validateDraft(r *Request, loops int) error {
	if r.Draft == 0 {
		return nil
	}
	_, forks := r.Picker.(Forker)
	planes := c.limits.KV.Planes
	bad := func(why string) error { return &FieldError{"draft_loops", r.Draft, why} }
	switch {
	case r.Draft < 0 || r.Draft >= loops:
		return bad(fmt.Sprintf("must be from 0, which is off, to below loops, which is %d", loops))
	case r.Exit.Kind != ExitNone || len(r.Replay) > 0:
		return bad("needs a fixed depth; leave exit_policy and replay_loops out")
	case r.Lens > 0:
		return bad("does not go with return_lens; leave one of them out")
	case planes > 0 && planes < loops:
		return bad("needs the KV policy depth; this server keeps fewer planes")
	case !forks:
		return bad("needs a picker that can be copied")
	}
	return nil
}
