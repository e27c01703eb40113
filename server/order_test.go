package server_test

import (
	"encoding/json"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
)

// Of two mistakes in one body, the one that is named is always the same: the body's syntax, its model, names that come
// near one of ours, the depth (with what contradicts it), how the request stands among others, fields that are not
// supported, each other field by itself, fields that contradict each other, and the prompt.
func TestWhichOfTwoMistakesIsNamed(t *testing.T) {
	s := &script{text: "ab", finish: loopctl.FinishLength}
	ts, _ := serve(t, s, server.Config{})
	const completions, chats, embeddings = "/v1/completions", "/v1/chat/completions", "/v1/embeddings"
	for _, tt := range []struct{ path, body, param string }{
		{completions, `{"loops":0,"loops":0`, "null"}, // broken JSON before a field that is given twice
		{completions, `{"n":1,"n":2,"model":"nobody"}`, "n"},
		{completions, `{"num_loops":1,"model":"nobody"}`, "model"},
		{completions, `{"model":7,"num_loops":1}`, "model"},
		{completions, `{"model":"adder@99","loops":"x"}`, "model"},
		{completions, `{"zloops":1,"num_loops":1,"loop":1}`, "loop"}, // names in the order of the alphabet
		{completions, `{"loops":0,"exit_treshold":0.1}`, "exit_treshold"},
		{completions, `{"extra_body":{"loops":1},"num_loops":1}`, "num_loops"},
		{completions, `{"extra_body":{"loops":1},"loops":99}`, "extra_body"},
		// the depth before all that comes after it, also what contradicts itself there
		{completions, `{"max_tokens":-5,"loops":99}`, "loops"},
		{completions, `{"priority":"x","loops":99}`, "loops"},
		{completions, `{"suffix":"x","loops":99}`, "loops"},
		{completions, `{"max_tokens":"5","exit_policy":"magic"}`, "exit_policy"},
		{completions, `{"temperature":-1,"exit_policy":"delta","exit_threshold":9}`, "exit_threshold"},
		{completions, `{"temperature":-1,"exit_threshold":0.1}`, "exit_threshold"},
		{completions, `{"n":0,"min_loops":9,"exit_policy":"delta"}`, "min_loops"},
		{completions, `{"stop":7,"replay_loops":[99]}`, "replay_loops"},
		{completions, `{"n":0,"draft_loops":2,"exit_policy":"delta"}`, "draft_loops"},
		{completions, `{"n":0,"draft_loops":9}`, "draft_loops"},
		{completions, `{"n":0,"loop_budget":1}`, "loop_budget"},
		{completions, `{"n":0,"target_itl_ms":5,"elastic":false}`, "target_itl_ms"},
		{completions, `{"return_lens":99,"loops":99}`, "return_lens"}, // what a field is by itself, before what the model takes
		{completions, `{"exit_policy":"delta","exit_threshold":9,"loops":99}`, "loops"},
		{completions, `{"replay_loops":[99],"exit_policy":"magic"}`, "exit_policy"},
		{completions, `{"return_lens":99,"draft_loops":"x"}`, "draft_loops"},
		// how the request stands among others, then what is not supported
		{completions, `{"suffix":"x","timeout_ms":0}`, "timeout_ms"},
		{completions, `{"max_tokens":0,"cache_salt":""}`, "cache_salt"},
		{completions, `{"max_tokens":0,"suffix":"x"}`, "suffix"},
		{completions, `{"prompt":7,"mirostat":2}`, "mirostat"},
		{completions, `{"mirostat":2,"suffix":"x"}`, "suffix"}, // in the order of the table
		// fields by themselves, in the order of the table
		{completions, `{"max_tokens":0,"logprobs":21}`, "logprobs"},
		{completions, `{"logprobs":21,"return_tokens_as_token_ids":1}`, "return_tokens_as_token_ids"},
		{completions, `{"n":0,"max_tokens":-1}`, "max_tokens"},
		{completions, `{"temperature":-1,"n":0}`, "n"},
		{completions, `{"top_p":2,"temperature":-1}`, "temperature"},
		{completions, `{"seed":"a","min_tokens":-1}`, "min_tokens"},
		{completions, `{"logit_bias":7,"seed":"a"}`, "seed"},
		{completions, `{"ignore_eos":1,"allowed_token_ids":7}`, "allowed_token_ids"},
		{completions, `{"stream":1,"ignore_eos":1}`, "ignore_eos"},
		{completions, `{"stop":7,"stream":1}`, "stream"},
		{completions, `{"stop_token_ids":7,"stop":7}`, "stop"},
		{completions, `{"stream_options":7,"stop":7}`, "stop"},
		{completions, `{"response_format":7,"stream_options":7}`, "stream_options"},
		{completions, `{"regex":7,"response_format":7}`, "response_format"},
		{completions, `{"prompt":7,"regex":7}`, "regex"},
		{completions, `{"prompt":7,"stream_options":{}}`, "stream_options"},
		{completions, `{"prompt":7,"n":2,"best_of":1}`, "best_of"},
		{completions, `{"prompt":7,"regex":"a","choice":["a"]}`, "regex"},
		// chats and embeddings keep to it
		{chats, `{"prompt":"x","echo":true}`, "echo"},
		{chats, `{"prompt":"x","loops":99}`, "loops"},
		{chats, `{"messages":7,"loops":99}`, "loops"},
		{chats, `{"messages":7,"top_logprobs":2}`, "top_logprobs"},
		{chats, `{"messages":7,"n":0}`, "n"},
		{chats, `{"messages":7,"tools":7}`, "tools"},
		{chats, `{"messages":7,"documents":7}`, "messages"},
		{chats, `{"messages":7,"num_loops":7}`, "num_loops"},
		{embeddings, `{"input":7}`, "model"}, // this one gives none
		{"/tokenize", `{"prompt":7,"add_special_tokens":7}`, "add_special_tokens"},
		{"/tokenize", `{"prompt":7,"messages":7}`, "prompt"},
		{"/v1/bench", `{"loops":99,"nonsense":1}`, "nonsense"},
		{"/v1/bench", `{"runs":0,"loops":99}`, "loops"},
	} {
		a := send(t, ts, "POST", tt.path, tt.body)
		var e wireError
		if err := json.Unmarshal([]byte(a.body), &e); err != nil || str(e.Error.Param) != tt.param {
			t.Errorf("%s %s: named %s, want %s: %s", tt.path, tt.body, str(e.Error.Param), tt.param, a.body)
		}
	}
	if n, _ := s.count(); n != 0 {
		t.Errorf("%d requests reached the engine", n)
	}
}
