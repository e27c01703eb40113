package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// MixResult is what RunMix measured. Times are in milliseconds.
type MixResult struct {
	Model        string   `json:"model"`
	Target       string   `json:"target"`
	Date         string   `json:"date"`
	PromptTokens int      `json:"prompt_tokens"`
	MaxTokens    int      `json:"max_tokens"`
	Requests     int      `json:"requests"`
	Rounds       int      `json:"rounds"`
	Schedulings  []MixRow `json:"schedulings"`
	Alone        []MixRow `json:"alone"` // each class at the whole number of clients, under the first scheduling
}

// MixRow is one scheduling under the mix.
type MixRow struct {
	Scheduling      string     `json:"scheduling"`
	Classes         []ClassRow `json:"classes"`
	TokensPerSecond Spread     `json:"tokens_per_second"` // all classes there all the time
	// SetTokensPerSecond is over a fixed list of requests, from the first to the last token.
	SetTokensPerSecond Spread   `json:"set_tokens_per_second"`
	RowsPerCall        *float64 `json:"rows_per_call"`
	RowsRunnable       *float64 `json:"rows_of_runnable"`
	MSPerBlockCall     *float64 `json:"ms_per_block_call"`
}

// ClassRow is one class under one load.
type ClassRow struct {
	Class
	TPOT            Spread `json:"tpot_ms"`
	TTFT            Spread `json:"ttft_ms"`
	TokensPerSecond Spread `json:"tokens_per_second"`
	// OfDeepest is the median TPOT over that of the deepest class of the same row; OfAlone over its own alone.
	OfDeepest float64 `json:"tpot_of_deepest"`
	OfAlone   float64 `json:"tpot_of_alone"`
}

func (m *Mix) result(schedulings []Scheduling, mixed, sets, alone []phase) *MixResult {
	out := &MixResult{
		Date: time.Now().UTC().Format(time.RFC3339), Target: "in-process",
		PromptTokens: m.PromptTokens, MaxTokens: m.MaxTokens, Requests: m.Requests, Rounds: m.Rounds,
	}
	for i, c := range m.Classes {
		k := alone[i].class(Class{Loops: c.Loops, Clients: m.clients()}, 0)
		k.OfDeepest, k.OfAlone = 1, 1
		row := MixRow{Scheduling: fmt.Sprintf("alone, %d loops", c.Loops), Classes: []ClassRow{k}, TokensPerSecond: spreadOf(alone[i].rates)}
		row.count(alone[i].blocks)
		out.Alone = append(out.Alone, row)
	}
	for i, s := range schedulings {
		p := &mixed[i]
		row := MixRow{Scheduling: s.Name, TokensPerSecond: spreadOf(p.rates), SetTokensPerSecond: spreadOf(sets[i].rates)}
		deepest := 0
		for j, c := range m.Classes {
			row.Classes = append(row.Classes, p.class(c, j))
			if c.Loops > m.Classes[deepest].Loops {
				deepest = j
			}
		}
		for j := range row.Classes {
			k := &row.Classes[j]
			k.OfDeepest = ratio(k.TPOT.P50, row.Classes[deepest].TPOT.P50)
			k.OfAlone = ratio(k.TPOT.P50, out.Alone[j].Classes[0].TPOT.P50)
		}
		row.count(p.blocks)
		out.Schedulings = append(out.Schedulings, row)
	}
	return out
}

// count puts block calls on the row, where somebody counted.
func (r *MixRow) count(b Blocks) {
	if b.Calls == 0 {
		return
	}
	rows, share, each := float64(b.Rows)/float64(b.Calls), ratio(float64(b.Rows), float64(b.Runnable)), ms(b.Took)/float64(b.Calls)
	r.RowsPerCall, r.RowsRunnable, r.MSPerBlockCall = &rows, &share, &each
}

func (p *phase) class(c Class, i int) ClassRow {
	row := ClassRow{Class: c, TokensPerSecond: spreadOf(p.byClass[i])}
	var tpot, ttft []float64
	for _, s := range p.samples[i] {
		ttft = append(ttft, ms(s.TTFT()))
		if v, ok := s.TPOT(); ok {
			tpot = append(tpot, ms(v))
		}
	}
	row.TPOT, row.TTFT = spreadOf(tpot), spreadOf(ttft)
	return row
}

// WriteJSON writes the result as it is.
func (r *MixResult) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteTable writes Markdown: it is what goes into a page.
func (r *MixResult) WriteTable(w io.Writer) error {
	p := &printer{w: w}
	p.printf("%s, %s, %d + %d tokens, %d rounds\n\n", r.Model, r.Target, r.PromptTokens, r.MaxTokens, r.Rounds)
	p.printf("| load | clients | loops | TPOT p50 | p90 | of deepest | of alone | TTFT p50 | tok/s |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	all := slices.Concat(r.Schedulings, r.Alone)
	for i := range all {
		for j := range all[i].Classes {
			c := &all[i].Classes[j]
			p.printf("| %s | %d | %d | %.2f ms | %.2f ms | %.3f | %.2f | %.1f ms | %.1f |\n",
				all[i].Scheduling, c.Clients, c.Loops, c.TPOT.P50, c.TPOT.P90, c.OfDeepest, c.OfAlone, c.TTFT.P50, c.TokensPerSecond.P50)
		}
	}
	base := &r.Schedulings[len(r.Schedulings)-1]
	p.printf("\n| load | tok/s, steady | tok/s, fixed set (min…max) | against %s | rows/call | of runnable | ms/call |\n|---|---:|---:|---:|---:|---:|---:|\n", base.Scheduling)
	for i := range all {
		s := &all[i]
		set, against := "–", "–"
		if t := s.SetTokensPerSecond; t.N > 0 {
			set = fmt.Sprintf("%.1f (%.1f…%.1f)", t.P50, t.Min, t.Max)
			against = fmt.Sprintf("%.2f×", ratio(t.P50, base.SetTokensPerSecond.P50))
		}
		p.printf("| %s | %.1f | %s | %s | %s | %s | %s |\n", s.Scheduling, s.TokensPerSecond.P50, set, against,
			orDash(s.RowsPerCall, "%.2f"), orDash(s.RowsRunnable, "%.3f"), orDash(s.MSPerBlockCall, "%.3f"))
	}
	return p.err
}

// printer keeps the first error of a row of prints.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}
