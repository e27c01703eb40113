package server_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
)

// Whatever the engine says, an answer that ends by itself has the form, in chats and completions, streamed or not, drawn or
// greedy, and guessed ahead.
func TestForms(t *testing.T) {
	ts, _ := serveEngine(t, 4000, nil)
	matches := func(e string) func(string) bool { return regexp.MustCompile(`^(?s:` + e + `)$`).MatchString }
	const schema = `{"type":"object","properties":{"ok":{"type":"boolean"},"n":{"type":"integer","minimum":0,"maximum":99}},"required":["ok","n"],"additionalProperties":false}`
	isSchema := func(text string) bool {
		var v struct {
			OK *bool `json:"ok"`
			N  *int  `json:"n"`
		}
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		return d.Decode(&v) == nil && v.OK != nil && v.N != nil && *v.N >= 0 && *v.N < 100
	}
	isObject := func(text string) bool { return json.Unmarshal([]byte(text), &map[string]any{}) == nil }
	for _, tt := range []struct {
		fields string
		right  func(string) bool
	}{
		{`"response_format":{"type":"json_object"}`, isObject},
		{`"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":` + schema + `}}`, isSchema},
		{`"structured_outputs":{"json":` + schema + `}`, isSchema},
		{`"structured_outputs":{"json":` + fmt.Sprintf("%q", schema) + `,"regex":null}`, isSchema},
		{`"structured_outputs":{"json_object":true}`, isObject},
		{`"structured_outputs":{"regex":"[a-c]{2,4}"}`, matches(`[a-c]{2,4}`)},
		{`"structured_outputs":{"choice":["yes","no"]}`, matches(`yes|no`)},
		{`"guided_json":` + schema, isSchema},
		{`"json_schema":` + schema, isSchema},
		{`"guided_regex":"\\d+\\.\\d"`, matches(`\d+\.\d`)},
		{`"regex":"\\d+\\.\\d"`, matches(`\d+\.\d`)},
		{`"guided_choice":["a","ab"]`, matches(`ab?`)},
		{`"structured_outputs":{"grammar":"root ::= \"a\" root? \"b\""}`, matches(`a+b+`)},
		{`"guided_grammar":"start: \"x\"~2..3 [\"y\"]"`, matches(`x{2,3}y?`)},
		{`"grammar":"root ::= [ab]","ebnf":""`, matches(`[ab]`)},
		{`"choice":["a","ab"]`, matches(`ab?`)},
		{`"choice":["yes","no"],"logprobs":LOGPROBS,"presence_penalty":1,"logit_bias":{"121":-100}`, matches(`yes|no`)},
		{`"choice":["yes","no"],"min_tokens":10`, matches(`yes|no`)},
		{`"response_format":{"type":"text"}`, func(string) bool { return true }},
	} {
		t.Run(tt.fields[:min(len(tt.fields), 50)], func(t *testing.T) {
			ended := 0
			for i, how := range []string{`"temperature":1,"n":4`, `"temperature":0`, `"temperature":1,"stream":true,"n":3`, `"temperature":0.7,"loops":6,"draft_loops":2`} {
				for _, chat := range []bool{false, true} {
					path, prompt, logprobs := "/v1/completions", `"prompt":"x"`, "2"
					if chat {
						path, prompt, logprobs = "/v1/chat/completions", `"messages":[{"role":"user","content":"x"}]`, "true"
					}
					body := fmt.Sprintf(`{%s,"max_tokens":48,"seed":%d,%s,%s}`, prompt, i, how, strings.ReplaceAll(tt.fields, "LOGPROBS", logprobs))
					for _, a := range answers(t, send(t, ts, "POST", path, body)) {
						if a.finish == "stop" {
							ended++
							if !tt.right(a.text) {
								t.Errorf("%s gave %q", body, a.text)
							}
						}
					}
				}
			}
			if ended < 8 && !strings.Contains(tt.fields, `"text"`) {
				t.Errorf("%d of 18 answers ended", ended)
			}
		})
	}
}

type said struct{ text, finish string }

// answers are the choices of a completion or a chat, streamed or not.
func answers(t *testing.T, a answer) []said {
	t.Helper()
	if a.status != 200 {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	out := map[int]said{}
	for line := range strings.SplitSeq(a.body, "\n") {
		data := strings.TrimPrefix(line, "data: ")
		if data == "" || data == "[DONE]" {
			continue
		}
		var c struct {
			Choices []struct {
				Index          int
				Text           string
				Message, Delta struct{ Content string }
				Finish         string `json:"finish_reason"`
			}
		}
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			t.Fatalf("%v in %s", err, data)
		}
		for _, ch := range c.Choices {
			s := out[ch.Index]
			s.text += ch.Text + ch.Message.Content + ch.Delta.Content
			s.finish += ch.Finish
			out[ch.Index] = s
		}
	}
	list := make([]said, len(out))
	for i, s := range out {
		list[i] = s
	}
	return list
}

