package server_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
	"github.com/loopserve/loopserve/server"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
	"github.com/loopserve/loopserve/tokenizer"
)

// words is a tokenizer like Llama 2's: a text's first word has no space, byte b is token 4+b (a special one), and 364 is
// "▁loop".
func words(t *testing.T) tokenizer.Tokenizer {
	t.Helper()
	f, err := os.Open("../tokenizer/testdata/byte-fallback.tokenizer.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func serveWords(t *testing.T) *httptest.Server {
	t.Helper()
	limits := engineLimits(4000)
	limits.Vocab = 400
	ts, _ := serveOn(t, loopctltest.New(limits), func(m *generate.Model) {
		m.Tokenizer, m.Vocab, m.StopIDs, m.BOS = words(t), 400, []int32{2}, nil
	})
	return ts
}

// An answer's text is what its tokens add to the prompt's: the space of a first word, too.
func TestTextBehindThePrompt(t *testing.T) {
	ts := serveWords(t)
	for _, tt := range []struct {
		name, fields, text, finish string
		tokens                     int
	}{
		{"plain", `"prompt":"stop","max_tokens":2,"allowed_token_ids":[364]`, " loop loop", "length", 2},
		{"streamed", `"prompt":"stop","max_tokens":2,"allowed_token_ids":[364],"stream":true`, " loop loop", "length", 2},
		{"behind ids", `"prompt":[364],"max_tokens":2,"allowed_token_ids":[364]`, " loop loop", "length", 2},
		{"behind no text", `"prompt":[1],"max_tokens":2,"allowed_token_ids":[364]`, "loop loop", "length", 2},
		{"echo", `"prompt":"stop","max_tokens":2,"allowed_token_ids":[364],"echo":true`, "stop loop loop", "length", 2},
		{"a stop string that begins with a space", `"prompt":"stop","max_tokens":3,"allowed_token_ids":[364],"stop":" loop"`, "", "stop", 1},
		{"after min_tokens", `"prompt":"stop","max_tokens":5,"allowed_token_ids":[364],"stop":" loop","min_tokens":2`, " loop loop", "stop", 3},
		{"one that goes across min_tokens", `"prompt":"stop","max_tokens":5,"allowed_token_ids":[364],"stop":["op lo","zzz"],"min_tokens":1`, " lo", "stop", 2},
		{"at the last token", `"prompt":"stop","max_tokens":2,"allowed_token_ids":[364],"stop":"loop loop"`, " ", "stop", 2},
		{"and shown", `"prompt":"stop","max_tokens":3,"allowed_token_ids":[364],"stop":"oo","include_stop_str_in_output":true`, " loo", "stop", 1},
		{"a form", `"prompt":"stop","max_tokens":40,"temperature":0,"choice":[" stop"," loop"]`, "", "stop", 0},
		{"a form behind no text", `"prompt":[1],"max_tokens":40,"temperature":0,"regex":"( loop){2}"`, " loop loop", "stop", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := "{" + tt.fields + "}"
			a := answers(t, post(t, ts, body))
			if len(a) != 1 || a[0].finish != tt.finish || tt.text != "" && a[0].text != tt.text {
				t.Errorf("%s gave %+v, want %q, %s", body, a, tt.text, tt.finish)
			}
			if tt.name == "a form" && a[0].text != " stop" && a[0].text != " loop" {
				t.Errorf("%q has not the form", a[0].text)
			}
			if strings.Contains(body, `"stream"`) {
				return
			}
			if got := decode(t, post(t, ts, body)).Usage.CompletionTokens; tt.tokens > 0 && got != tt.tokens {
				t.Errorf("%d tokens, want %d", got, tt.tokens)
			}
		})
	}
	chat := answers(t, send(t, ts, "POST", "/v1/chat/completions",
		`{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"stop"}],"continue_final_message":true,"max_tokens":2,"allowed_token_ids":[364]}`))
	if len(chat) != 1 || chat[0].text != " loop loop" {
		t.Errorf("a message that goes on: %+v", chat)
	}
}

