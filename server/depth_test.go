package server_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
	"github.com/loopserve/loopserve/server/generate"
)

// What each field of the depth makes of the request that reaches the scheduler.
func TestDepthFields(t *testing.T) {
	delta := loopctl.ExitPolicy{Kind: loopctl.ExitDelta}
	tests := []struct {
		name, fields string
		want         loopctl.Request
	}{
		{"nothing", `"user":"u"`, loopctl.Request{Loops: 4}},
		{"policy none", `"exit_policy":"none","loops":3`, loopctl.Request{Loops: 3}},
		{"policy", `"exit_policy":"delta","loops":12`, loopctl.Request{Loops: 12, Exit: delta}},
		{"its other name", `"exit_policy":"latent_delta"`, loopctl.Request{Loops: 4, Exit: delta}},
		{"all of it", `"exit_policy":"kl","loops":12,"min_loops":2,"exit_threshold":0.5,"exit_agree":3`, loopctl.Request{Loops: 12, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitKL, MinLoops: 2, Threshold: 0.5, Agree: 3}}},
		{"argmax counts", `"exit_policy":"argmax","exit_threshold":3`, loopctl.Request{Loops: 4, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitArgmax, Threshold: 3}}},
		{"auto", `"model":"adder@auto"`, loopctl.Request{Loops: 8, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitDelta, Threshold: 0.03}}},
		{"auto as a policy", `"exit_policy":"auto"`, loopctl.Request{Loops: 8, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitDelta, Threshold: 0.03}}},
		{"auto with a cap", `"model":"adder@auto","loops":6,"exit_threshold":0.1`, loopctl.Request{Loops: 6, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitDelta, Threshold: 0.1}}},
		{"auto overruled", `"model":"adder@auto","exit_policy":"entropy"`, loopctl.Request{Loops: 4, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitEntropy}}},
		{"auto over header", `"model":"adder@auto"`, loopctl.Request{Loops: 8, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitDelta, Threshold: 0.03}}},
		{"effort", `"reasoning_effort":"high"`, loopctl.Request{Loops: 8}},
		{"effort as other clients have it", `"reasoning":{"effort":"high","summary":"auto"}`, loopctl.Request{Loops: 8}},
		{"effort under auto", `"model":"adder@auto","reasoning_effort":"xhigh"`, loopctl.Request{Loops: 12, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitDelta, Threshold: 0.03}}},
		{"effort over alias", `"model":"adder@2","reasoning_effort":"minimal"`, loopctl.Request{Loops: 1}},
		{"loops over effort", `"loops":5,"reasoning_effort":"minimal"`, loopctl.Request{Loops: 5}},
		{"replay", `"replay_loops":[1,7,3]`, loopctl.Request{Loops: 7, Replay: []int{1, 7, 3}}},
		{"replay below the default", `"replay_loops":[1,2]`, loopctl.Request{Loops: 4, Replay: []int{1, 2}}},
		{"replay over auto", `"model":"adder@auto","replay_loops":[1,2]`, loopctl.Request{Loops: 8, Replay: []int{1, 2}}},
		{"elastic", `"elastic":true,"loops":8,"min_loops":2`, loopctl.Request{Loops: 8, Elastic: true, Exit: loopctl.ExitPolicy{MinLoops: 2}}},
		{"target", `"target_itl_ms":2.5,"loops":8`, loopctl.Request{Loops: 8, Elastic: true, TargetITL: 2500 * time.Microsecond}},
		{"draft", `"draft_loops":2,"loops":8`, loopctl.Request{Loops: 8, Draft: 2}},
		{"a draft by the server's choice", `"draft_loops":"auto","loops":8`, loopctl.Request{Loops: 8, Draft: loopctl.DraftAuto}},
		{"lens", `"return_lens":3`, loopctl.Request{Loops: 4, Lens: 3}},
		{"lens by a word", `"return_lens":true`, loopctl.Request{Loops: 4, Lens: 5}},
		{"budget", `"loop_budget":10,"loops":3`, loopctl.Request{Loops: 3, MaxTokens: 3}},
		{"budget under a policy", `"loop_budget":20,"loops":10,"exit_policy":"delta","min_loops":2`, loopctl.Request{Loops: 10, MaxTokens: 10, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitDelta, MinLoops: 2}}},
		{"priority", `"priority":-3,"cache_salt":"s","prefix_cache":false`, loopctl.Request{Loops: 4, Priority: -3, NoCache: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{text: "ab", finish: loopctl.FinishLength}
			ts, _ := serve(t, s, server.Config{})
			header := []string{}
			if tt.name == "auto over header" {
				header = append(header, "X-Loops", "2")
			}
			decode(t, post(t, ts, `{"prompt":"x",`+tt.fields+`}`, header...))
			r, w := s.requests[0], &tt.want
			if w.MaxTokens == 0 {
				w.MaxTokens = 16
			}
			if r.Loops != w.Loops || r.Exit != w.Exit || !slices.Equal(r.Replay, w.Replay) || r.Elastic != w.Elastic || r.TargetITL != w.TargetITL ||
				r.Draft != w.Draft || r.Lens != w.Lens || r.MaxTokens != w.MaxTokens || r.Priority != w.Priority || r.NoCache != w.NoCache {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestBadDepth(t *testing.T) {
	s := &script{text: "ab", finish: loopctl.FinishLength}
	ts, _ := serve(t, s, server.Config{})
	const policies = "none, delta, kl, entropy, argmax, auto"
	without := func(field string) string {
		return field + " has no effect without exit_policy: set exit_policy to one of delta, kl, entropy, argmax, or leave " + field + " out"
	}
	tests := []struct{ fields, code, param, message string }{
		{`"exit_policy":"gate"`, "unsupported_policy", "exit_policy", `exit_policy is "gate": model adder does not emit a gate; use one of ` + policies},
		{`"exit_policy":"logit_delta"`, "invalid_value", "exit_policy", `exit_policy is "logit_delta", which is not known here: "kl" compares the logits of two loops, "delta" the hidden states; the policies are ` + policies},
		{`"exit_policy":"magic"`, "invalid_value", "exit_policy", `exit_policy is "magic": model adder takes one of ` + policies},
		{`"exit_policy":7`, "invalid_type", "exit_policy", "exit_policy is 7: it must be a string"},
		{`"exit_policy":"delta","exit_threshold":0`, "invalid_value", "exit_threshold", "exit_threshold is 0: policy delta takes a number above 0 and at most 2: the relative change of the hidden state below which a token exits (default 0.03)"},
		{`"exit_policy":"delta","exit_threshold":2.5`, "invalid_value", "exit_threshold", "exit_threshold is 2.5: policy delta takes a number above 0 and at most 2: the relative change of the hidden state below which a token exits (default 0.03)"},
		{`"exit_policy":"kl","exit_threshold":"x"`, "invalid_type", "exit_threshold", `exit_threshold is "x", a string: policy kl takes a number above 0 and at most 100: the KL divergence of two loops below which a token exits (default 0.001)`},
		{`"exit_policy":"argmax","exit_threshold":0.5`, "invalid_value", "exit_threshold", "exit_threshold is 0.5: policy argmax takes an integer from 1 to 12: for how many loops the most likely token must stay the same (default 5)"},
		{`"exit_threshold":0.5`, "missing_field", "exit_threshold", without("exit_threshold")},
		{`"exit_agree":2`, "missing_field", "exit_agree", without("exit_agree")},
		{`"min_loops":2`, "missing_field", "min_loops", without("min_loops")},
		{`"exit_policy":"delta","min_loops":5`, "loops_out_of_range", "min_loops", "min_loops is 5: it must be from 1 to loops, which is 4"},
		{`"exit_policy":"delta","min_loops":0`, "loops_out_of_range", "min_loops", "min_loops is 0: model adder takes an integer from 1 to 12"},
		{`"exit_policy":"delta","exit_agree":0`, "invalid_value", "exit_agree", "exit_agree is 0: it must be an integer, at least 1"},
		{`"replay_loops":[]`, "invalid_value", "replay_loops", "replay_loops has 0 entries: it must be a list of integers from 1 to 12, one for each token"},
		{`"replay_loops":[3,13]`, "loops_out_of_range", "replay_loops", "replay_loops[1] is 13: it must be from 1 to loops, which is 12"},
		{`"replay_loops":3`, "invalid_value", "replay_loops", "replay_loops is 3: it must be a list of integers from 1 to 12, one for each token"},
		{`"replay_loops":[3,8],"loops":4`, "loops_out_of_range", "replay_loops", "replay_loops[1] is 8: it must be from 1 to loops, which is 4"},
		{`"replay_loops":[3],"exit_policy":"delta"`, "conflicting_fields", "replay_loops", "replay_loops and exit_policy exclude each other: the loops are given; leave one of the two out"},
		{`"replay_loops":[3],"elastic":true`, "conflicting_fields", "replay_loops", "replay_loops and elastic exclude each other: a replay needs loops that stay the same; leave one of the two out"},
		{`"replay_loops":[3],"n":2`, "conflicting_fields", "replay_loops", "replay_loops and n exclude each other: it holds for one sequence: send one prompt with n = 1"},
		{`"draft_loops":2,"exit_policy":"delta"`, "conflicting_fields", "draft_loops", `draft_loops and exit_policy exclude each other: draft tokens need the same loops for all tokens; set exit_policy to none, or leave draft_loops out`},
		{`"draft_loops":2,"replay_loops":[3]`, "conflicting_fields", "draft_loops", "draft_loops and replay_loops exclude each other: draft tokens need the same loops for all tokens; leave one of the two out"},
		{`"draft_loops":2,"target_itl_ms":5`, "conflicting_fields", "draft_loops", "draft_loops and target_itl_ms exclude each other: draft tokens need loops that stay; leave one of the two out"},
		{`"draft_loops":"aut"`, "loops_out_of_range", "draft_loops", `draft_loops is "aut", a string: model adder takes an integer from 1 to 12, or "auto"`},
		{`"draft_loops":4`, "loops_out_of_range", "draft_loops", "draft_loops is 4: it must be below loops, which is 4, or 0 for no draft tokens"},
		{`"target_itl_ms":0`, "invalid_value", "target_itl_ms", "target_itl_ms is 0: it must be a number above 0 and at most 3600000; the milliseconds between two tokens to aim at"},
		{`"target_itl_ms":5,"elastic":false`, "conflicting_fields", "target_itl_ms", "target_itl_ms and elastic exclude each other: the time is met by lowering the loops; set elastic to true, or leave target_itl_ms out"},
		{`"loop_budget":3`, "invalid_value", "loop_budget", "loop_budget is 3 and one token may take 4 loops: raise loop_budget or lower loops"},
		{`"return_lens":21`, "invalid_value", "return_lens", "return_lens is 21: it must be an integer from 0 to 20"},
		{`"timeout_ms":0`, "invalid_value", "timeout_ms", "timeout_ms is 0: it must be an integer from 1 to 86400000"},
		{`"cache_salt":""`, "invalid_value", "cache_salt", "cache_salt is empty: give at least one character, or leave it out"},
		{`"priority":"high"`, "invalid_type", "priority", `priority is "high", a string: it must be an integer from -1000000 to 1000000`},
		{`"loops_elastic":true`, "unknown_field", "loops_elastic", `field "loops_elastic" is not known here: the field is "elastic"`},
		{`"early_exit":true`, "unknown_field", "early_exit", `field "early_exit" is not known here: the field is "exit_policy"`},
	}
	for _, tt := range tests {
		t.Run(tt.fields, func(t *testing.T) {
			checkError(t, post(t, ts, `{"prompt":"x",`+tt.fields+`}`), 400, tt.code, tt.param, tt.message)
		})
	}
	if n, _ := s.count(); n != 0 {
		t.Errorf("%d requests reached the engine", n)
	}
}

// A model with a recommendation of its own, one without delta, and one with a gate, which is what its auto is.
func TestModelPolicies(t *testing.T) {
	s := &script{text: "ab", finish: loopctl.FinishLength}
	ouro := model("ouro", &generator{submit: s.submit})
	ouro.Gate, ouro.Recommended = true, generate.AutoPolicy{Exit: loopctl.ExitPolicy{Kind: loopctl.ExitGate, Threshold: 0.9, MinLoops: 2}, Loops: 10}
	plain := model("plain", &generator{submit: s.submit})
	plain.Delta = false
	gated := model("gated", &generator{})
	gated.Gate = true
	srv := serverOf(t, ouro, plain)
	ts := newTestServer(t, srv)
	decode(t, post(t, ts, `{"model":"ouro@auto","prompt":"x"}`))
	decode(t, post(t, ts, `{"model":"plain@auto","prompt":"x"}`))
	decode(t, post(t, ts, `{"model":"ouro","prompt":"x","exit_policy":"gate"}`)) // its threshold is the model's, too
	decode(t, post(t, ts, `{"model":"ouro","prompt":"x","exit_policy":"delta"}`))
	if a, b := s.requests[2].Exit, s.requests[3].Exit; a.Threshold != 0.9 || a.MinLoops != 0 || b.Threshold != 0 {
		t.Errorf("%+v %+v", a, b)
	}
	if r := s.requests[0]; r.Loops != 10 || r.Exit != ouro.Recommended.Exit {
		t.Errorf("ouro@auto is %+v", r)
	}
	if r := s.requests[1]; r.Loops != 8 || r.Exit.Kind != loopctl.ExitKL || r.Exit.Threshold != 1e-3 {
		t.Errorf("plain@auto is %+v", r)
	}
	if a := gated.AutoDepth(); a.Loops != gated.TrainedLoops() || a.Exit.Kind != loopctl.ExitGate || a.Exit.Threshold != 0.5 {
		t.Errorf("gated@auto is %+v", a)
	}
	a := send(t, ts, "GET", "/v1/models/ouro@auto", "")
	if !strings.Contains(a.body, `"id":"ouro@auto"`) || !strings.Contains(a.body, `"auto":{"loops":10,"exit_policy":"gate","exit_threshold":0.9,"min_loops":2}`) ||
		!strings.Contains(a.body, `"exit_policies":["none","delta","gate","kl","entropy","argmax"]`) {
		t.Errorf("card %s", a.body)
	}
	a = post(t, ts, `{"model":"plain","prompt":"x","exit_policy":"delta"}`)
	checkError(t, a, 400, "unsupported_policy", "exit_policy", `exit_policy is "delta": model plain does not emit the change of its hidden state; use one of none, kl, entropy, argmax, auto`)
	a = send(t, ts, "GET", "/v1/depth/curve?model=plain&exit_policy=delta", "")
	if a.status != 400 || !strings.Contains(a.body, "unsupported_policy") {
		t.Errorf("a depth curve of a policy that the model lacks: %d %s", a.status, a.body)
	}
}

// What the scheduler reports comes out in the usage and the timings.
func TestDepthStats(t *testing.T) {
	stats := &loopctl.Stats{
		Arrived: time.Now(), PromptTokens: 10, CompletionTokens: 2, LoopsTotal: 7, LoopsMax: 5, LoopsSaved: 9, LoopsGranted: 6,
		PromptRows: 6, PromptLoops: 24, CachedTokens: 4, Drafted: 8, Accepted: 5,
	}
	g := &generator{submit: func(reqs ...*loopctl.Request) ([]*loopctl.Stream, error) {
		var out []*loopctl.Stream
		for range reqs {
			st := loopctl.NewStream(4)
			st.Push(loopctl.Event{Token: loopctl.Sampled{ID: 'a'}, Loops: 5})
			st.Push(loopctl.Event{Token: loopctl.Sampled{ID: 'b'}, Loops: 2, Finish: loopctl.FinishLength, Stats: stats})
			out = append(out, st)
		}
		return out, nil
	}}
	srv := serverOf(t, model("adder", g))
	ts := newTestServer(t, srv)
	a := post(t, ts, `{"prompt":"x","loops":8,"draft_loops":2,"n":2,"return_loops":true}`)
	for _, want := range []string{
		`"completion_tokens_details":{"reasoning_tokens":0,"loops":{"total":14,"mean":3.5,"max":5,"saved":18,"granted":6}}`,
		`"prompt_tokens_details":{"cached_tokens":4,"loops":{"total":48,"mean":4,"max":6,"saved":24}}`,
		`"loops":[5,2]`, `"drafted":16,"accepted":10`,
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s in %s", want, a.body)
		}
	}
	if a.header.Get("X-Loops-Applied") != "8" {
		t.Errorf("applied %s: the header tells the cap", a.header.Get("X-Loops-Applied"))
	}
}

// Under a policy the budget ends the answer when what is left may not do for one more token.
func TestLoopBudget(t *testing.T) {
	for _, tt := range []struct {
		budget string
		text   string
		finish string
	}{{"12", "abc", "length"}, {"11", "ab", "length"}, {"100", "abcdef", "stop"}} {
		s := &script{text: "abcdef", finish: loopctl.FinishStop, loops: func(i int) int { return 4 }}
		ts, _ := serve(t, s, server.Config{})
		c := decode(t, post(t, ts, `{"prompt":"x","loops":4,"exit_policy":"delta","loop_budget":`+tt.budget+`,"skip_special_tokens":false,"include_stop_str_in_output":true}`))
		if ch := c.Choices[0]; ch.Text != tt.text || *ch.FinishReason != tt.finish {
			t.Errorf("budget %s: %q, %s", tt.budget, ch.Text, *ch.FinishReason)
		}
	}
}

func TestDeadline(t *testing.T) {
	s := &script{text: "ab", finish: loopctl.FinishError, err: loopctl.ErrDeadline}
	ts, _ := serve(t, s, server.Config{})
	a := post(t, ts, `{"prompt":"x","timeout_ms":1500}`)
	checkError(t, a, 504, "deadline_exceeded", "timeout_ms", "timeout_ms passed before the answer was complete: raise it, or ask for fewer tokens or loops")
	if a.header.Get("x-should-retry") != "false" {
		t.Error("a client would try again what it did not want to wait for")
	}
	if r := s.requests[0]; r.Deadline.Sub(r.Arrived) != 1500*time.Millisecond {
		t.Errorf("deadline %v after arrival", r.Deadline.Sub(r.Arrived))
	}
}

// Requests of two keys never share a prefix, unless that is configured.
func TestCacheSalt(t *testing.T) {
	salts := func(cfg server.Config) []string {
		s := &script{text: "a", finish: loopctl.FinishLength}
		ts, _ := serve(t, s, cfg)
		for _, key := range []string{"one", "two"} {
			for _, field := range []string{`"user":"u"`, `"cache_salt":"s"`} {
				decode(t, post(t, ts, `{"prompt":"x",`+field+`}`, "Authorization", "Bearer "+key))
			}
		}
		var out []string
		for _, r := range s.requests {
			out = append(out, r.CacheSalt)
		}
		return out
	}
	kept := salts(server.Config{APIKeys: []string{"one", "two"}})
	for i, a := range kept {
		if a == "" || slices.Contains(kept[:i], a) {
			t.Errorf("salts %q: each must be its own", kept)
		}
	}
	shared := salts(server.Config{APIKeys: []string{"one", "two"}, SharePrefixes: true})
	if shared[0] != "" || shared[2] != "" || shared[1] != shared[3] || shared[1] == "" {
		t.Errorf("shared salts %q", shared)
	}
	if open := salts(server.Config{}); open[0] != "" || open[1] == "" {
		t.Errorf("salts without keys %q", open)
	}
}

type wireLens struct {
	Token string
	ID    int32
	Loops []struct {
		Loop                 int
		Entropy, Delta, Gate *float64
		Top                  []struct {
			Token string
			ID    int32
			Prob  float64
		}
	}
}

// Where the server guesses by itself a request's own word wins, and nothing that contradicts guesses is refused.
func TestAutoDraft(t *testing.T) {
	s := &script{text: "ab", finish: loopctl.FinishLength}
	m := model("adder", &generator{submit: s.submit})
	m.AutoDraft = true
	ts := newTestServer(t, serverOf(t, m))
	for fields, want := range map[string]int{
		``: loopctl.DraftAuto, `,"draft_loops":null`: loopctl.DraftAuto, `,"draft_loops":0`: 0, `,"draft_loops":2`: 2,
		`,"exit_policy":"delta"`: loopctl.DraftAuto, `,"return_lens":1`: loopctl.DraftAuto,
	} {
		s.requests = nil
		decode(t, post(t, ts, `{"prompt":"x"`+fields+`}`))
		if got := s.requests[0].Draft; got != want {
			t.Errorf("%s: draft %d, want %d", fields, got, want)
		}
	}
}
