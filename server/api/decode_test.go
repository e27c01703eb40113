package api

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

var adder = &Bounds{Limits: Limits{}.WithDefaults(), Model: "adder", Vocab: 256, Context: 64, MinLoops: 1, MaxLoops: 12}

func decodeText(t *testing.T, route Route, body string) (*Values, error) {
	t.Helper()
	b, err := Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return Decode(b, route, adder)
}

// with adds fields to the least body of a route.
func with(route Route, fields string) string {
	least := map[Route]string{
		Completions: `"prompt":"x"`, Chat: `"messages":[]`, Embeddings: `"input":"x"`, Tokenize: `"user":"u"`, Detokenize: `"tokens":[1]`, Bench: `"model":"adder"`,
	}[route]
	if fields == "" {
		return "{" + least + "}"
	}
	return "{" + least + "," + fields + "}"
}

func TestDecodeValues(t *testing.T) {
	for _, tt := range []struct {
		name   string
		route  Route
		fields string
		get    func(*Values) any
		want   any
	}{
		{"an integer", Completions, `"n":2`, func(v *Values) any { return v.Int("n") }, 2},
		{"without a fraction", Completions, `"n":2.0`, func(v *Values) any { return v.Int("n") }, 2},
		{"with an exponent", Completions, `"max_tokens":1e2`, func(v *Values) any { return v.Int("max_tokens") }, 100},
		{"its default", Completions, ``, func(v *Values) any { return v.Int("max_tokens") }, 16},
		{"none for a chat", Chat, ``, func(v *Values) any { return v.Int("max_tokens") }, 0},
		{"null is absent", Completions, `"n":null`, func(v *Values) any { return []any{v.Int("n"), v.Has("n")} }, []any{1, false}},
		{"a seed of 64 bits", Completions, `"seed":-9223372036854775808`, func(v *Values) any { return v.Int("seed") }, -9223372036854775808},
		{"a number", Completions, `"temperature":0.5`, func(v *Values) any { return v.Number("temperature") }, 0.5},
		{"a number's default", Completions, ``, func(v *Values) any { return v.Number("top_p") }, 1.0},
		{"a boolean's default", Completions, ``, func(v *Values) any { return v.Bool("add_special_tokens") }, true},
		{"another route's", Chat, ``, func(v *Values) any { return v.Bool("add_special_tokens") }, false},
		{"a text", Completions, `"cache_salt":"s"`, func(v *Values) any { return v.Text("cache_salt") }, "s"},
		{"a word by default", Embeddings, ``, func(v *Values) any { return v.Text("pooling") }, "mean"},
		{"a string for a list", Completions, `"stop":"a"`, func(v *Values) any { return v.Texts("stop") }, []string{"a"}},
		{"a list of strings", Completions, `"stop":["a","b"]`, func(v *Values) any { return v.Texts("stop") }, []string{"a", "b"}},
		{"token ids", Completions, `"stop_token_ids":[1, 2]`, func(v *Values) any { return v.IDs("stop_token_ids") }, []int32{1, 2}},
		{"no token ids", Completions, `"stop_token_ids":[]`, func(v *Values) any { return v.IDs("stop_token_ids") }, []int32{}},
		{"an integer for a list", Bench, `"loops":4`, func(v *Values) any { return v.Ints("loops") }, []int{4}},
		{"a list of integers", Bench, `"loops":[4,2]`, func(v *Values) any { return v.Ints("loops") }, []int{4, 2}},
		{"loops", Completions, `"loops":99`, func(v *Values) any { return v.Int("loops") }, 99}, // the range is the scheduler's
		{"loops of each token", Completions, `"replay_loops":[3,4]`, func(v *Values) any { return v.Ints("replay_loops") }, []int{3, 4}},
		{"true for a number", Completions, `"return_lens":true`, func(v *Values) any { return v.Int("return_lens") }, 5},
		{"false for none", Completions, `"logprobs":false`, func(v *Values) any { return v.Has("logprobs") }, false},
		{"none is asked for, too", Completions, `"logprobs":0`, func(v *Values) any { return []bool{v.Has("logprobs"), v.asks("logprobs")} }, []bool{true, false}},
		{"inside an object", Completions, `"stream":true,"stream_options":{"include_usage":true}`, func(v *Values) any { return v.Bool("stream_options.include_usage") }, true},
		{"read by code", Completions, `"logit_bias":{"5":1}`, func(v *Values) any { return string(v.Raw("logit_bias")) }, `{"5":1}`},
		{"a word that asks for nothing", Completions, `"exit_policy":"none"`, func(v *Values) any { return v.asks("exit_policy") }, false},
		{"a field that nobody knows", Completions, `"verbosity":"low"`, func(v *Values) any { return v.Has("verbosity") }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := decodeText(t, tt.route, with(tt.route, tt.fields))
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.get(v); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%s gives %v, want %v", tt.fields, got, tt.want)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	tests := []struct {
		name                 string
		route                Route
		fields               string
		code, param, message string
	}{
		{"a fraction", Completions, `"n":2.5`, CodeType, "n", "n is 2.5: it must be an integer from 1 to 128"},
		{"too many", Completions, `"n":129`, CodeValue, "n", "n is 129: it must be an integer from 1 to 128"},
		{"too few", Completions, `"max_tokens":-1`, CodeValue, "max_tokens", "max_tokens is -1: it must be an integer, at least 0"},
		{"a chat's least", Chat, `"max_tokens":0`, CodeValue, "max_tokens", "max_tokens is 0: it must be an integer, at least 1"},
		{"a seed", Completions, `"seed":1e30`, CodeType, "seed", "seed is 1e30: it must be an integer"},
		{"a text for a number", Completions, `"temperature":"hot"`, CodeType, "temperature", `temperature is "hot", a string: it must be a number from 0 to 100`},
		{"not above", Completions, `"top_p":0`, CodeValue, "top_p", "top_p is 0: it must be a number above 0 and at most 1; for greedy choice set temperature to 0"},
		{"an integer for a boolean", Completions, `"stream":1`, CodeType, "stream", "stream is 1: it must be true or false"},
		{"true for a number", Completions, `"logprobs":true`, CodeType, "logprobs", "logprobs is true: it must be an integer from 0 to 20"},
		{"a number for a text", Completions, `"cache_salt":1`, CodeType, "cache_salt", "cache_salt is 1: it must be a string"},
		{"an empty text", Completions, `"cache_salt":""`, CodeValue, "cache_salt", "cache_salt is empty: give at least one character, or leave it out"},
		{"a long text", Completions, `"cache_salt":"` + strings.Repeat("s", 257) + `"`, CodeValue, "cache_salt", "cache_salt has 257 bytes: at most 256 are allowed"},
		{"another word", Embeddings, `"pooling":"max"`, CodeValue, "pooling", `pooling is "max": it must be one of mean, last`},
		{"another effort", Completions, `"reasoning_effort":"extreme"`, CodeValue, "reasoning_effort", `reasoning_effort is "extreme": it must be one of none, minimal, low, medium, high, xhigh; or set loops`},
		{"a list of numbers for strings", Completions, `"stop":["a",7]`, CodeType, "stop", "stop is a list: it must be a string or a list of strings"},
		{"null among strings", Completions, `"stop":["a",null]`, CodeType, "stop", "stop[1] is null: it must be a string"},
		{"too many strings", Completions, `"stop":[` + strings.Repeat(`"a",`, 16) + `"a"]`, CodeValue, "stop", "stop has 17 strings: at most 16 are allowed"},
		{"an id beyond the vocabulary", Completions, `"allowed_token_ids":[300]`, "token_id_out_of_range", "allowed_token_ids", "allowed_token_ids[0] is 300: token ids go from 0 to 255"},
		{"no id", Detokenize, `"tokens":null`, CodeMissing, "tokens", "tokens is missing: give a list of token ids"},
		{"too many ids", Completions, `"stop_token_ids":[` + strings.Repeat("1,", 64) + "1]", CodeValue, "stop_token_ids", "stop_token_ids has 65 ids: at most 64 are allowed"},
		{"an empty list of integers", Bench, `"loops":[]`, CodeValue, "loops", "loops is an empty list: give at least one integer from 1 to 12"},
		{"an integer twice", Bench, `"loops":[2,2]`, CodeValue, "loops", "loops[1] is 2, which is in the list already: give each number once"},
		{"an integer out of range", Bench, `"loops":[1,99]`, CodeValue, "loops", "loops[1] is 99: it must be an integer from 1 to 12"},
		{"loops in quotes", Completions, `"loops":"8"`, CodeLoops, "loops", `loops is "8", a string: model adder takes an integer from 1 to 12, without quotes`},
		{"loops with a fraction", Completions, `"loops":2.5`, CodeLoops, "loops", "loops is 2.5: model adder takes an integer from 1 to 12"},
		{"no loops", Completions, `"min_loops":0`, CodeLoops, "min_loops", "min_loops is 0: model adder takes an integer from 1 to 12"},
		{"no list of loops", Completions, `"replay_loops":3`, CodeValue, "replay_loops", "replay_loops is 3: it must be a list of integers from 1 to 12, one for each token"},
		{"loops of a token", Completions, `"replay_loops":[3,"x"]`, CodeLoops, "replay_loops", `replay_loops[1] is "x", a string: model adder takes an integer from 1 to 12`},
		{"inside an object", Completions, `"stream":true,"stream_options":{"include_usage":1}`, CodeType, "stream_options.include_usage", "stream_options.include_usage is 1: it must be true or false"},
		{"no object", Completions, `"stream_options":7`, CodeType, "stream_options", "stream_options is 7: it must be an object"},
		{"without what it needs", Completions, `"stream_options":{}`, CodeValue, "stream_options", `stream_options has no effect without "stream": true: set stream, or leave stream_options out`},
		{"not supported", Completions, `"mirostat":2`, "unsupported_field", "mirostat", "mirostat is 2: the field is not supported by this version: leave the field out"},
		{"not by a chat", Chat, `"echo":true`, "unsupported_field", "echo", "echo is true: a chat does not take the field: leave the field out"},
		{"not by an embedding", Embeddings, `"draft_loops":2`, "unsupported_field", "draft_loops", "draft_loops is 2: an embedding does not take the field: nothing is generated: leave the field out"},
		{"another program's name", Completions, `"num_ut_steps":2`, "unknown_field", "num_ut_steps", `field "num_ut_steps" is not known here: the field is "loops"`},
		{"in another case", Completions, `"H_cycles":2`, "unknown_field", "H_cycles", `field "H_cycles" is not known here: the field is "loops"`},
		{"a slip", Completions, `"exit_treshold":2`, "unknown_field", "exit_treshold", `field "exit_treshold" is not known here: the field is "exit_threshold"`},
		{"a benchmark's unknown field", Bench, `"loop":1`, "unknown_field", "loop", `"loop" is not a field of a benchmark: the fields are model, loops, concurrency, prompt_tokens, max_tokens, runs, warmup, seed, force`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := with(tt.route, tt.fields)
			if strings.HasSuffix(tt.fields, "null") {
				body = "{" + tt.fields + "}"
			}
			_, err := decodeText(t, tt.route, body)
			e, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("%s: %v", tt.fields, err)
			}
			if e.Status != 400 || e.Code != tt.code || e.Param != tt.param || e.Message != tt.message {
				t.Errorf("%s\n got %s %s: %s\nwant %s %s: %s", tt.fields, e.Code, e.Param, e.Message, tt.code, tt.param, tt.message)
			}
		})
	}
}