// A character leaves as soon as its bytes are there, and so does a stop string end the answer.
func TestBytesLeaveAsCharacters(t *testing.T) {
	smile := []rune{244, 163, 157, 134} // F0 9F 99 82
	s := &script{text: strings.Repeat(string(smile), 3), finish: loopctl.FinishLength}
	m := model("adder", &generator{submit: s.submit})
	m.Tokenizer, m.Vocab = words(t), 400
	ts := newTestServer(t, serverOf(t, m))
	const fields = `{"prompt":"x","max_tokens":12,"skip_special_tokens":false`
	if got := decode(t, post(t, ts, fields+`,"stop":"🙂"}`)); got.Usage.CompletionTokens != 4 || got.Choices[0].Text != "" {
		t.Errorf("a stop string: %d tokens, %q", got.Usage.CompletionTokens, got.Choices[0].Text)
	}
	var pieces []string
	for _, m := range regexp.MustCompile(`"text":"([^"]*)"`).FindAllStringSubmatch(post(t, ts, fields+`,"stream":true}`).body, -1) {
		pieces = append(pieces, m[1])
	}
	if got, want := strings.Join(pieces, ","), strings.Repeat(",,,🙂,", 3); got+"," != want {
		t.Errorf("streamed %s, want %s", got, want)
	}
}

// text_offset counts characters of the text that is there.
func TestOffsetsBehindThePrompt(t *testing.T) {
	ts := serveWords(t)
	for fields, want := range map[string][]int{
		`"prompt":"stop","allowed_token_ids":[364]`:                                                    {0, 5, 10},
		`"prompt":[364,364],"echo":true,"allowed_token_ids":[364]`:                                     {0, 4, 9, 14, 19},
		`"prompt":[1],"allowed_token_ids":[364]`:                                                       {0, 4, 9},
		`"prompt":[364],"allowed_token_ids":[259],"skip_special_tokens":false`:                         {0, 1, 2},    // \xff
		`"prompt":[364],"echo":true,"allowed_token_ids":[259]`:                                         {0, 4, 4, 4}, // special tokens are left out
		`"prompt":[244,163,157,134],"echo":true,"allowed_token_ids":[364],"skip_special_tokens":false`: {0, 1, 1, 1, 1, 6, 11},
	} {
		got := scoredAnswer(t, post(t, ts, fmt.Sprintf(`{%s,"max_tokens":3,"logprobs":0}`, fields))).Choices[0].Logprobs.TextOffset
		if !slices.Equal(got, want) {
			t.Errorf("%s: offsets %v, want %v", fields, got, want)
		}
	}
}

// Tokens that other fields mask are never chosen: what leaves none is refused.
func TestNothingToChoose(t *testing.T) {
	ts, _ := serveOn(t, loopctltest.New(engineLimits(4000)), func(m *generate.Model) { m.Vocab = 60 })
	all := make([]string, 60)
	for i := range all {
		all[i] = fmt.Sprint(i)
	}
	for _, tt := range []struct{ fields, param string }{
		{`"allowed_token_ids":[5],"stop_token_ids":[5],"min_tokens":2`, "allowed_token_ids"},
		{`"allowed_token_ids":[0],"min_tokens":1`, "allowed_token_ids"},
		{`"allowed_token_ids":[0],"min_tokens":1,"ignore_eos":true`, "allowed_token_ids"},
		{`"stop_token_ids":[` + strings.Join(all, ",") + `],"min_tokens":2`, "stop_token_ids"},
	} {
		a := post(t, ts, `{"prompt":[5],"max_tokens":3,`+tt.fields+`}`)
		if a.status != 400 || !strings.Contains(a.body, `"param":"`+tt.param+`"`) || !strings.Contains(a.body, "min_tokens") {
			t.Errorf("%.60s: %d %s", tt.fields, a.status, a.body)
		}
	}
	for fields, want := range map[string]int{
		`"allowed_token_ids":[5],"stop_token_ids":[5]`:                                    1,
		`"allowed_token_ids":[0],"ignore_eos":true`:                                       3,
		`"allowed_token_ids":[0,7],"min_tokens":2,"temperature":0,"logit_bias":{"0":100}`: 3,
	} {
		if got := decode(t, post(t, ts, `{"prompt":[5],"max_tokens":3,`+fields+`}`)).Usage.CompletionTokens; got != want {
			t.Errorf("%s: %d tokens, want %d", fields, got, want)
		}
	}
}

