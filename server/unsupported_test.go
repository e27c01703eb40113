package server_test

import (
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
)

// A front end made for llama.cpp sends every field that it knows, at the values that change nothing.
func TestHarmlessFieldsOfOthers(t *testing.T) {
	ts, _ := serve(t, &script{text: "a\x00", finish: loopctl.FinishStop}, server.Config{})
	a := post(t, ts, `{"prompt":"x","max_tokens":4,"n_predict":4,"cache_prompt":true,"reasoning_format":"none","samplers":"edkypmxt",
		"temperature":0.8,"dynatemp_range":0,"dynatemp_exponent":1,"top_k":40,"top_p":0.95,"min_p":0.05,"typical_p":1.0,"xtc_probability":0,
		"xtc_threshold":0.1,"repeat_last_n":64,"repeat_penalty":1,"presence_penalty":0,"frequency_penalty":0,"dry_multiplier":0.0,
		"dry_base":1.75,"dry_allowed_length":2,"dry_penalty_last_n":-1,"mirostat":0,"mirostat_tau":5,"mirostat_eta":0.1,"n_keep":0,"n_probs":0,"lora":[],"timings_per_token":true,
		"user":"u","metadata":{},"store":false,"service_tier":"auto","nothing":null}`)
	if a.status != 200 || strings.Contains(a.body, "warnings") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// A field that nobody knows changes nothing, and the answer says so.
func TestUnknownFieldsAreNamed(t *testing.T) {
	ts, _ := serve(t, &script{text: "a\x00", finish: loopctl.FinishStop}, server.Config{})
	const unknown, warning = `"zeta":1,"alpha":{"b":2},"user":"u"`, `fields that are not known here have no effect: "alpha", "zeta"`
	said := strings.ReplaceAll(warning, `"`, `\"`)
	for path, body := range map[string]string{
		"/v1/completions":      `{"prompt":"x"`,
		"/v1/chat/completions": `{"messages":[{"role":"user","content":"x"}]`,
		"/v1/responses":        `{"input":"x","instructions":"i","metadata":{},"store":true,"include":[],"max_output_tokens":4,"text":{"format":{"type":"text"}},"reasoning":{"effort":"low"}`,
		"/v1/messages":         `{"max_tokens":4,"messages":[{"role":"user","content":"x"}],"system":"s","stop_sequences":["q"],"tool_choice":{"type":"none"},"metadata":{},"mcp_servers":[]`,
	} {
		for _, rest := range []string{"}", `,"stream":true}`} {
			if a := send(t, ts, "POST", path, body+","+unknown+rest); a.status != 200 || !strings.Contains(a.body, `"warnings":["`+said+`"]`) || a.header.Get("X-Warning") != warning {
				t.Errorf("%s%s: %d %q %s", path, rest, a.status, a.header.Values("X-Warning"), a.body)
			}
			if a := send(t, ts, "POST", path, body+rest); a.status != 200 || strings.Contains(a.body, "warnings") {
				t.Errorf("%s%s: %d %s", path, rest, a.status, a.body)
			}
		}
	}
	if a := post(t, ts, `{"prompt":"x","a1":1,"a2":1,"a3":1,"a4":1,"a5":1,"a6":1,"a7":1,"a8":1,"a9":1,"b\n":1}`); !strings.Contains(a.body, `\"a8\", and 2 more"]`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}
