package measure

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// WriteJSON writes a result as it is.
func WriteJSON(w io.Writer, result any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(result)
}

// table is lines of cells, the first one the head. Numbers stand at the right.
type table [][]string

// add appends a line whose cells have tabs between them.
func (t *table) add(format string, args ...any) {
	*t = append(*t, strings.Split(fmt.Sprintf(format, args...), "\t"))
}

// markdown is for pages. The first column is to the left where text says so.
func (t table) markdown(w io.Writer, text bool) error {
	rule := slices.Repeat([]string{"---:"}, len(t[0]))
	if text {
		rule[0] = "---"
	}
	var out strings.Builder
	for i, line := range t {
		fmt.Fprintf(&out, "| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			fmt.Fprintf(&out, "|%s|\n", strings.Join(rule, "|"))
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// plain is for terminals.
func (t table) plain(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, line := range t {
		fmt.Fprintln(out, strings.Join(line, "\t")+"\t")
	}
	return out.Flush()
}

// optional is a number that nobody may have measured.
func optional(v *float64, format string) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf(format, *v)
}

func figure(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// WriteCSV writes a line for each point. A cell is empty where nothing was measured: 0 would be a measurement.
func (r *SweepResult) WriteCSV(w io.Writer) error {
	head := []string{"model", "target", "loops", "concurrency", "prompt_tokens", "max_tokens", "requests"}
	for _, metric := range []string{"ttft_ms", "itl_ms", "tpot_ms", "e2e_ms", "tokens_per_second", "loops_per_second"} {
		for _, q := range []string{"min", "p50", "p90", "p99", "max"} {
			head = append(head, metric+"_"+q)
		}
	}
	lines := [][]string{append(head, "mean_loops", "ms_per_block_call", "rows_per_call", "rows_of_runnable")}
	for i := range r.Points {
		p := &r.Points[i]
		line := []string{r.Model, r.Target}
		for _, v := range []int{p.Loops, p.Concurrency, p.PromptTokens, p.MaxTokens, p.Requests} {
			line = append(line, strconv.Itoa(v))
		}
		for _, s := range []Spread{p.TTFT, p.ITL, p.TPOT, p.E2E, p.TokensPerSecond, p.LoopsPerSecond} {
			for _, v := range []float64{s.Min, s.P50, s.P90, s.P99, s.Max} {
				cell := ""
				if s.N > 0 {
					cell = figure(v)
				}
				line = append(line, cell)
			}
		}
		line = append(line, figure(p.MeanLoops))
		for _, v := range []*float64{p.MSPerBlockCall, p.RowsPerCall, p.RowsRunnable} {
			cell := ""
			if v != nil {
				cell = figure(*v)
			}
			line = append(line, cell)
		}
		lines = append(lines, line)
	}
	return csv.NewWriter(w).WriteAll(lines)
}

// WriteBenchstat writes Go-benchmark lines, one for each run of each point, so that benchstat compares servers,
// machines and versions with its own statistics. The name has the model and the shape, not the target.
func (r *SweepResult) WriteBenchstat(w io.Writer) error {
	var out strings.Builder
	fmt.Fprintf(&out, "target: %s\nUnit tok/s better=higher\nUnit ttft-ns better=lower\nUnit tpot-ns better=lower\n", strings.Join(strings.Fields(r.Target), " "))
	for i := range r.Points {
		p := &r.Points[i]
		for _, round := range p.Rounds {
			fmt.Fprintf(&out, "BenchmarkServe/model=%s/loops=%d/clients=%d/prompt=%d/tokens=%d 1 %.0f ns/op %.0f ttft-ns",
				benchName(r.Model), p.Loops, p.Concurrency, p.PromptTokens, p.MaxTokens, 1e6*round.E2E, 1e6*round.TTFT)
			if round.TPOT > 0 {
				fmt.Fprintf(&out, " %.0f tpot-ns", 1e6*round.TPOT)
			}
			fmt.Fprintf(&out, " %.2f tok/s\n", round.TokensPerSecond)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// benchName keeps what a benchmark's name may have in it.
func benchName(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '/' || r == '=' || r > '~' {
			return '_'
		}
		return r
	}, s)
}

// WriteTable writes what a person reads first.
func (r *SweepResult) WriteTable(w io.Writer) error {
	t := table{strings.Fields("loops clients prompt tokens TTFT_p50 p99 TPOT_p50 p99 e2e_p50 min…max tok/s loops/s ms/call rows/call")}
	for i, name := range t[0] {
		t[0][i] = strings.ReplaceAll(name, "_", " ")
	}
	drafted, accepted := 0, 0
	for i := range r.Points {
		p := &r.Points[i]
		t.add("%d\t%d\t%d\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f…%.2f\t%.1f\t%.0f\t%s\t%s", p.Loops, p.Concurrency, p.PromptTokens, p.MaxTokens,
			p.TTFT.P50, p.TTFT.P99, p.TPOT.P50, p.TPOT.P99, p.E2E.P50, p.E2E.Min, p.E2E.Max, p.TokensPerSecond.P50, p.LoopsPerSecond.P50,
			optional(p.MSPerBlockCall, "%.3f"), optional(p.RowsPerCall, "%.1f"))
		drafted, accepted = drafted+p.Drafted, accepted+p.Accepted
	}
	if err := t.plain(w); err != nil {
		return err
	}
	var out strings.Builder
	for i := range r.Fits {
		f := &r.Fits[i]
		fmt.Fprintf(&out, "%-4s = %s   (%s)\n", f.Metric, f, f.quality())
	}
	if drafted > 0 {
		fmt.Fprintf(&out, "drafts: %d of %d guesses were right\n", accepted, drafted)
	}
	fmt.Fprintf(&out, "times in ms; medians over at least %d runs of each point, after %d to warm up\n", r.Runs, r.WarmUp)
	_, err := io.WriteString(w, out.String())
	return err
}

// WriteTable writes Markdown: it is what goes into a page.
func (r *MixResult) WriteTable(w io.Writer) error {
	classes, loads := table{}, table{}
	base := &r.Schedulings[len(r.Schedulings)-1]
	classes.add("load\tclients\tloops\tTPOT p50\tp90\tof deepest\tof alone\tTTFT p50\ttok/s")
	loads.add("load\ttok/s, steady\ttok/s, fixed set (min…max)\tagainst %s\trows/call\tof runnable\tms/call", base.Scheduling)
	for _, s := range slices.Concat(r.Schedulings, r.Alone) {
		for _, c := range s.Classes {
			classes.add("%s\t%d\t%d\t%.2f ms\t%.2f ms\t%.3f\t%.2f\t%.1f ms\t%.1f",
				s.Scheduling, c.Clients, c.Loops, c.TPOT.P50, c.TPOT.P90, c.OfDeepest, c.OfAlone, c.TTFT.P50, c.TokensPerSecond.P50)
		}
		set, against := "–", "–"
		if t := s.SetTokensPerSecond; t.N > 0 {
			set = fmt.Sprintf("%.1f (%.1f…%.1f)", t.P50, t.Min, t.Max)
			against = fmt.Sprintf("%.2f×", ratio(t.P50, base.SetTokensPerSecond.P50))
		}
		loads.add("%s\t%.1f\t%s\t%s\t%s\t%s\t%s", s.Scheduling, s.TokensPerSecond.P50, set, against,
			optional(s.RowsPerCall, "%.2f"), optional(s.RowsRunnable, "%.3f"), optional(s.MSPerBlockCall, "%.3f"))
	}
	if _, err := fmt.Fprintf(w, "%s, %s, %d + %d tokens, %d rounds\n\n", r.Model, r.Target, r.PromptTokens, r.MaxTokens, r.Rounds); err != nil {
		return err
	}
	if err := classes.markdown(w, true); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return loads.markdown(w, true)
}

// WriteTable writes Markdown: a row for each depth, a column for each group. Mean loops stand there where a policy was
// asked, and of each group beside its accuracy.
func (c *Curve) WriteTable(w io.Writer) error {
	if len(c.Points) == 0 {
		return nil
	}
	first := &c.Points[0]
	policies := slices.ContainsFunc(c.Points, func(p DepthPoint) bool { return p.Depth.policy() })
	scored, timed, several := first.NatsPerToken != nil, first.E2E != nil, len(first.Groups) > 1
	t := table{}
	line := func(cells []string) { t = append(t, cells) }
	head := []string{"loops", "exact match"}
	if policies {
		head = append(head, "mean loops")
	}
	if scored {
		head = append(head, "nats per token")
	}
	for _, g := range first.Groups {
		if several {
			head = append(head, g.Name)
		}
	}
	if timed {
		head = append(head, "TTFT", "answer", "ms per token")
	}
	line(head)
	for i := range c.Points {
		p := &c.Points[i]
		cells := []string{p.Depth.Name(), fmt.Sprintf("%.1f %%", p.Accuracy)}
		if policies {
			cells = append(cells, fmt.Sprintf("%.2f", p.MeanLoops))
		}
		if scored {
			cells = append(cells, optional(p.NatsPerToken, "%.4f"))
		}
		for _, g := range p.Groups {
			cell := fmt.Sprintf("%.1f %%", g.Accuracy)
			if p.Depth.policy() {
				cell += fmt.Sprintf(" (%.2f)", g.MeanLoops)
			}
			if several {
				cells = append(cells, cell)
			}
		}
		if timed {
			cells = append(cells, optional(p.TTFT, "%.2f ms"), optional(p.E2E, "%.2f ms"), optional(p.PerToken, "%.2f"))
		}
		line(cells)
	}
	return t.markdown(w, false)
}

// Title is the model with its layers, in the notation of the looped-transformer papers.
func (c *Curve) Title() string {
	if c.Looped == 0 {
		return c.Model
	}
	return fmt.Sprintf("%s (%d + %d⊗L + %d layers)", c.Model, c.Before, c.Looped, c.After)
}

// WriteDrafts writes the outcomes as Markdown, and an example of what differs.
func WriteDrafts(w io.Writer, list []DraftOutcome) error {
	t, examples := table{}, ""
	t.add("loops\tdraft\tanswers\tdifferent\tacceptance\tms per token, plain\tdrafting\tspeed-up")
	for i := range list {
		d := &list[i]
		t.add("%d\t%d\t%d\t%d\t%.1f %%\t%.2f\t%.2f\t%.2f×", d.Loops, d.Draft, d.Problems, d.Different, d.Acceptance(), d.Plain, d.Drafting, d.SpeedUp())
		if d.Example != "" {
			examples += fmt.Sprintf("draft %d: %s\n", d.Draft, d.Example)
		}
	}
	if err := t.markdown(w, false); err != nil {
		return err
	}
	_, err := io.WriteString(w, examples)
	return err
}