// Clients of several servers send every name that one of them knows, and values that ask for nothing.
func TestHarmless(t *testing.T) {
	for _, fields := range []string{
		`"mirostat":0`, `"mirostat":0.0`, `"typical_p":1e0`, `"num_beams":1`, `"tools":[ ]`, `"top_n_sigma":-1.0`, `"do_sample":true`,
		`"max_tokens":4,"max_new_tokens":9`, `"options":{}`, `"format":""`, `"reasoning":{"enabled":true,"effort":null}`, `"max_tokens":4,"n_predict":9`, `"stop":"a","stop_sequences":["a"]`, `"n":2,"n_cmpl":2`,
		`"samplers":["penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"]`,
	} {
		if _, err := decodeText(t, Completions, with(Completions, fields)); err != nil {
			t.Errorf("%s: %v", fields, err)
		}
	}
}

// What other programs call the depth, and what their clients send, is refused with the right name.
func TestNeighboursFields(t *testing.T) {
	for name, want := range map[string]string{
		"exit_at_step": `"loops"`, "n_recurrent_loops": `"loops"`, "loop_num": `"loops"`, "loop_num_passes": `"loops"`, "H_cycles": `"loops"`,
		"num_ut_steps": `"loops"`, "exit_step": `"loops"`, "recurrent_depth": `"loops"`, "use_weighted_exit": "exit_policy",
		"top_n_sigma": "top_p", "samplers": "leave", "logits_processors": "logit_bias", "n_cmpl": "set n", "t_max_predict_ms": "timeout_ms",
		"top_a": "min_p", "typ_p": "leave", "tfs_z": "leave", "adaptive_target": "temperature", "repetition_detection": "repetition_penalty",
		"thinking_token_budget": "max_tokens", "reasoning_budget": "chat_template_kwargs", "thinking": "chat_template_kwargs",
		"return_tokens": "return_token_ids", "do_sample": "temperature", "max_new_tokens": "max_tokens", "min_new_tokens": "min_tokens",
		"no_repeat_ngram_size": "repetition_penalty", "num_beams": "leave", "stop_sequences": "set stop",
		"options": "top level", "format": "response_format", "think": "chat_template_kwargs", "max_output_tokens": "max_tokens", "sampling_params": "top level",
		"L_cycles": `"loops"`, "halt_max_steps": `"loops"`, "ponder_steps": `"loops"`, "no_stop_trim": "include_stop_str_in_output",
	} {
		value := "7"
		if name == "do_sample" {
			value = "false"
		}
		_, err := decodeText(t, Completions, with(Completions, `"`+name+`":`+value))
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Param != name || !strings.Contains(e.Message, want) {
			t.Errorf("%s: %v, want a message with %s", name, err, want)
		}
	}
}

