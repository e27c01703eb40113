package evaluate

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// WriteTable prints the points as a Markdown table: a row for each setting, a column for each group. Mean loops stand
// there where a policy was asked, and of each group beside its accuracy.
func WriteTable(w io.Writer, points []Point) error {
	if len(points) == 0 {
		return nil
	}
	policies := slices.ContainsFunc(points, func(p Point) bool { return p.policy() })
	scored, timed := points[0].Scored > 0, points[0].E2E > 0
	head := []string{"loops", "exact match"}
	if policies {
		head = append(head, "mean loops")
	}
	if scored {
		head = append(head, "nats per token")
	}
	groups := points[0].Groups
	if len(groups) > 1 {
		for _, g := range groups {
			head = append(head, g.Name)
		}
	}
	if timed {
		head = append(head, "TTFT", "answer", "ms per token")
	}
	lines := [][]string{head, slices.Repeat([]string{"---:"}, len(head))}
	for i := range points {
		p := &points[i]
		line := []string{p.Setting.Name(), fmt.Sprintf("%.1f %%", p.Accuracy())}
		if policies {
			line = append(line, fmt.Sprintf("%.2f", p.MeanLoops()))
		}
		if scored {
			line = append(line, fmt.Sprintf("%.4f", p.NatsPerToken()))
		}
		if len(groups) > 1 {
			for _, g := range p.Groups {
				cell := fmt.Sprintf("%.1f %%", g.Accuracy())
				if p.policy() {
					cell += fmt.Sprintf(" (%.2f)", g.MeanLoops())
				}
				line = append(line, cell)
			}
		}
		if timed {
			line = append(line, milli(p.TTFT)+" ms", milli(p.E2E)+" ms", milli(p.PerToken))
		}
		lines = append(lines, line)
	}
	for _, l := range lines {
		if _, err := fmt.Fprintf(w, "| %s |\n", strings.Join(l, " | ")); err != nil {
			return err
		}
	}
	return nil
}

func milli(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond)) }
