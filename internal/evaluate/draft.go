package evaluate

import (
	"context"
	"fmt"
	"io"
	"time"
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
func (d *DraftOutcome) SpeedUp() float64 {
	if d.Drafting == 0 {
		return 0
	}
	return d.Plain / d.Drafting
}

// CompareDrafts asks every problem plainly once and once at each draft depth, and compares answers; then it times some,
// plain and drafting in turns, alone on the server.
func CompareDrafts(ctx context.Context, a Asker, loops int, drafts []int, o Options, problems []Problem) ([]DraftOutcome, error) {
	o = o.withDefaults(problems)
	plain, total, done := Setting{Loops: loops}, len(problems)*(1+len(drafts))+2*o.Timed*len(drafts), 0
	step := func() {
		if done++; o.Progress != nil {
			o.Progress(done, total)
		}
	}
	want, err := o.askAll(ctx, a, plain, problems, step)
	if err != nil {
		return nil, err
	}
	var out []DraftOutcome
	for _, d := range drafts {
		s := Setting{Loops: loops, Draft: d}
		got, err := o.askAll(ctx, a, s, problems, step)
		if err != nil {
			return nil, err
		}
		r := DraftOutcome{Draft: d, Loops: loops, Problems: len(problems)}
		for i := range got {
			g, w := got[i].answer, want[i].answer
			r.Drafted, r.Accepted = r.Drafted+g.Drafted, r.Accepted+g.Accepted
			if g.Text != w.Text || g.Tokens != w.Tokens {
				if r.Different++; r.Different == 1 {
					r.Example = fmt.Sprintf("%q: %q with a draft, %q without", problems[i].Prompt, g.Text, w.Text)
				}
			}
		}
		if err := o.race(ctx, a, plain, s, &r, problems, step); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func (o *Options) race(ctx context.Context, a Asker, plain, drafting Setting, r *DraftOutcome, problems []Problem, step func()) error {
	times := map[Setting][]time.Duration{}
	for i, p := range Some(problems, o.Timed)[:o.Timed] {
		turns := []Setting{plain, drafting}
		if i%2 == 1 { // whoever is second finds warmer caches
			turns[0], turns[1] = turns[1], turns[0]
		}
		for _, s := range turns {
			got, err := a.Ask(ctx, s, p, o.MaxTokens)
			if err != nil {
				return err
			}
			times[s] = append(times[s], got.Time/time.Duration(max(got.Tokens, 1)))
			step()
		}
	}
	r.Plain, r.Drafting = *millis(median(times[plain])), *millis(median(times[drafting]))
	return nil
}

// WriteDrafts prints the outcomes as a Markdown table, and an example of what differs.
func WriteDrafts(w io.Writer, list []DraftOutcome) error {
	if _, err := fmt.Fprint(w, "| loops | draft | answers | different | acceptance | ms per token, plain | drafting | speed-up |\n|---:|---:|---:|---:|---:|---:|---:|---:|\n"); err != nil {
		return err
	}
	for i := range list {
		d := &list[i]
		if _, err := fmt.Fprintf(w, "| %d | %d | %d | %d | %.1f %% | %.2f | %.2f | %.2f× |\n",
			d.Loops, d.Draft, d.Problems, d.Different, d.Acceptance(), d.Plain, d.Drafting, d.SpeedUp()); err != nil {
			return err
		}
	}
	for i := range list {
		if list[i].Example != "" {
			if _, err := fmt.Fprintf(w, "draft %d: %s\n", list[i].Draft, list[i].Example); err != nil {
				return err
			}
		}
	}
	return nil
}