func TestBadForms(t *testing.T) {
	s := &script{text: "ab", finish: loopctl.FinishLength}
	ts, _ := serve(t, s, server.Config{})
	for _, tt := range []struct{ fields, code, param, message string }{
		{`"response_format":{"type":"xml"}`, "invalid_value", "response_format.type", `response_format.type is "xml", a string: it must be text, json_object or json_schema`},
		{`"response_format":{}`, "invalid_value", "response_format.type", `response_format.type is missing: it must be text, json_object or json_schema`},
		{`"response_format":"json"`, "invalid_type", "response_format", `response_format is "json", a string: it must be an object`},
		{`"response_format":{"type":"json_schema"}`, "missing_field", "response_format.json_schema", `response_format.json_schema.schema is missing: give {"name", "schema"}`},
		{`"guided_json":{"oneOf":[]}`, "invalid_value", "guided_json", `guided_json: the schema at #: oneOf must be a list of schemas`},
		{`"guided_json":7`, "invalid_value", "guided_json", `guided_json: the schema at #: it must be an object, or true or false`},
		{`"regex":"("`, "invalid_value", "regex", "regex: the expression (: error parsing regexp: missing closing ): `(`"},
		{`"regex":7`, "invalid_type", "regex", "regex is 7: it must be a string, a regular expression"},
		{`"choice":"a"`, "invalid_type", "choice", `choice is "a", a string: it must be a list of strings`},
		{`"choice":[]`, "invalid_value", "choice", "choice: choice is an empty list: give at least one text"},
		{`"choice":["☃"]`, "unsupported_constraint", "choice", "choice: model adder cannot write any such output: its vocabulary lacks characters that every one needs: ask for another, or use another model"},
		{`"regex":"a","choice":["a"]`, "conflicting_fields", "regex", "regex and choice exclude each other: an answer takes one structured output: leave one of the two out"},
		{`"regex":"a","ignore_eos":true`, "conflicting_fields", "regex", "regex and ignore_eos exclude each other: structured output ends where it is complete: leave ignore_eos out"},
		{`"structured_outputs":{"structural_tag":"x"}`, "unsupported_field", "structured_outputs.structural_tag", "structured_outputs.structural_tag is not supported: use json, json_object, regex, choice or grammar"},
		{`"structured_outputs":{"grammar":7}`, "invalid_type", "structured_outputs.grammar", "structured_outputs.grammar is 7: it must be a string, a grammar"},
		{`"guided_grammar":"x"`, "invalid_value", "guided_grammar", "guided_grammar: the grammar, line 1: x stands outside of a rule"},
		{`"structured_outputs":{"regex":"a","choice":["a"]}`, "conflicting_fields", "structured_outputs.choice", "structured_outputs.choice and structured_outputs.regex exclude each other: an answer takes one structured output: leave one of the two out"},
		{`"structural_tag":"x"`, "unsupported_field", "structural_tag", `structural_tag is "x", a string: the field is not supported by this version: use structured_outputs with json, regex, choice or grammar`},
	} {
		t.Run(tt.fields, func(t *testing.T) {
			checkError(t, post(t, ts, `{"prompt":"x",`+tt.fields+`}`), 400, tt.code, tt.param, tt.message)
		})
	}
	if n, _ := s.count(); n != 0 {
		t.Errorf("%d requests reached the engine", n)
	}
}

// digits is the tokenizer of a model that knows digits only, as an adder does.
type digits struct{ letters }

func (digits) TokenBytes(id int32) []byte {
	if id < '0' || id > '9' {
		return nil
	}
	return []byte{byte(id)}
}

// A vocabulary that cannot write JSON says so; what it can write, it writes.
func TestFormsOfAPoorVocabulary(t *testing.T) {
	s := &script{text: "12", finish: loopctl.FinishLength}
	m := model("adder", &generator{submit: s.submit})
	m.Tokenizer = digits{}
	srv := serverOf(t, m)
	ts := newTestServer(t, srv)
	checkError(t, post(t, ts, `{"prompt":"1","response_format":{"type":"json_object"}}`), 400, "unsupported_constraint", "response_format",
		"response_format: model adder cannot write any such output: its vocabulary lacks characters that every one needs: ask for another, or use another model")
	decode(t, post(t, ts, `{"prompt":"1","regex":"[0-9a-f]{4}"}`))
	s.wg.Wait()
	logits := make([]float32, 256)
	logits['a'] = 9
	if id := s.requests[0].Sampler.Sample(logits).ID; !slices.Contains([]int32("0123456789"), id) {
		t.Errorf("picked %d", id)
	}
}
