package server_test

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loopserve/loopserve/loopctl/loopctltest"
	"github.com/loopserve/loopserve/server/generate"
)

// scraped are /metrics: names with labels, the model's left out.
func scraped(text string) map[string]float64 {
	out := map[string]float64{}
	for _, m := range regexp.MustCompile(`(?m)^loopserve_(\S+) (\S+)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`model_name="adder",?|,?model_name="adder"`).ReplaceAllString(m[1], "")
		out[strings.TrimSuffix(name, "{}")], _ = strconv.ParseFloat(m[2], 64)
	}
	return out
}

// One account: usage, timings and metrics tell the same of requests that end by stop strings, budgets, lengths and clients
// that go away, with too few pages for all. What an answer tells of itself does not depend on who else was there.
func TestAccounts(t *testing.T) {
	ts, _ := serveOn(t, loopctltest.New(engineLimits(130)), func(m *generate.Model) { m.Delta = false })
	bodies := []string{
		`"prompt":"abcdefgh","max_tokens":20,"stop":["e","é","q"],"min_tokens":2`,
		`"prompt":"abcdefgh","max_tokens":30,"loop_budget":50,"loops":3`,
		`"prompt":"abcdxy","max_tokens":12,"n":2,"stop":"b"`,
		`"prompt":"zyx","max_tokens":9,"exit_policy":"kl","exit_threshold":50,"min_loops":2,"loops":12`,
		`"prompt":"zyxabc","max_tokens":1,"exit_policy":"argmax","exit_threshold":2,"loops":12`,
		`"prompt":"one two","max_tokens":20,"ignore_eos":true,"loops":9`,
		`"prompt":"x","max_tokens":0,"echo":true,"logprobs":0`,
	}
	ask := func(i int) *wireUsage {
		return decode(t, post(t, ts, `{"prefix_cache":false,"temperature":1.5,"seed":5,`+bodies[i]+`}`)).Usage
	}
	alone := make([]string, len(bodies))
	tokens, loops, sequences := 0, 0, 0
	for i := range bodies {
		u := ask(i)
		alone[i] = fmt.Sprintf("%+v", *u)
		p, c := u.PromptTokensDetails.Loops, u.CompletionTokensDetails.Loops
		if c.Mean > float64(c.Max) || c.Max > c.Granted || c.Saved != u.CompletionTokens*c.Granted-c.Total {
			t.Errorf("%s: completion %+v", bodies[i], u)
		}
		rows := u.PromptTokens
		if strings.Contains(bodies[i], `"n":2`) {
			rows *= 2
		}
		if p.Mean > float64(p.Max) || p.Saved != rows*c.Granted-p.Total || p.Mean*float64(rows) != float64(p.Total) {
			t.Errorf("%s: prompt %+v", bodies[i], u)
		}
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range 6 {
		for i := range bodies {
			wg.Go(func() {
				u := ask(i)
				mu.Lock()
				defer mu.Unlock()
				if got := fmt.Sprintf("%+v", *u); got != alone[i] {
					t.Errorf("%s: %s in company, %s alone", bodies[i], got, alone[i])
				}
			})
		}
		wg.Go(func() { // a client that goes away
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, "POST", ts.URL+"/v1/completions", strings.NewReader(`{"prompt":"gone","max_tokens":30,"ignore_eos":true,"loops":12}`))
			if err != nil {
				t.Error(err)
			} else if res, err := ts.Client().Do(r); err == nil {
				res.Body.Close()
			}
		})
	}
	wg.Wait()
	for i := range bodies {
		u := ask(i)
		tokens, loops = tokens+8*u.CompletionTokens, loops+8*u.CompletionTokensDetails.Loops.Total
		sequences += 8
		if strings.Contains(bodies[i], `"n":2`) {
			sequences += 8
		}
	}
	var m map[string]float64
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		m = scraped(send(t, ts, "GET", "/metrics", "").body)
		if m["num_requests_running"]+m["num_requests_waiting"] == 0 || time.Now().After(end) {
			break
		}
	}
	whole := m[`request_success_total{finished_reason="stop"}`] + m[`request_success_total{finished_reason="length"}`]
	all := whole + m[`request_success_total{finished_reason="cancelled"}`] // with up to six that went away in time
	for name, law := range map[string]bool{
		"each sequence ended once":    all >= float64(sequences) && all <= float64(sequences+6),
		"end to end":                  m["e2e_request_latency_seconds_count"] == whole,
		"prompt sizes":                m["request_prompt_tokens_count"] == whole,
		"answer sizes":                m["request_generation_tokens_count"] == whole && m["request_generation_tokens_sum"] >= float64(tokens),
		"tokens":                      m["generation_tokens_total"] >= float64(tokens) && m["sampled_tokens_total"] == m["generation_tokens_total"],
		"loops of tokens":             decoded(m, "count") == m["generation_tokens_total"] && decoded(m, "sum") >= float64(loops),
		"answers with tokens":         m["loops_per_request_count"] == whole-8, // one of the bodies asks for none
		"nobody is parked":            m["num_requests_parked"] == 0,
		"no time below 0":             m["request_queue_time_seconds_sum"] >= 0,
		"nothing left in the backlog": m["loop_backlog_steps"] == 0,
	} {
		if !law {
			t.Errorf("%s: not so: %d sequences with %d tokens and %d loops were answered", name, sequences, tokens, loops)
		}
	}
}

// decoded sums a series over exit policies.
func decoded(m map[string]float64, part string) (sum float64) {
	for name, v := range m {
		if strings.HasPrefix(name, "loops_per_token_"+part) && strings.Contains(name, `phase="decode"`) {
			sum += v
		}
	}
	return sum
}
