package api

import (
	"fmt"
	"testing"
)

func TestReadDefaults(t *testing.T) {
	for _, tt := range []struct{ file, want, err string }{
		{`{"do_sample":true,"temperature":0.6,"top_p":0.95,"top_k":20,"eos_token_id":[2,3],"transformers_version":"4.45.1"}`, "map[temperature:0.6 top_k:20 top_p:0.95]", ""},
		{`{"max_new_tokens":2048,"min_p":0.05,"repetition_penalty":1.05}`, "map[max_tokens:2048 min_p:0.05 repetition_penalty:1.05]", ""},
		{`{"temperature":null,"max_length":20}`, "map[]", ""},
		{`{"temperature":-1,"top_k":5}`, "map[top_k:5]", "temperature is -1: it must be a number from 0 to 100"},
		{`[]`, "map[]", "it is no JSON object: json: cannot unmarshal array into Go value of type api.Body"},
	} {
		got, err := ReadDefaults([]byte(tt.file))
		if fmt.Sprint(got) != tt.want || err == nil && tt.err != "" || err != nil && err.Error() != tt.err {
			t.Errorf("%s: %v, %v; want %s, %s", tt.file, got, err, tt.want, tt.err)
		}
	}
}
