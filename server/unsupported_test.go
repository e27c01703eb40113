package server_test

import (
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
		"dry_base":1.75,"dry_allowed_length":2,"dry_penalty_last_n":-1,"mirostat":0,"n_probs":0,"lora":[],"timings_per_token":true}`)
	if a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}
