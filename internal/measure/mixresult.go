package measure

import "fmt"

// MixResult is what Mixed measured. Times are in milliseconds.
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
	SetTokensPerSecond Spread `json:"set_tokens_per_second"`
	Calls
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
		Date: now(), Target: "in-process",
		PromptTokens: m.PromptTokens, MaxTokens: m.MaxTokens, Requests: m.Requests, Rounds: m.Rounds,
	}
	for i, c := range m.Classes {
		k := alone[i].class(Class{Loops: c.Loops, Clients: m.clients()}, 0)
		k.OfDeepest, k.OfAlone = 1, 1
		out.Alone = append(out.Alone, MixRow{
			Scheduling: fmt.Sprintf("alone, %d loops", c.Loops), Classes: []ClassRow{k}, TokensPerSecond: spreadOf(alone[i].rates),
			Calls: alone[i].blocks.means(),
		})
	}
	for i, s := range schedulings {
		p := &mixed[i]
		row := MixRow{Scheduling: s.Name, TokensPerSecond: spreadOf(p.rates), SetTokensPerSecond: spreadOf(sets[i].rates), Calls: p.blocks.means()}
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
		out.Schedulings = append(out.Schedulings, row)
	}
	return out
}

func (p *phase) class(c Class, i int) ClassRow {
	var t times
	t.add(p.replies[i])
	return ClassRow{Class: c, TokensPerSecond: spreadOf(p.byClass[i]), TPOT: spreadOf(t.tpot), TTFT: spreadOf(t.ttft)}
}
