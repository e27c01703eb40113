package loopctl

import (
	"fmt"
	"runtime/debug"
)

// pack makes the batch of one call: a span for each chunk.
func (c *Controller) pack(st Stage, chunks []*chunk) {
	b := &c.batch
	b.Spans, b.Rows = b.Spans[:0], 0
	for _, k := range chunks {
		s := k.seq
		first, slots := k.first, k.slots
		span, loops := Span{Seed: s.req.Seed}, 0
		switch st {
		case StagePrelude:
		case StageBlock:
			span.Depth = k.depth
			loops, _ = s.target(k.first)
			span.Time, span.Step = s.req.Trajectory.At(k.depth, loops)
		case StageCoda:
			switch {
			case k.scores() && !k.probed:
				span.LogitRows = c.identity[:len(slots):len(slots)]
			case c.capacity.Pages[StageCoda] == 0: // without layers: the last row alone
				first, slots = k.end()-1, k.slots[k.rows()-1:]
				span.LogitRows = c.identity[:1:1]
			case k.needsLogits() || k.probed:
				span.LogitRows = c.identity[len(slots)-1 : len(slots) : len(slots)]
			}
		}
		end := first + len(slots)
		span.Past, span.Rows, span.Tokens = first, slots, s.tokens[first:end:end]
		if c.capacity.Whole {
			span.Visible = len(s.req.Prompt)
		}
		span.Pages = c.memory.Pages(&s.holding, int(st), span.Depth, loops, first, max(end, span.Visible))
		b.Spans = append(b.Spans, span)
		b.Rows += len(slots)
	}
}

// call makes the native call on the packed batch. Whatever happens in it comes back as an error.
func (c *Controller) call(st Stage) error {
	t := &c.stats.Calls[st]
	t.Rows, t.Spans = c.batch.Rows, len(c.batch.Spans)
	start := c.cfg.Now()
	c.calls.begin(st, c.batch.Rows)
	err := c.guard(st)
	c.calls.end()
	t.Took = c.cfg.Now().Sub(start)
	if err == nil { // one that failed took as long as it liked
		c.costs[st].add(t.Rows, t.Took)
		c.byRows[st].add(t.Rows, t.Took)
	} else {
		err = fmt.Errorf("%w: %s of %d rows: %w", ErrEngine, st, c.batch.Rows, err)
		t.Err = err
		c.cfg.Logger.Error("engine call failed", "stage", st.String(), "rows", c.batch.Rows, "spans", len(c.batch.Spans), "err", err)
	}
	return err
}

func (c *Controller) guard(st Stage) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.cfg.Logger.Error("engine panicked", "stage", st.String(), "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	switch st {
	case StagePrelude:
		return c.engine.Prelude(&c.batch)
	case StageBlock:
		if c.info, err = c.engine.Block(&c.batch); err == nil {
			err = c.checkInfo()
		}
	case StageCoda:
		if c.logits, err = c.engine.Coda(&c.batch); err == nil {
			err = c.checkLogits()
		}
	}
	return err
}

// caught turns a panic of what is called into an error. Defer it.
func caught(what string, err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("%w: %s panicked: %v", ErrEngine, what, v)
	}
}

// checkInfo makes sure that the numbers that the engine announced are there, one for each row.
func (c *Controller) checkInfo() error {
	deltas, gates, rows := len(c.info.Delta), len(c.info.Gate), c.batch.Rows
	if c.capacity.Delta && deltas != rows || c.capacity.Gate && gates != rows {
		return fmt.Errorf("engine returned %d deltas and %d gates for %d rows", deltas, gates, rows)
	}
	return nil
}

// guardFill copies rows that left to the planes that they skipped.
func (c *Controller) guardFill(fills []Fill) (err error) {
	defer caught("KV propagation", &err)
	if err := c.engine.Fill(fills); err != nil {
		return fmt.Errorf("%w: KV propagation of %d rows: %w", ErrEngine, len(fills), err)
	}
	return nil
}

// checkLogits makes sure that every asked row is there, whole, before a sampler sees it.
func (c *Controller) checkLogits() error {
	want := 0
	for i := range c.batch.Spans {
		want += len(c.batch.Spans[i].LogitRows)
	}
	if len(c.logits) != want {
		return fmt.Errorf("engine returned %d rows of logits, want %d", len(c.logits), want)
	}
	for i, row := range c.logits {
		if len(row) != c.capacity.Vocab {
			return fmt.Errorf("logits of row %d: engine returned %d, want %d", i, len(row), c.capacity.Vocab)
		}
	}
	return nil
}

// fail ends the sequences of a call that failed. The others don't notice.
func (c *Controller) fail(chunks []*chunk, err error) {
	// A prompt may have two chunks here; ending its sequence retires both.
	for _, k := range chunks {
		if s := k.seq; s != nil {
			c.end(s, Event{Finish: FinishError, Err: err})
		}
	}
}