// Seed −1 is none; each other number is one, and choice j has seed + j.
func TestSeeds(t *testing.T) {
	ts, _ := serveEngine(t, 4000, nil)
	ask := func(fields string) string {
		return fmt.Sprint(answers(t, post(t, ts, `{"prompt":"x","max_tokens":16,"temperature":5,"ignore_eos":true,`+fields+`}`)))
	}
	for seed, same := range map[string]bool{`"seed":-1`: false, `"seed":-2`: true, `"seed":3`: true, `"seed":null`: false} {
		if first, second := ask(seed), ask(seed); (first == second) != same {
			t.Errorf("%s: the same answer twice: %t", seed, !same)
		}
	}
}

// What a request leaves out is what the model says, what it has wins, and /v1/models shows it.
func TestDefaultsOfTheModel(t *testing.T) {
	s := &script{text: "abcdefghijkl", finish: loopctl.FinishLength}
	m := model("adder", &generator{submit: s.submit})
	m.Defaults = api.Defaults{"temperature": 0.0, "max_tokens": 5}
	engine := loopctltest.New(engineLimits(4000))
	engineServer, _ := serveOn(t, engine, func(m *generate.Model) { m.Defaults = api.Defaults{"temperature": 0.0} })
	ask := func(fields string) string {
		return answers(t, post(t, engineServer, `{"prompt":"x","max_tokens":16,"ignore_eos":true`+fields+`}`))[0].text
	}
	if greedy := ask(`,"temperature":0`); ask("") != greedy || ask(`,"temperature":3`) == greedy {
		t.Error("the model's temperature 0 is not what a request has that leaves it out, and no other")
	}
	ts := newTestServer(t, serverOf(t, m))
	for fields, want := range map[string]int{"": 5, `,"max_tokens":7`: 7} {
		if got := decode(t, post(t, ts, `{"prompt":"x"`+fields+`}`)).Usage.CompletionTokens; got != want {
			t.Errorf("{%s}: %d tokens, want %d", fields, got, want)
		}
	}
	if a := send(t, ts, "GET", "/v1/models/adder", ""); !strings.Contains(a.body, `"generation_config":{"max_tokens":5,"temperature":0}`) {
		t.Error(a.body)
	}
}

// vLLM's return_token_ids: the answer's in the choice, the prompt's in the first chunk of one.
func TestTokenIDs(t *testing.T) {
	s := &script{text: "ab\x00", finish: loopctl.FinishStop}
	ts, _ := serve(t, s, server.Config{})
	const fields = `"return_token_ids":true,"max_tokens":5`
	for _, tt := range []struct{ path, fields, want string }{
		{"/v1/completions", `"prompt":["xy","z"]`, `"token_ids":[97,98,0],"prompt_token_ids":[120,121]} "token_ids":[97,98,0],"prompt_token_ids":[122]}`},
		{"/v1/completions", `"prompt":"xy","stream":true`, `"token_ids":[97],"prompt_token_ids":[120,121]} "token_ids":[98]} "token_ids":[0]}`},
		{"/v1/chat/completions", `"messages":[{"role":"user","content":"xy"}]`, `"token_ids":[97,98,0]} "prompt_token_ids":[120,121]}`},
		{"/v1/chat/completions", `"messages":[{"role":"user","content":"xy"}],"stream":true`, `"prompt_token_ids":[120,121]} "token_ids":[97]} "token_ids":[98]} "token_ids":[0]}`},
	} {
		a := send(t, ts, "POST", tt.path, "{"+tt.fields+","+fields+"}")
		if got := strings.Join(regexp.MustCompile(`("prompt_|")token_ids":[^}]*}`).FindAllString(a.body, -1), " "); got != tt.want {
			t.Errorf("%s %s:\n got %s\nwant %s", tt.path, tt.fields, got, tt.want)
		}
	}
}
