package loopctl

import "errors"

// Turn makes one tick on the caller's goroutine: for tests that don't Start.
func (c *Controller) Turn() bool { return c.tick() }

// Check is the invariants' check.
func (c *Controller) Check() error { return c.check() }

// WrapRows is the configured number, with its default and bounds.
func (c *Controller) WrapRows() int { return c.cfg.WrapRows }

// CheckEmpty also wants everything given back.
func (c *Controller) CheckEmpty() error {
	err := c.check()
	if !c.empty() {
		err = errors.Join(err, errors.New("controller: sequences left"))
	}
	s := c.Snapshot()
	if s.LatentsUsed != 0 || s.PagesUsed != [numStages]int{} || s.Backlog != 0 {
		err = errors.Join(err, errors.New("controller: pages, latents or backlog left"))
	}
	return err
}

// Pool makes a pool.
func Pool(pages int) *pool { p := newPool(pages); return &p }

// The page accounting, for the fuzz against a naive model.
var (
	NewPageTable = func(planes, perPlane int) pageTable { return newPageTable(planes, perPlane, planes*perPlane) }
	PagesFor     = pagesFor
)

func (p *pool) Reserve(n int) bool                      { return p.reserve(n) }
func (p *pool) Available() int                          { return p.available() }
func (p *pool) Check(tables []*pageTable) error         { return p.check(StageBlock, tables, nil) }
func (t *pageTable) Release(p *pool)                    { t.release(p) }
func (t *pageTable) Cover(p *pool, a, b, c int) []int32 { return t.cover(p, a, b, c) }

// PageTable names the type for tests.
type PageTable = pageTable

// Steal loses a page, as a bug would.
func (c *Controller) Steal() { c.pools[StageBlock].free = c.pools[StageBlock].free[1:] }

// Audit proves the books as the engine goroutine does when idle.
func (c *Controller) Audit() { c.audit() }
