package loopctl

// tick is one turn of the engine: at most one prelude, one block and one coda call. It reports whether it made a call;
// where it made none, nothing can run until somebody wakes the controller.
func (c *Controller) tick() bool {
	c.begin()
	c.receive() // what Submit queued
	c.reap()    // cancelled: gone before anything else, their pages with them
	c.admit()   // waiting → running while pages and latents suffice
	c.choose()  // which rows run: those in flight and those that enter, decode rows first

	c.prelude() // rows that enter, depth 0
	c.block()   // all chosen rows, whatever their depth
	c.exit()    // who has reached its depth leaves the loop
	c.coda()    // who left and needs logits
	c.sample()  // logits → id; stop? → the pages are free; else the sequence enters again next tick

	return c.finish()
}

func (c *Controller) begin() {
	c.began = c.cfg.Now()
	byDepth := c.stats.ByDepth
	clear(byDepth)
	c.stats = TickStats{Tick: c.stats.Tick, ByDepth: byDepth}
	c.fresh, c.plan, c.out = c.fresh[:0], c.plan[:0], c.out[:0]
}

// prelude runs the chunks that enter. All of them are in the block's plan too, unless this call fails.
func (c *Controller) prelude() {
	if len(c.fresh) == 0 {
		return
	}
	c.pack(StagePrelude, c.fresh)
	if err := c.call(StagePrelude); err != nil {
		c.fail(c.fresh, err)
		c.plan = living(c.plan)
	}
}

// block is the one hot call: rows of all depths together.
func (c *Controller) block() {
	if len(c.plan) == 0 {
		return
	}
	c.pack(StageBlock, c.plan)
	if err := c.call(StageBlock); err != nil {
		c.fail(c.plan, err)
		c.plan = c.plan[:0]
		return
	}
	for _, k := range c.plan {
		c.stats.ByDepth[k.depth] += k.rows()
		k.depth++
		c.pay(k.seq, k.rows())
	}
}

// coda runs the chunks that left the loop. Where it has layers every row goes through it, since later ones will look
// at its K and V; otherwise only the row whose logits are needed does.
func (c *Controller) coda() {
	if len(c.out) == 0 {
		return
	}
	c.pack(StageCoda, c.out)
	if err := c.call(StageCoda); err != nil {
		c.fail(c.out, err)
		c.out = c.out[:0]
	}
}

// sample turns logits into tokens and lets the chunks' latents go.
func (c *Controller) sample() {
	next := 0
	now := c.cfg.Now()
	for _, k := range c.out {
		s, logits := k.seq, []float32(nil)
		if k.needsLogits() {
			logits = c.logits[next]
			next++
		}
		loops := k.depth
		c.retire(k)
		if logits != nil {
			c.emit(s, logits, loops, now)
		}
	}
	c.logits = nil
}

// finish counts, tells the observer, and forgets those who ended.
func (c *Controller) finish() bool {
	c.forget()
	c.publish()
	if len(c.plan) == 0 && c.stats.Calls[StagePrelude].Rows == 0 && c.stats.Calls[StageBlock].Rows == 0 {
		return false
	}
	c.stats.Tick++
	t := &c.stats
	t.Running, t.Waiting = len(c.running), int(c.queued.Load())
	t.Took = c.cfg.Now().Sub(c.began)
	c.gauges.time(t)
	c.cfg.Observer.Tick(t)
	return true
}
