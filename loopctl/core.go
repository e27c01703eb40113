package loopctl

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/loopserve/loopserve/loopctl/kv"
)

// core is what the engine goroutine alone touches. Its slices are used again every tick: a tick that only decodes
// allocates nothing.
type core struct {
	memory  *kv.Memory
	latents []int32 // free slots; at least one for each sequence of emptyHanded
	// emptyHanded is how many running sequences hold no latent. Each may take one at any time, so others leave as
	// many free: that is why no sequence can be locked out by another's chunks.
	emptyHanded int

	waiting []*sequence // in order of arrival; the first waits for its pages and nobody passes it
	running []*sequence // those served longest ago come first, once there is not room for all
	ended   int         // of running, those that forget must remove

	fresh, plan, out []*chunk    // of this tick's prelude, block and coda
	probes, visit    []*chunk    // rows only looked at, and all of the coda call
	spare, retired   []*chunk    // to be used again; retired in this tick: from the next on
	batch            Batch       // of the call being made
	logits           [][]float32 // the engine's, good until the next coda call
	info             RowInfo     // the engine's, good until the next block call
	filled           []*sequence // whose rows are to be copied
	going            []bool      // which rows of a chunk leave
	latent           []float32   // for OnLatent
	turns, audited   uint64      // ticks tried; at the last audit
	arrivals         uint64
	gate             bool    // this tick: rows may enter
	blocked          bool    // this tick: no prompt may enter any more
	identity         []int32 // 0, 1, 2 …: LogitRows are slices of it
	hungry           int     // ticks in a row in which decode rows left no room for prompts
	turn             []*sequence
	flight           []int64 // rows in flight by depth, for publish
	stats            TickStats
	began            time.Time
}

func newCore(l Capacity, cfg Config) core {
	g := l.geometry()
	g.Ahead, g.NoSharing = cfg.ReserveTokens, cfg.NoPrefixCache
	c := core{memory: kv.New(*g), identity: make([]int32, l.MaxRows), latents: make([]int32, l.Latents)}
	for i := range c.identity {
		c.identity[i] = int32(i)
	}
	for i := range c.latents {
		c.latents[i] = int32(l.Latents - 1 - i)
	}
	c.stats.ByDepth = make([]int, max(l.Loops.Max, 1))
	c.stats.Exits = make([][]int, numExits)
	for i := range c.stats.Exits {
		c.stats.Exits[i] = make([]int, max(l.Loops.Max, 1)+1)
	}
	c.flight = make([]int64, len(c.stats.ByDepth)+1)
	c.running = make([]*sequence, 0, cfg.MaxRunning)
	return c
}

// receive takes what Submit queued.
func (c *Controller) receive() {
	for {
		select {
		case group := <-c.submit:
			for _, s := range group {
				c.arrivals++
				s.serial = c.arrivals
				c.wait(s)
			}
		default:
			return
		}
	}
}

// wait puts s into the queue: by priority, then by arrival.
func (c *Controller) wait(s *sequence) {
	at := len(c.waiting)
	for at > 0 && s.comesBefore(c.waiting[at-1]) {
		at--
	}
	c.waiting = slices.Insert(c.waiting, at, s)
}

// reap ends those whose client is gone or whose deadline has come, waiting or running.
func (c *Controller) reap() {
	over := func(s *sequence) (e Event, yes bool) {
		if s.stream.cancelled.Load() {
			return Event{Finish: FinishCancelled, Err: s.cause()}, true
		}
		if d := s.req.Deadline; !d.IsZero() && !c.began.Before(d) {
			err := fmt.Errorf("%w: %v after arrival, with %d tokens generated", ErrDeadline, c.began.Sub(s.req.Arrived).Round(time.Millisecond), s.stats.CompletionTokens)
			return Event{Finish: FinishError, Err: err}, true
		}
		return Event{}, false
	}
	for _, s := range c.running {
		if e, yes := over(s); yes {
			c.end(s, e)
		}
	}
	c.forget()
	kept := c.waiting[:0]
	for _, s := range c.waiting {
		if e, yes := over(s); yes {
			c.queued.Add(-1)
			c.end(s, e)
			continue
		}
		kept = append(kept, s)
	}
	clear(c.waiting[len(kept):])
	c.waiting = kept
}

