package measure

import (
	"context"
	"fmt"
	"strings"
)

// DraftOutcome is what drafting at a depth did, against the same problems without.
type DraftOutcome struct {
	Draft     int     `json:"draft_loops"`
	Loops     int     `json:"loops"`
	Problems  int     `json:"problems"`
	Different int     `json:"different"` // answers that were not the same: must be 0
	Example   string  `json:"example,omitempty"`
	Drafted   int     `json:"drafted"`
	Accepted  int     `json:"accepted"`
	Plain     float64 `json:"plain_ms_per_token"` // medians, in turns
	Drafting  float64 `json:"drafting_ms_per_token"`
}

// Acceptance is in percent.
func (d *DraftOutcome) Acceptance() float64 {
	return 100 * float64(d.Accepted) / float64(max(d.Drafted, 1))
}

// SpeedUp is how many times faster a token came; below 1 it came later.
func (d *DraftOutcome) SpeedUp() float64 { return ratio(d.Plain, d.Drafting) }

// CompareDrafts asks every problem plainly once and once at each draft depth, and compares answers; then it times some,
// plain and drafting in turns, alone on the server. It takes no depths from e.
func CompareDrafts(ctx context.Context, c Client, loops int, drafts []int, e Evaluation) ([]DraftOutcome, error) {
	x := newExam(c, e)
	x.total = len(x.Problems)*(1+len(drafts)) + 2*x.Timed*len(drafts)
	want, err := x.all(ctx, Depth{Loops: loops})
	if err != nil {
		return nil, err
	}
	var out []DraftOutcome
	for _, n := range drafts {
		d := DraftOutcome{Draft: n, Loops: loops, Problems: len(x.Problems)}
		got, err := x.all(ctx, Depth{Loops: loops, Draft: n})
		if err != nil {
			return nil, err
		}
		for i, g := range got {
			d.Drafted, d.Accepted = d.Drafted+g.Drafted, d.Accepted+g.Accepted
			if answerOf(g) != answerOf(want[i]) || g.Tokens != want[i].Tokens {
				if d.Different++; d.Different == 1 {
					d.Example = fmt.Sprintf("%q: %q with a draft, %q without", x.Problems[i].Prompt, answerOf(g), answerOf(want[i]))
				}
			}
		}
		if err := x.race(ctx, &d); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// answerOf is the text without white space around it, which a tokenizer may put there.
func answerOf(r *Reply) string { return strings.TrimSpace(r.Text) }

// race times plain and drafting answers in turns.
func (x *exam) race(ctx context.Context, d *DraftOutcome) error {
	if x.Timed == 0 {
		return nil
	}
	plain, drafting := Depth{Loops: d.Loops}, Depth{Loops: d.Loops, Draft: d.Draft}
	took := map[Depth][]float64{}
	for i, p := range Some(x.Problems, x.Timed) {
		turns := []Depth{plain, drafting}
		if i%2 == 1 { // whoever is second finds warmer caches
			turns[0], turns[1] = turns[1], turns[0]
		}
		for _, turn := range turns {
			r, err := x.ask(ctx, turn, p)
			if err != nil {
				return err
			}
			took[turn] = append(took[turn], perToken(r))
		}
	}
	d.Plain, d.Drafting = median(took[plain]), median(took[drafting])
	return nil
}
