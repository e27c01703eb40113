package loopctl

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// sample hands the logits to those who wait for them: the next token of a sequence, the scorer of a prompt, a policy
// that probes, a draft.
func (c *Controller) sample() {
	now := c.cfg.Now()
	next := 0
	for i, k := range c.visits {
		n := len(c.batch.Spans[i].LogitRows)
		logits := c.logits[next : next+n]
		next += n
		switch {
		case k.seq == nil: // its sequence ended, or took it back, a line before
		case k.probed:
			k.probed = false
			c.probeLogits(k, logits[0], now)
		default:
			c.deliver(k, logits, now)
		}
	}
	c.logits = nil
}

// deliver takes a chunk that has left out of the engine. logits has one row, or one for each of its rows if it scores.
func (c *Controller) deliver(k *chunk, logits [][]float32, now time.Time) {
	s, loops := k.seq, k.depth
	if k.scores() {
		if err := s.score(k.first, logits); err != nil {
			c.abort(s, err)
			return
		}
	}
	if !k.needsLogits() {
		c.depart(k)
		return
	}
	last := logits[len(logits)-1]
	s.look(last)
	if c.depart(k) {
		c.emit(s, last, loops, now)
	}
}

// depart lets a chunk out of the engine, its latents shown to OnLatent. It reports whether the sequence goes on.
func (c *Controller) depart(k *chunk) bool {
	if err := c.show(k); err != nil {
		c.abort(k.seq, err)
		return false
	}
	c.retire(k)
	return true
}

// probeLogits looks at the logits of a row that goes on, unless they say that it need not.
func (c *Controller) probeLogits(k *chunk, logits []float32, now time.Time) {
	s := k.seq
	if s.draft > 0 {
		c.guessFrom(s, logits, k.depth)
		return
	}
	s.look(logits)
	if !s.decides(k) || !s.probe.passes(&s.exit, logits) || k.depth < s.exit.MinLoops {
		return
	}
	if n := k.rows(); n > 1 { // of a prompt's chunk the last row alone leaves
		at := slices.Index(s.chunks, k)
		c.split(s, at, n-1)
		k = s.chunks[at+1]
	}
	k.left = true
	c.count(k)
	c.fill() // before its token may end the sequence and its pages go into the prefix cache
	if k.seq == nil {
		return
	}
	if loops := k.depth; c.depart(k) {
		c.emit(s, logits, loops, now)
	}
}

// emit samples the next token of s and sends it; the last one ends the sequence.
func (c *Controller) emit(s *sequence, logits []float32, loops int, now time.Time) {
	lens := s.probe.lens
	s.probe.reset()
	if s.req.MaxTokens == 0 {
		c.end(s, Event{Token: Sampled{ID: -1}, Finish: FinishLength})
		return
	}
	tok, err := draw(s.req.Sampler, logits)
	if err != nil {
		c.abort(s, err)
		return
	}
	st := &s.stats
	first := st.CompletionTokens == 0
	told := TokenStats{Exit: s.exit.Kind, Loops: loops, First: first}
	if first {
		st.FirstToken = now
	} else {
		told.After = now.Sub(s.told)
		if s.req.Timeline {
			st.extend(loops, now)
		}
	}
	s.told = now
	c.stats.Tokens = append(c.stats.Tokens, told)
	st.CompletionTokens++
	st.LoopsTotal += loops
	st.LoopsMax = max(st.LoopsMax, loops)
	st.LoopsSaved += max(s.loops-loops, 0)
	e := Event{Token: tok, At: now, Loops: loops, Lens: lens}
	if e.Finish, err = s.finish(tok.ID, loops); err != nil {
		c.abort(s, err)
		return
	}
	if e.Finish != FinishNone {
		c.end(s, e)
		return
	}
	c.confirm(s, tok.ID)
	if s.auto && !s.wraps {
		c.weigh(s)
	}
	if first {
		c.share(s)
	}
	s.stream.Push(e)
}

// abort ends a sequence whose own sampler, scorer or reader of latents failed.
func (c *Controller) abort(s *sequence, err error) {
	c.cfg.Logger.Error("request failed", "request", s.req.ID, "err", err)
	c.end(s, Event{Finish: FinishError, Err: err})
}

// draw asks the sampler, whose panic or nonsense must not reach the other sequences.
func draw(p Sampler, logits []float32) (tok Sampled, err error) {
	defer caught("the sampler", &err)
	tok = p.Sample(logits)
	if tok.ID < 0 || int(tok.ID) >= len(logits) {
		return tok, fmt.Errorf("%w: the sampler chose token %d of a vocabulary of %d", ErrEngine, tok.ID, len(logits))
	}
	return tok, nil
}

// finish says whether the sequence ends with this token, and asks who else may know.
func (s *sequence) finish(id int32, loops int) (f FinishReason, err error) {
	defer caught("Ends", &err)
	f = s.stops(id)
	if s.req.Ends == nil {
		return f, nil
	}
	return cmp.Or(s.req.Ends(id, loops, f), f), nil
}

// score shows the scorer the logits of a prompt's rows: each position once, also where the prompt is computed again.
func (s *sequence) score(first int, logits [][]float32) (err error) {
	defer caught("the scorer", &err)
	for i, row := range logits {
		if position := first + i; position < len(s.req.Prompt)-1 && position >= s.scored {
			s.scored = position + 1
			s.req.Scorer.Score(position, row)
		}
	}
	return nil
}

// show gives OnLatent the latents of a prompt's rows that left the loop: each position once.
func (c *Controller) show(k *chunk) (err error) {
	s := k.seq
	if s.req.OnLatent == nil {
		return nil
	}
	defer caught("OnLatent", &err)
	for i, slot := range k.slots {
		position := k.first + i
		if position >= len(s.req.Prompt) || position < s.shown {
			continue
		}
		s.shown = position + 1
		if err := c.engine.Latent(slot, c.latent); err != nil {
			return fmt.Errorf("%w: read hidden state of position %d: %w", ErrEngine, position, err)
		}
		s.req.OnLatent(position, c.latent)
	}
	return nil
}
