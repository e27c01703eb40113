package loopctl_test

import (
	"math/rand/v2"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
)

// FuzzPages drives the accounting with random sequences and compares it with a model that only counts.
func FuzzPages(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 7))
		total := 1 + rng.IntN(60)
		size := 1 + rng.IntN(4)
		pool := loopctl.Pool(total)
		type owner struct {
			table  loopctl.PageTable
			tokens []int // by plane
			most   int
			cost   int
		}
		var owners []*owner
		free := total // the naive model
		for range 300 {
			if rng.IntN(3) == 0 {
				planes, most := 1+rng.IntN(4), 1+rng.IntN(20)
				cost := planes * loopctl.PagesFor(most, size)
				ok := pool.Reserve(cost)
				if ok != (cost <= free) {
					t.Fatalf("reserve %d with %d free: %v", cost, free, ok)
				}
				if ok {
					free -= cost
					owners = append(owners, &owner{loopctl.NewPageTable(planes, loopctl.PagesFor(most, size)), make([]int, planes), most, cost})
				}
			} else if len(owners) > 0 {
				i := rng.IntN(len(owners))
				o := owners[i]
				if rng.IntN(4) == 0 {
					o.table.Release(pool)
					free += o.cost
					owners = append(owners[:i], owners[i+1:]...)
				} else {
					p := rng.IntN(len(o.tokens))
					o.tokens[p] = min(o.most, o.tokens[p]+rng.IntN(4))
					if got := o.table.Cover(pool, p, o.tokens[p], size); len(got) != loopctl.PagesFor(o.tokens[p], size) {
						t.Fatalf("%d pages for %d tokens", len(got), o.tokens[p])
					}
				}
			}
			tables := make([]*loopctl.PageTable, len(owners))
			for i, o := range owners {
				tables[i] = &o.table
			}
			if err := pool.Check(tables); err != nil {
				t.Fatal(err)
			}
			if pool.Available() != free {
				t.Fatalf("%d available, want %d", pool.Available(), free)
			}
		}
	})
}
