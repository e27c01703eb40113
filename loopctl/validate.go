package loopctl

import "fmt"

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
	if r.MaxTokens < 1 {
		return &FieldError{"max_tokens", r.MaxTokens, "must be at least 1"}
	}
	if r.Loops != 0 && (r.Loops < l.Loops.Min || r.Loops > l.Loops.Max) {
		return &FieldError{"loops", r.Loops, fmt.Sprintf("is out of range; this model takes %d to %d", l.Loops.Min, l.Loops.Max)}
	}
	if r.Picker == nil {
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
	perPlane := pagesFor(len(r.Prompt)+r.MaxTokens-1, c.limits.PageSize)
	var need [numStages]int
	for s := range numStages {
		if c.limits.Pages[s] > 0 {
			need[s] = perPlane * planes(s, c.loopsOf(r))
		}
	}
	return need
}

func queueFull(waiting, more, limit int) error {
	return fmt.Errorf("%w: %d requests wait and %d more would exceed the limit of %d; try again later", ErrQueueFull, waiting, more, limit)
}
