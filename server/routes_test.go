package server_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
)

func TestModels(t *testing.T) {
	ts, _ := serve(t, &script{}, server.Config{})
	a := send(t, ts, "GET", "/v1/models/", "")
	const first = `{"id":"adder","object":"model","created":1700000000,"owned_by":"loopserve","root":"adder","parent":null,"max_model_len":64,` +
		`"loops":{"min":1,"max":12,"default":4,"trained":8,"exit_policies":["none","delta","kl","entropy","argmax"],` +
		`"auto":{"loops":8,"exit_policy":"delta","exit_threshold":0.03,"min_loops":1},` +
		`"reasoning_effort":{"high":8,"low":2,"medium":4,"minimal":1,"none":1,"xhigh":12}},"kv_policies":["depth"],"kv_policy":"depth"}`
	var list struct {
		Object string
		Data   []json.RawMessage
	}
	if err := json.Unmarshal([]byte(a.body), &list); err != nil || list.Object != "list" || len(list.Data) != 5 {
		t.Fatalf("%v %s", err, a.body)
	}
	if string(list.Data[0]) != first {
		t.Errorf("got  %s\nwant %s", list.Data[0], first)
	}
	for i, want := range []string{"adder", "adder@1", "adder@4", "adder@12", "adder@auto"} {
		var card struct {
			ID     string
			Parent *string
			Loops  struct{ Default int }
		}
		if err := json.Unmarshal(list.Data[i], &card); err != nil || card.ID != want || (card.Parent != nil) != (i > 0) {
			t.Errorf("%d: %s", i, list.Data[i])
		}
	}
	if a := send(t, ts, "GET", "/v1/models/adder", ""); a.body != first {
		t.Errorf("got %s", a.body)
	}
	if a := send(t, ts, "GET", "/v1/models/adder@7", ""); a.status != 200 {
		t.Errorf("got %d %s", a.status, a.body)
	}
	checkError(t, send(t, ts, "GET", "/v1/models/nope", ""), 404, "model_not_found", "model", `model "nope" is not served here: use one of adder`)
}

func TestTokenizerRoutes(t *testing.T) {
	ts, _ := serve(t, &script{}, server.Config{})
	tests := []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/tokenize", `{"prompt":"<a"}`, 200, `{"count":3,"max_model_len":64,"token_strs":null,"tokens":[1,60,97]}`},
		{"POST", "/tokenize", `{"model":"adder","prompt":"<a","add_special_tokens":false,"return_token_strs":true}`, 200, `{"count":2,"max_model_len":64,"token_strs":["<","a"],"tokens":[60,97]}`},
		{"POST", "/tokenize", `{"prompt":""}`, 200, `{"count":0,"max_model_len":64,"token_strs":null,"tokens":[]}`},
		{"POST", "/tokenize", `{}`, 400, ""},
		{"POST", "/tokenize", `{"prompt":"☃"}`, 400, ""},
		{"POST", "/detokenize", `{"tokens":[60,97]}`, 200, `{"prompt":"<a"}`},
		{"POST", "/detokenize", `{"tokens":[]}`, 200, `{"prompt":""}`},
		{"POST", "/detokenize", `{"tokens":[256]}`, 400, ""},
		{"POST", "/detokenize", `{}`, 400, ""},
		{"GET", "/tokenizer_info", "", 200, `{"bos_token":"\u0001","chat_template":null,"eos_token":"\u0000","max_model_len":64,"model":"adder","pad_token":null,"stop_token_ids":[0],"vocab_size":256}`},
	}
	for _, tt := range tests {
		a := send(t, ts, tt.method, tt.path, tt.body)
		if a.status != tt.status || tt.want != "" && a.body != tt.want {
			t.Errorf("%s %s\n got %d %s\nwant %d %s", tt.path, tt.body, a.status, a.body, tt.status, tt.want)
		}
	}
}

// With keys set, no route answers without one but the two that say that the process lives.
func TestKeys(t *testing.T) {
	s := &script{text: "a", finish: loopctl.FinishLength}
	ts, _ := serve(t, s, server.Config{APIKeys: []string{"sesame", "other"}})
	tests := []struct {
		name, path, header string
		status             int
	}{
		{"no key", "/v1/models", "", 401},
		{"empty key", "/v1/models", "Bearer ", 401},
		{"wrong key", "/v1/models", "Bearer sesam", 401},
		{"wrong scheme", "/v1/models", "Basic sesame", 401},
		{"key", "/v1/models", "Bearer sesame", 200},
		{"second key", "/v1/models", "bearer other", 200},
		{"metrics", "/metrics", "", 401},
		{"version", "/version", "", 401},
		{"health", "/health", "", 200},
		{"ready", "/ready", "", 200},
		{"unknown route", "/nope", "", 401},
		{"livez", "/livez", "", 200},
		{"readyz", "/readyz/", "", 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := send(t, ts, http.MethodGet, tt.path, "", "Authorization", tt.header)
			if a.status != tt.status {
				t.Errorf("%d %s", a.status, a.body)
			}
			if a.status == 401 && (a.header.Get("WWW-Authenticate") != "Bearer" || a.header.Get("X-Request-Id") == "") {
				t.Errorf("headers %v", a.header)
			}
		})
	}
	checkError(t, send(t, ts, "GET", "/nope", ""), 401, "invalid_api_key", "null", "no API key: send it in the header Authorization: Bearer KEY")
}

func TestCheckListen(t *testing.T) {
	tests := []struct {
		address        string
		keys, insecure bool
		ok             bool
	}{
		{"127.0.0.1:8080", false, false, true},
		{"localhost:8080", false, false, true},
		{"[::1]:8080", false, false, true},
		{"127.3.2.1:0", false, false, true},
		{"0.0.0.0:8080", false, false, false},
		{":8080", false, false, false},
		{"[::]:8080", false, false, false},
		{"example.org:8080", false, false, false},
		{"0.0.0.0:8080", true, false, true},
		{"0.0.0.0:8080", false, true, true},
		{"8080", true, true, false},
	}
	for _, tt := range tests {
		if err := server.CheckListen(tt.address, tt.keys, tt.insecure); (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}
