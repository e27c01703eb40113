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

// CompareDrafts asks every problem plainly and at each draft depth, and compares answers; some are timed, alone on the server
// and in turns. It takes no depths from e.
func CompareDrafts(ctx context.Context, c Client, loops int, drafts []int, e Evaluation) ([]DraftOutcome, error) {
	e.Depths = []Depth{{Loops: loops}}
	for _, n := range drafts {
		e.Depths = append(e.Depths, Depth{Loops: loops, Draft: n})
	}
	x := newExam(c, e)
	replies, alone, err := x.sit(ctx)
	if err != nil {
		return nil, err
	}
	var out []DraftOutcome
	for i, n := range drafts {
		d := DraftOutcome{Draft: n, Loops: loops, Problems: len(x.Problems), Plain: median(alone[0].token), Drafting: median(alone[i+1].token)}
		for j, got := range replies[i+1] {
			want := replies[0][j]
			d.Drafted, d.Accepted = d.Drafted+got.Drafted, d.Accepted+got.Accepted
			if answerOf(got) != answerOf(want) || got.Tokens != want.Tokens {
				if d.Different++; d.Different == 1 {
					d.Example = fmt.Sprintf("%q: %q with a draft, %q without", x.Problems[j].Prompt, answerOf(got), answerOf(want))
				}
			}
		}
		out = append(out, d)
	}
	return out, nil
}

// answerOf is the text without white space around it, which a tokenizer may put there.
func answerOf(r *Reply) string { return strings.TrimSpace(r.Text) }