// cause is the error that the client's context ended with; nil where Stream.Cancel was called.
func (s *sequence) cause() error {
	if s.req.Context == nil {
		return nil
	}
	return context.Cause(s.req.Context)
}

// admit lets waiting requests run, in order. The first one that does not fit holds up the rest: passing it would let a
// stream of small requests starve it (docs/adr/0002). It may preempt those of lower rank.
func (c *Controller) admit() {
	for len(c.waiting) > 0 {
		s := c.waiting[0]
		for !c.fits() || !c.reserve(s) {
			if !c.makeRoom(s) {
				return
			}
		}
		c.waiting = slices.Delete(c.waiting, 0, 1)
		c.queued.Add(-1)
		c.emptyHanded++
		s.running = true
		c.running = append(c.running, s)
	}
}

// fits says that there is a place and a latent for one more.
func (c *Controller) fits() bool {
	return len(c.running) < c.cfg.MaxRunning && len(c.latents) > c.emptyHanded
}

// reserve promises s the pages of its tokens and some to grow into, at all stages or at none. What the prefix cache has
// it takes from there.
func (c *Controller) reserve(s *sequence) bool {
	c.grant(s)
	if s.tokens == nil {
		s.tokens = append(make([]int32, 0, len(s.req.Prompt)+s.req.MaxTokens), s.req.Prompt...)
		s.holding.Loops, s.holding.Root = s.loops, c.root(s)
	}
	cached, ok := c.memory.Admit(&s.holding, s.tokens[:s.known])
	if !ok {
		return false
	}
	s.fed = cached
	c.stats.Cached += cached
	if s.stats.Preemptions == 0 {
		s.stats.CachedTokens = min(cached, len(s.req.Prompt))
	}
	c.pay(s, cached*s.loops)
	return true
}

// root is what K and V of s depend on beside tokens; nil where that is too much to share them. Without layers in the
// coda, pages of a fixed depth serve any lower one. With them, or under a policy that lets prompt rows leave, they serve
// their like alone.
func (c *Controller) root(s *sequence) []byte {
	if s.req.NoCache || len(s.req.Replay) > 0 {
		return nil
	}
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(s.req.CacheSalt)))
	b = append(b, s.req.CacheSalt...)
	if c.capacity.Seeded {
		b = binary.LittleEndian.AppendUint64(b, s.req.Seed)
	}
	free := s.exit.free()
	if free || c.capacity.Pages[StageCoda] > 0 {
		b = binary.LittleEndian.AppendUint32(b, uint32(s.loops))
	}
	if free {
		b = append(b, byte(s.exit.Kind))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(s.exit.Threshold))
		b = binary.LittleEndian.AppendUint32(b, uint32(s.exit.MinLoops))
		b = binary.LittleEndian.AppendUint32(b, uint32(s.exit.Agree))
	}
	return b
}

// share gives the full pages of s that are computed to the prefix cache.
func (c *Controller) share(s *sequence) {
	done := min(s.fed, s.known)
	if len(s.chunks) > 0 {
		done = min(done, s.chunks[0].first)
	}
	if s.varies && !s.exit.free() { // where depths don't follow from the tokens, rows that left early are nobody else's
		from := s.holding.Shared() * c.capacity.PageSize
		for p := from; p < done; p++ {
			if p >= len(s.depths) || int(s.depths[p]) != s.loops {
				done = p
			}
		}
	}
	c.memory.Share(&s.holding, s.tokens, done)
}

