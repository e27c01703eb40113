package evaluate

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteTable prints the points as a Markdown table: a row for each loop count, a column for each group.
func WriteTable(w io.Writer, points []Point) error {
	if len(points) == 0 {
		return nil
	}
	head, rule := []string{"loops", "exact match"}, []string{"---:", "---:"}
	groups := points[0].Groups
	if len(groups) > 1 {
		for _, g := range groups {
			head, rule = append(head, g.Name), append(rule, "---:")
		}
	}
	head, rule = append(head, "ms per token"), append(rule, "---:")
	lines := [][]string{head, rule}
	for _, p := range points {
		line := []string{fmt.Sprint(p.Loops), fmt.Sprintf("%.1f %%", p.Accuracy())}
		if len(groups) > 1 {
			for _, g := range p.Groups {
				line = append(line, fmt.Sprintf("%.1f %%", g.Accuracy()))
			}
		}
		lines = append(lines, append(line, fmt.Sprintf("%.2f", float64(p.PerToken)/float64(time.Millisecond))))
	}
	for _, l := range lines {
		if _, err := fmt.Fprintf(w, "| %s |\n", strings.Join(l, " | ")); err != nil {
			return err
		}
	}
	return nil
}
