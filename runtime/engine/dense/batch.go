package dense

import (
	"cmp"
	"slices"

	"github.com/loopserve/loopserve/loopctl"
)

// seq is one span of a call as the graph sees it: the rows that it is fed, of which some are the span's own.
type seq struct {
	span   *loopctl.Span
	first  int     // the call's packed row of the span's first
	logit  int     // where the span's logits begin among the call's
	past   int     // rows that are fed before the span's own: Span.Past with pages, 0 without
	offset int     // position of the first row that is fed, were the span fed whole
	rows   []int32 // without pages: the span's rows that are fed; nil for all
	n      int     // of the span's own rows fed
}

func (q *seq) length() int { return q.past + q.n }

// own is the index into the span's rows of fed row i, which must be one of its own.
func (q *seq) own(i int) int {
	if q.rows != nil {
		return int(q.rows[i])
	}
	return i - q.past
}

// position is the place in the sequence of fed row i.
func (q *seq) position(i int) int {
	if q.rows != nil {
		i = int(q.rows[i])
	}
	return q.offset + i
}

// list fills e.seqs with the batch's spans. Of a coda that sees each row alone only the rows with logits are fed.
func (e *Engine) list(s *stage, b *loopctl.Batch) {
	e.seqs = e.seqs[:0]
	first, logit := 0, 0
	for i := range b.Spans {
		span := &b.Spans[i]
		q := seq{span: span, first: first, logit: logit, n: len(span.Rows)}
		first, logit = first+len(span.Rows), logit+len(span.LogitRows)
		if s.pages.mem != nil {
			q.past = span.Past
		} else {
			q.offset = span.Past
			if s.which == loopctl.StageCoda {
				q.rows, q.n = span.LogitRows, len(span.LogitRows)
			}
		}
		if q.n > 0 {
			e.seqs = append(e.seqs, q)
		}
	}
}

// groups calls run for sequences that go side by side: as many as a native call holds, none so short that more than a
// quarter of its rows would be filling.
func (e *Engine) groups(s *stage, run func(group []seq, seqLen int) error) error {
	slices.SortStableFunc(e.seqs, func(a, b seq) int { return cmp.Compare(b.length(), a.length()) })
	for rest := e.seqs; len(rest) > 0; {
		longest, n := rest[0].length(), 1
		for n < len(rest) && !s.single && (n+1)*longest <= s.rows && 4*rest[n].length() >= 3*longest {
			n++
		}
		if err := run(rest[:n], longest); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}
