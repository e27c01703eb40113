package kv

import (
	"fmt"
	"iter"
)

var stageNames = [Stages]string{"prelude", "block", "coda"}

// Check proves the accounting, given all holdings: each page has one owner, each promise a sequence.
func (m *Memory) Check(held iter.Seq[*Holding]) error {
	for s := range Stages {
		if err := m.check(s, held); err != nil {
			return fmt.Errorf("%s pages: %w", stageNames[s], err)
		}
	}
	return nil
}

func (m *Memory) check(stage int, held iter.Seq[*Holding]) error {
	f, total := &m.free[stage], m.g.Pages[stage]
	seen := make([]bool, total)
	owned, promised, number := 0, 0, 0
	mark := func(ids []int32, format string, args ...any) error {
		for _, id := range ids {
			if id < 0 || int(id) >= total {
				return fmt.Errorf("%s holds page %d of %d", fmt.Sprintf(format, args...), id, total)
			}
			if seen[id] {
				return fmt.Errorf("page %d of %s has two owners", id, fmt.Sprintf(format, args...))
			}
			seen[id] = true
		}
		owned += len(ids)
		return nil
	}
	if err := mark(f.ids, "the free list"); err != nil {
		return err
	}
	for h := range held {
		t := &h.tables[stage]
		promised += t.promised
		if err := mark(t.scratch, "sequence %d, scratch,", number); err != nil {
			return err
		}
		for plane, ids := range t.planes {
			if err := mark(ids[min(len(h.shared), len(ids)):], "sequence %d, KV cache of loop %d,", number, plane); err != nil {
				return err
			}
		}
		number++
	}
	for _, e := range m.cache.byKey {
		if err := mark(e.pages[stage], "the prefix cache"); err != nil {
			return err
		}
	}
	if owned != total || promised != f.promised || promised > len(f.ids) {
		return fmt.Errorf("%d of %d have an owner, %d are free; %d are promised to sequences and %d are recorded",
			owned, total, len(f.ids), promised, f.promised)
	}
	return nil
}
