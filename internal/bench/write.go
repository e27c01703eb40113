package bench

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// WriteJSON writes the result as it is.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteCSV writes a line for each point.
func (r *Result) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	head := []string{"model", "target", "loops", "concurrency", "prompt_tokens", "max_tokens", "requests"}
	for _, metric := range []string{"ttft_ms", "itl_ms", "tpot_ms", "e2e_ms", "tokens_per_second", "loops_per_second"} {
		for _, q := range []string{"min", "p50", "p90", "p99", "max"} {
			head = append(head, metric+"_"+q)
		}
	}
	head = append(head, "mean_loops", "ms_per_block_call", "rows_per_call", "rows_of_runnable")
	if err := out.Write(head); err != nil {
		return err
	}
	for i := range r.Points {
		p := &r.Points[i]
		row := []string{r.Model, r.Target}
		for _, v := range []int{p.Loops, p.Concurrency, p.PromptTokens, p.MaxTokens, p.Requests} {
			row = append(row, strconv.Itoa(v))
		}
		for _, s := range []Spread{p.TTFT, p.ITL, p.TPOT, p.E2E, p.TokensPerSecond, p.LoopsPerSecond} {
			for _, v := range []float64{s.Min, s.P50, s.P90, s.P99, s.Max} {
				row = append(row, number(s.N, v))
			}
		}
		row = append(row, strconv.FormatFloat(p.MeanLoops, 'g', 6, 64))
		for _, v := range []*float64{p.MSPerBlockCall, p.RowsPerCall, p.RowsRunnable} {
			if v == nil {
				row = append(row, "")
			} else {
				row = append(row, strconv.FormatFloat(*v, 'g', 6, 64))
			}
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// number is empty where nothing was measured: 0 would be a measurement.
func number(n int, v float64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

// WriteBenchstat writes Go-benchmark lines, one for each run of each point, so that benchstat compares servers,
// machines and versions with its own statistics. The name has the model and the shape, not the target.
func (r *Result) WriteBenchstat(w io.Writer) error {
	var out strings.Builder
	fmt.Fprintf(&out, "target: %s\nUnit tok/s better=higher\nUnit ttft-ns better=lower\nUnit tpot-ns better=lower\n", oneLine(r.Target))
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

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// WriteTable writes what a person reads first.
func (r *Result) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "loops\tclients\tprompt\ttokens\tTTFT p50\tp99\tTPOT p50\tp99\te2e p50\tmin…max\ttok/s\tloops/s\tms/call\trows/call\t")
	for i := range r.Points {
		p := &r.Points[i]
		fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f…%.2f\t%.1f\t%.0f\t%s\t%s\t\n", p.Loops, p.Concurrency, p.PromptTokens,
			p.MaxTokens, p.TTFT.P50, p.TTFT.P99, p.TPOT.P50, p.TPOT.P99, p.E2E.P50, p.E2E.Min, p.E2E.Max, p.TokensPerSecond.P50, p.LoopsPerSecond.P50,
			orDash(p.MSPerBlockCall, "%.3f"), orDash(p.RowsPerCall, "%.1f"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range r.Fits {
		sign, slope := f.slope()
		if _, err := fmt.Fprintf(w, "%-4s = %.2f ms %s %.3f ms · loops   (r² %.4f, largest residual %.2f ms; %s)\n",
			f.Metric, f.A, sign, slope, f.R2, f.largest(), f.where()); err != nil {
			return err
		}
	}
	if drafted, accepted := r.drafts(); drafted > 0 {
		fmt.Fprintf(w, "drafts: %d of %d guesses were right\n", accepted, drafted)
	}
	_, err := fmt.Fprintf(w, "times in ms; medians over %d runs of each point, after %d to warm up\n", r.Runs, r.WarmUp)
	return err
}

func (r *Result) drafts() (drafted, accepted int) {
	for i := range r.Points {
		drafted, accepted = drafted+r.Points[i].Drafted, accepted+r.Points[i].Accepted
	}
	return drafted, accepted
}

func (f *Fit) where() string {
	return fmt.Sprintf("%d clients, %d + %d tokens", f.Concurrency, f.PromptTokens, f.MaxTokens)
}

func (f *Fit) largest() float64 {
	worst := 0.0
	for _, r := range f.Residuals {
		worst = max(worst, r.MS, -r.MS)
	}
	return worst
}

func orDash(v *float64, format string) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf(format, *v)
}
