package api

import (
	"encoding/json"
	"os"
	"testing"
)

// exit_treshold was ignored like any unknown field, and the answer came at a depth that nobody had asked for.
func TestMisspelt(t *testing.T) {
	for name, want := range map[string]string{
		"exit_treshold": "exit_threshold", "exit_threshhold": "exit_threshold", "exitThreshold": "exit_threshold",
		"exit_polcy": "exit_policy", "exit-policy": "exit_policy", "Exit_Policy ": "exit_policy", "exit_policies": "",
		"minloops": "min_loops", "min_lopos": "min_loops", "min_loops": "",
		"loosp": "loops", "lopps": "loops", "loop": "loops", "oop": "", "tools": "", "stop": "",
		"returnLoops": "return_loops", "return_loopss": "return_loops", "replay_lops": "replay_loops",
		"loop_budgets": "loop_budget", "return_len": "return_lens", "timeout_s": "timeout_ms", "timeout": "", "": "",
	} {
		if got, _ := misspelt(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

// Fields of other servers are ignored, and those that this one reads are read.
func TestOtherFieldsAreNotMisspelt(t *testing.T) {
	names := []string{
		"user", "metadata", "store", "service_tier", "verbosity", "parallel_tool_calls", "safety_identifier", "prompt_cache_key", // OpenAI
		"length_penalty", "detokenize", "return_token_ids", "request_id", "kv_transfer_params", "vllm_xargs", "include_reasoning", // vLLM
		"stop_regex", "no_stop_trim", "ebnf", "lora_path", "return_hidden_states", "return_text_in_logprobs", "separate_reasoning", // SGLang
		"n_predict", "n_probs", "n_keep", "min_keep", "cache_prompt", "return_tokens", "response_fields", "samplers", "id_slot", // llama.cpp
		"timings_per_token", "repeat_penalty", "repeat_last_n", "typical_p", "mirostat", "xtc_threshold", "dry_base", "t_max_predict_ms",
	}
	data, err := os.ReadFile("../openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]json.RawMessage }
		}
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	for _, schema := range []string{"CompletionRequest", "ChatRequest", "EmbeddingRequest"} {
		if len(doc.Components.Schemas[schema].Properties) == 0 {
			t.Errorf("no fields of %s", schema)
		}
		for name := range doc.Components.Schemas[schema].Properties {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if right, ok := misspelt(name); ok {
			t.Errorf("%s is taken for %s", name, right)
		}
	}
}
