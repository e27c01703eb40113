package loopctl

import "slices"

// tick is one turn of the engine: at most one prelude, one block and one coda call. It reports whether it made a call;
// where it made none, nothing can run until somebody wakes the controller.
func (c *Controller) tick() bool {
	c.begin()
	c.receive() // what Submit queued
	c.reap()    // cancelled or too late: gone before anything else, their pages with them
	c.admit()   // waiting → running while pages and latents suffice
	c.grow()    // pages for the next token of each; who gets none is preempted
	c.choose()  // which rows run: those in flight and those that enter, decode rows first

	c.prelude() // rows that enter, depth 0
	c.block()   // all chosen rows, whatever their depth
	c.exit()    // who has reached its depth, or may leave by the graph's numbers, leaves the loop
	c.coda()    // who left and needs logits, and who is only looked at
	c.sample()  // logits → id; stop? → the pages are free; else the sequence enters again next tick

	return c.finish()
}

func (c *Controller) begin() {
	c.began = c.cfg.Now()
	c.turns++
	byDepth, exits, tokens := c.stats.ByDepth, c.stats.Exits, c.stats.Tokens[:0]
	clear(byDepth)
	for _, e := range exits {
		clear(e)
	}
	c.stats = TickStats{Tick: c.stats.Tick, ByDepth: byDepth, Exits: exits, Tokens: tokens}
	c.entering, c.looping, c.leaving, c.probes, c.visits = c.entering[:0], c.looping[:0], c.leaving[:0], c.probes[:0], c.visits[:0]
	c.spare, c.retired = append(c.spare, c.retired...), c.retired[:0]
}

// runStage makes one call. It reports false where that failed, which ends the sequences of its chunks and no other.
func (c *Controller) runStage(st Stage, chunks []*chunk) bool {
	if len(chunks) == 0 {
		return true
	}
	c.pack(st, chunks)
	err := c.call(st)
	if err != nil {
		c.fail(chunks, err)
	}
	return err == nil
}

// prelude runs the chunks that enter. All of them are in the block's plan too, unless this call fails.
func (c *Controller) prelude() {
	if !c.runStage(StagePrelude, c.entering) {
		c.looping = slices.DeleteFunc(c.looping, func(k *chunk) bool { return k.seq == nil }) // retired
	}
}

// block is the one hot call: rows of all depths together.
func (c *Controller) block() {
	if c.fill() { // what those who enter are shown of a plane that they do not write
		c.looping = slices.DeleteFunc(c.looping, func(k *chunk) bool { return k.seq == nil })
	}
	if !c.runStage(StageBlock, c.looping) {
		c.looping = c.looping[:0]
	}
	for _, k := range c.looping {
		c.stats.ByDepth[k.depth] += k.rows()
		k.depth++
		c.pay(k.seq, k.rows())
	}
}

// coda runs the chunks that left the loop, and those whose logits are to be looked at. Where it has layers every row
// goes through it, since later ones will look at its K and V; otherwise only rows whose logits are needed do.
func (c *Controller) coda() {
	c.visits = append(append(c.visits, c.leaving...), c.probes...)
	c.stats.Probes = len(c.probes)
	if !c.runStage(StageCoda, c.visits) {
		c.visits = c.visits[:0]
	}
}

// finish counts, tells the observer, and forgets those who ended.
func (c *Controller) finish() bool {
	c.forget()
	c.publish()
	t := &c.stats
	if len(c.looping) == 0 && t.Calls[StagePrelude].Rows == 0 && t.Calls[StageBlock].Rows == 0 && t.Calls[StageCoda].Rows == 0 && t.Preempted == 0 {
		return false
	}
	t.Tick++
	t.Running, t.Waiting = len(c.running), int(c.queued.Load())
	t.Took = c.cfg.Now().Sub(c.began)
	c.chances.tick(t)
	c.shown.time(t)
	c.cfg.Observer.Tick(t)
	return true
}