// Whatever the body: an error that names a field of it, or values within the table's bounds.
func FuzzDecode(f *testing.F) {
	for i, s := range []string{
		`{"prompt":"a"}`, `{"prompt":"a","loops":8.0,"n":2,"stop":["x"],"seed":1}`, `{"messages":[],"top_logprobs":2,"logprobs":true}`,
		`{"input":"a","pooling":"last"}`, `{"loops":[1,2],"runs":3}`, `{"tokens":[1,2]}`, `{"prompt":"a","replay_loops":[1,2]}`,
		`{"prompt":"a","stream":true,"stream_options":{"include_usage":true}}`, `{"prompt":"a","return_lens":true,"mirostat":0.0}`,
	} {
		f.Add([]byte(s), i%6)
	}
	f.Fuzz(func(t *testing.T, data []byte, at int) {
		b, err := Parse(data)
		if err != nil {
			return
		}
		route := routes[max(at, -at, 0)%len(routes)]
		v, err := Decode(b, route, adder)
		if e, ok := errors.AsType[*Error](err); ok {
			if e.Status != 400 || e.Code == "" || e.Message == "" {
				t.Errorf("%s: %+v", data, e)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range table {
			f := &table[i]
			if f.Routes&route == 0 || !v.Has(f.Name) {
				continue
			}
			lo, hi := f.bounds(adder)
			switch x := v.values[f.Name].(type) {
			case int64:
				if f.Kind == Int && (x < lo || x > hi) {
					t.Errorf("%s is %d", f.Name, x)
				}
			case float64:
				if x < f.Lo || x > f.Hi {
					t.Errorf("%s is %v", f.Name, x)
				}
			case []int32:
				for _, id := range x {
					if id < 0 || int(id) >= adder.Vocab {
						t.Errorf("%s has id %d", f.Name, id)
					}
				}
			}
		}
	})
}
