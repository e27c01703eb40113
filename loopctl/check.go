package loopctl

import (
	"fmt"
	"runtime/debug"
)

// check proves the accounting: every page and every latent slot has one owner, every promise a sequence, every chunk its
// place in the wavefront. It holds between ticks.
func (c *Controller) check() error {
	if err := c.memory.Check(holdings(c.running)); err != nil {
		return err
	}
	seen := make([]bool, c.capacity.Latents)
	own := func(slots []int32) error {
		for _, id := range slots {
			if seen[id] {
				return fmt.Errorf("hidden states: slot %d has two owners", id)
			}
			seen[id] = true
		}
		return nil
	}
	if err := own(c.latents.free); err != nil {
		return err
	}
	held, empty := len(c.latents.free), 0
	for _, s := range c.running {
		if err := s.check(own); err != nil {
			return fmt.Errorf("request %q: %w", s.req.ID, err)
		}
		held += s.latents
		if s.latents == 0 {
			empty++
		}
	}
	if held != c.capacity.Latents || empty != c.latents.withoutLatent || len(c.latents.free) < empty {
		return fmt.Errorf("hidden states: %d of %d slots have an owner, %d are free; %d sequences hold none and %d are recorded",
			held, c.capacity.Latents, len(c.latents.free), empty, c.latents.withoutLatent)
	}
	// Submit counts a request first and its loop-steps second, at any time: so they are read the other way round.
	if left := c.backlog.Load(); left != 0 && len(c.running) == 0 && c.queued.Load() == 0 {
		return fmt.Errorf("backlog: %d loop-steps are left, and no request", left)
	}
	return nil
}

func (s *sequence) check(own func([]int32) error) error {
	next, slots := s.computed, 0
	for i := len(s.chunks) - 1; i >= 0; i-- {
		k := s.chunks[i]
		if k.seq != s || k.end() > next || k.rows() == 0 || k.depth < 1 || k.depth > s.loops || !k.left && k.depth >= s.loops {
			return fmt.Errorf("chunk %d has rows %d to %d at depth %d of %d, want an end at %d", i, k.first, k.end(), k.depth, s.loops, next)
		}
		if b := s.before(i); b != nil && !k.left && k.depth > b.depth {
			return fmt.Errorf("chunk %d at depth %d overtook the one before it at %d", i, k.depth, b.depth)
		}
		next, slots = k.first, slots+k.rows()
		if err := own(k.slots); err != nil {
			return err
		}
	}
	if slots != s.latents {
		return fmt.Errorf("holds %d hidden states, %d are recorded", slots, s.latents)
	}
	return nil
}

// audit runs check while no sequence does. A mismatch is a bug of ours: it is counted and logged with all there is to
// find it by, and the accounting is reset, which no request notices since none holds a page.
func (c *Controller) audit() {
	if c.audited == c.turns || len(c.running) > 0 {
		return
	}
	c.audited = c.turns
	c.shown.update(func(s *Snapshot) { s.Audits++ })
	err := c.check()
	if err == nil {
		return
	}
	c.shown.update(func(s *Snapshot) { s.Mismatches++ })
	c.cfg.Logger.Error("page accounting is inconsistent and is reset", "err", err, "engine_step", c.stats.Tick,
		"snapshot", c.Snapshot(), "stack", string(debug.Stack()))
	fresh := newEngineState(c.capacity, c.cfg)
	c.memory, c.latents = fresh.memory, fresh.latents
	if left := c.backlog.Load(); c.queued.Load() == 0 {
		c.backlog.Add(-left)
	}
	c.publish()
}
