package loopctl

import (
	"cmp"
	"math"
)

// client is those who share a part of the engine: the sequences of one Request.Client that have not ended. Where several want
// more than there is, each gets places, and the pages that go with them, by its weight; whoever has had the fewest loop-steps
// comes first to rows and among equals.
type client struct {
	serial           uint64 // of its first sequence
	weight           float64
	running, waiting int
	used             float64 // loop-steps by weight
	left             int     // of running, for givingWay
}

// share is how much of the engine the client holds, or would hold with some more sequences.
func (k *client) share(more int) float64 { return float64(k.running+more) / k.weight }

// charge counts loop-steps that the client has had.
func (k *client) charge(steps int) { k.used += float64(steps) / k.weight }

// join finds the client of s, or makes it.
func (c *Controller) join(s *sequence) {
	k := c.clients[s.req.Client]
	if k == nil {
		k = &client{serial: s.serial}
		c.clients[s.req.Client] = k
	}
	k.weight = cmp.Or(max(s.req.Weight, 0), 1)
	s.client = k
}

// level raises what a client that begins to wait counts as having had, lest it be owed what it did not want: to the least of
// those who wait for a place already, not for their readers nor in the background; where nobody does, nobody is owed anything.
func (c *Controller) level(k *client) {
	least, most := math.Inf(1), 0.0
	for _, s := range c.waiting {
		if !s.asleep && s.background() == 0 {
			least = min(least, s.client.used)
		}
	}
	if math.IsInf(least, 1) {
		for _, o := range c.clients {
			most = max(most, o.used)
		}
		least = most
	}
	k.used = max(k.used, least)
}

// background is how far a request stays behind those of other clients: a priority below 0 puts it before its own client's alone.
func (s *sequence) background() int { return max(s.req.Priority, 0) }

// order puts sequences of clients that hold less first, and those of one client by priority and arrival. Of clients that hold
// the same, whoever has had less comes first where used says so, then whoever came first.
func (s *sequence) order(o *sequence, used bool) int {
	a, b := s.client, o.client
	by := cmp.Or(cmp.Compare(s.background(), o.background()), cmp.Compare(a.share(0), b.share(0)))
	if by == 0 && used {
		by = cmp.Compare(a.used, b.used)
	}
	return cmp.Or(by, cmp.Compare(a.serial, b.serial), cmp.Compare(s.req.Priority, o.req.Priority), cmp.Compare(s.serial, o.serial))
}

// behind says whether s waits for its reader.
func (s *sequence) behind() bool {
	return s.known > len(s.req.Prompt) && s.computed < s.known && s.stream.park(1)
}

// yields orders running sequences, those that give their places first first: who waits for a reader, then the last in order.
func (s *sequence) yields(o *sequence) int {
	switch {
	case s.held == o.held:
		return o.order(s, false)
	case s.held:
		return -1
	}
	return 1
}
