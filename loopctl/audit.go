package loopctl

import "runtime/debug"

// audit proves the books right while nobody runs. A mismatch is a bug of ours: it is counted and logged with all there
// is to find it by, and the books are opened anew, which nobody notices since nobody holds a page.
func (c *Controller) audit() {
	if c.audited == c.turns || len(c.running) > 0 {
		return
	}
	c.audited = c.turns
	c.gauges.audits.Add(1)
	err := c.check()
	if err == nil {
		return
	}
	c.gauges.mismatches.Add(1)
	c.cfg.Logger.Error("books do not add up; pages are rebuilt", "err", err, "tick", c.stats.Tick,
		"snapshot", c.Snapshot(), "stack", string(debug.Stack()))
	fresh := newCore(c.capacity, c.cfg)
	c.memory, c.latents, c.emptyHanded = fresh.memory, fresh.latents, 0
	if c.queued.Load() == 0 {
		c.gauges.backlog.Store(0)
	}
	c.publish()
}