// strip takes all that a running sequence holds. What is computed goes into the prefix cache first, if it is good.
func (c *Controller) strip(s *sequence, good bool) {
	c.takeBack(s)
	if good {
		c.share(s)
	}
	for len(s.chunks) > 0 {
		c.retire(s.chunks[0])
	}
	c.memory.Release(&s.holding)
	c.emptyHanded-- // it held its last latent until now
}

// blank is a chunk to be filled in.
func (c *Controller) blank() *chunk {
	if last := len(c.spare) - 1; last >= 0 {
		k := c.spare[last]
		c.spare = c.spare[:last]
		*k = chunk{slots: k.slots[:0], states: k.states[:0]}
		return k
	}
	return &chunk{slots: make([]int32, 0, c.cfg.ChunkRows)}
}

// enter makes a chunk of the next n tokens of s, each with a latent.
func (c *Controller) enter(s *sequence, n int) *chunk {
	k := c.blank()
	k.seq, k.first = s, s.fed
	free := len(c.latents) - n
	k.slots = append(k.slots, c.latents[free:]...)
	if s.exit.free() {
		for range n {
			k.states = append(k.states, rowState{rest: 1})
		}
	}
	c.latents = c.latents[:free]
	if s.slots == 0 {
		c.emptyHanded--
	}
	s.slots += n
	s.fed += n
	s.chunks = append(s.chunks, k)
	c.fresh = append(c.fresh, k)
	if s.stats.Scheduled.IsZero() {
		s.stats.Scheduled = c.began
	}
	return k
}

// retire takes a chunk from its sequence and frees its latents.
func (c *Controller) retire(k *chunk) {
	s := k.seq
	i := slices.Index(s.chunks, k)
	s.chunks = slices.Delete(s.chunks, i, i+1)
	c.latents = append(c.latents, k.slots...)
	s.slots -= k.rows()
	if s.slots == 0 {
		c.emptyHanded++
	}
	k.seq, k.slots = nil, k.slots[:0]
	c.retired = append(c.retired, k)
}

// end frees all that s holds and tells its reader. The caller removes it from waiting; forget removes it from running.
func (c *Controller) end(s *sequence, e Event) {
	if s.running {
		c.strip(s, e.Finish != FinishError)
		c.ended++
	}
	s.ended = true
	s.stop()
	if s.timer != nil {
		s.timer.Stop()
	}
	c.pay(s, int(s.owed))
	s.stats.Finished = c.cfg.Now()
	if e.Finish == FinishCancelled || e.Finish == FinishError {
		e.Token.ID = -1
	}
	if e.At.IsZero() { // no token came with the end
		e.At = s.stats.Finished
	}
	e.Stats = &s.stats
	c.cfg.Observer.Finished(s.req, e)
	s.stream.Push(e)
}

// forget removes ended sequences from running.
func (c *Controller) forget() {
	if c.ended == 0 {
		return
	}
	kept := c.running[:0]
	for _, s := range c.running {
		if !s.ended {
			kept = append(kept, s)
		}
	}
	clear(c.running[len(kept):])
	c.running, c.ended = kept, 0
}

// pay takes loop-steps off the backlog.
func (c *Controller) pay(s *sequence, steps int) {
	steps = min(steps, int(s.owed))
	s.owed -= int64(steps)
	c.gauges.backlog.Add(-int64(steps))
}

// empty says that every accepted request has ended.
func (c *Controller) empty() bool { return len(c.running) == 0 && c.queued.Load() == 0 }

// abandon ends everybody. Whoever is inside Submit either backs off or queues before it looks again, and wakes it.
func (c *Controller) abandon() {
	for _, s := range c.running {
		c.end(s, Event{Finish: FinishError, Err: ErrDraining})
	}
	c.forget()
	for {
		c.receive()
		for _, s := range c.waiting {
			c.queued.Add(-1)
			c.end(s, Event{Finish: FinishError, Err: ErrDraining})
		}
		clear(c.waiting)
		c.waiting = c.waiting[:0]
		if c.queued.Load() == 0 {
			break
		}
		<-c.wake
	}
	c.publish()
}
