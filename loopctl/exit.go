package loopctl

import (
	"fmt"
	"time"
)

// exit moves the chunks that have reached their depth out of the loop. Rows that nobody will look at again give
// their latents back at once.
func (c *Controller) exit() {
	bare := c.limits.Pages[StageCoda] == 0
	for _, k := range c.plan {
		s := k.seq
		if k.depth < s.loops {
			continue
		}
		if k.first < len(s.req.Prompt) {
			s.stats.PromptLoops += k.depth * k.rows()
		}
		if bare && !k.needsLogits() {
			c.retire(k)
			continue
		}
		c.out = append(c.out, k)
	}
}

// emit samples the next token of s and sends it; the last one ends the sequence.
func (c *Controller) emit(s *sequence, logits []float32, loops int, now time.Time) {
	tok, err := pick(s.req.Picker, logits)
	if err != nil {
		c.cfg.Logger.Error("picker failed", "request", s.req.ID, "err", err)
		c.end(s, Event{Finish: FinishError, Err: err})
		return
	}
	st := &s.stats
	if st.CompletionTokens == 0 {
		st.FirstToken = now
	}
	st.CompletionTokens++
	st.LoopsTotal += loops
	st.LoopsMax = max(st.LoopsMax, loops)
	c.stats.Tokens++
	e := Event{Token: tok, Loops: loops, Finish: s.stops(tok.ID)}
	if e.Finish != FinishNone {
		c.end(s, e)
		return
	}
	s.tokens = append(s.tokens, tok.ID)
	s.stream.Push(e)
}

// pick asks the picker, whose panic or nonsense must not reach the other sequences.
func pick(p Picker, logits []float32) (tok Picked, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: picker panicked: %v", ErrEngine, v)
		}
	}()
	tok = p.Pick(logits)
	if tok.ID < 0 || int(tok.ID) >= len(logits) {
		return tok, fmt.Errorf("%w: picker chose token %d of a vocabulary of %d", ErrEngine, tok.ID, len(logits))
	}
	return tok, nil
}
