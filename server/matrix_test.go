package server_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// Each wish of a request beside each other, on the real scheduler: an answer, or an error that names a field. Elsewhere a
// penalty together with a certain speculation ended a whole engine (CVE-2026-44223).
func TestEveryPairOfFields(t *testing.T) {
	ts, _ := deepEngine(t)
	wishes := []string{
		`"loops":12`, `"loops":1`, `"model":"adder@auto"`, `"model":"adder@3"`, `"reasoning_effort":"low"`, `"exit_policy":"delta"`,
		`"exit_policy":"gate"`, `"exit_policy":"kl"`, `"exit_policy":"entropy"`, `"exit_policy":"argmax"`, `"exit_threshold":1`,
		`"min_loops":2`, `"exit_agree":2`, `"replay_loops":[2,5,1]`, `"elastic":true`, `"target_itl_ms":1`, `"draft_loops":2`,
		`"loop_budget":12`, `"return_lens":3`, `"return_loops":true`, `"priority":-1`, `"timeout_ms":60000`, `"cache_salt":"s"`,
		`"prefix_cache":false`, `"n":2`, `"stream":true`, `"seed":7`, `"temperature":0`, `"top_k":3`, `"top_p":0.5`, `"min_p":0.1`,
		`"stop":"e"`, `"stop_token_ids":[101]`, `"ignore_eos":true`, `"include_stop_str_in_output":true`, `"skip_special_tokens":false`,
		`"logprobs":2`, `"logprobs":true`, `"top_logprobs":2`, `"echo":true`, `"best_of":3`, `"prompt_logprobs":1`,
		`"presence_penalty":1`, `"frequency_penalty":1`, `"repetition_penalty":1.5`, `"logit_bias":{"97":5}`, `"min_tokens":2`,
		`"allowed_token_ids":[97,98]`, `"bad_words":["a"]`, `"response_format":{"type":"json_object"}`, `"max_tokens":0`, `"add_special_tokens":true`,
	}
	key := func(wish string) string { return wish[:strings.Index(wish, ":")] }
	answered := 0
	for i, a := range wishes {
		for _, b := range wishes[i:] {
			fields := a
			if key(a) != key(b) {
				fields += "," + b
			} else if a != b {
				continue
			}
			if !strings.Contains(fields, "max_tokens") {
				fields += `,"max_tokens":3`
			}
			for path, prompt := range map[string]string{"/v1/completions": `"prompt":"abc"`, "/v1/chat/completions": `"messages":[{"role":"user","content":"abc"}]`} {
				ans := send(t, ts, "POST", path, "{"+prompt+","+fields+"}")
				switch {
				case ans.status == 200 && strings.HasPrefix(ans.body, "data: "):
					for _, e := range events(t, ans.body) {
						if strings.Contains(e, `"error"`) {
							t.Errorf("%s %s: %s", path, fields, e)
						}
					}
					answered++
				case ans.status == 200:
					if !json.Valid([]byte(ans.body)) {
						t.Errorf("%s %s: %s", path, fields, ans.body)
					}
					answered++
				default:
					var e wireError
					if err := json.Unmarshal([]byte(ans.body), &e); err != nil || ans.status != 400 || e.Error.Param == nil || e.Error.Message == "" {
						t.Errorf("%s %s: %d %s", path, fields, ans.status, ans.body)
					}
				}
			}
		}
	}
	if answered < 1000 {
		t.Errorf("%d pairs were answered: the test proves little", answered)
	}
}
