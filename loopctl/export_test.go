package loopctl

import (
	"errors"
	"fmt"

	"github.com/loopserve/loopserve/loopctl/kv"
)

// Turn makes one tick on the caller's goroutine: for tests that don't Start.
func (c *Controller) Turn() bool { return c.tick() }

// Check is the invariants' check, and counts the sequences of clients.
func (c *Controller) Check() error { return errors.Join(c.check(), c.checkClients()) }

// checkClients counts the sequences of each client.
func (c *Controller) checkClients() error {
	has := map[*client][2]int{}
	for i, list := range [][]*sequence{c.running, c.waiting} {
		for _, s := range list {
			n := has[s.client]
			n[i]++
			has[s.client] = n
		}
	}
	for id, k := range c.clients {
		if n := has[k]; n != [2]int{k.running, k.waiting} || n == [2]int{} {
			return fmt.Errorf("client %q: %d sequences run and wait, %d and %d are recorded", id, n, k.running, k.waiting)
		}
	}
	return nil
}

// WrapRows is the configured number, with its default and bounds.
func (c *Controller) WrapRows() int { return c.cfg.WrapRows }

// CheckEmpty also wants everything given back.
func (c *Controller) CheckEmpty() error {
	err := c.Check()
	if !c.empty() {
		err = errors.Join(err, errors.New("controller: sequences left"))
	}
	s := c.Snapshot()
	if s.LatentsUsed != 0 || s.PagesUsed != [numStages]int{} || s.Backlog != 0 {
		err = errors.Join(err, errors.New("controller: pages, latents or backlog left"))
	}
	return err
}

// Steal promises a page to no sequence, as a bug would.
func (c *Controller) Steal() {
	var h kv.Holding
	h.Loops, h.Rows = 1, 1
	c.memory.Admit(&h, []int32{0})
}

// Audit checks the accounting as the engine goroutine does when idle.
func (c *Controller) Audit() { c.audit() }

// Odds is how guesses after draft of so many loops have fared, old ones counting less.
func (c *Controller) Odds(loops, draft int) (tries, right float64) {
	o := c.chances.odds[wager{loops, draft}]
	return o.tries, o.right
}

// Cost is what calls of a stage with so many rows take, in seconds.
func (c *Controller) Cost(st Stage, rows float64) float64 { return c.byRows[st].of(rows) }

// Used is how many loop-steps by weight a client counts as having had.
func (c *Controller) Used(client string) float64 { return c.clients[client].used }
