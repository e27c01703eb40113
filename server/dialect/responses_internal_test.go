package dialect

import (
	"encoding/json"
	"strings"
	"testing"
)

// A short body cannot have the server put together a long one.
func TestReferencesAreBounded(t *testing.T) {
	item := json.RawMessage(`{"role":"user","content":"` + strings.Repeat("a", mostBytes/3) + `"}`)
	s := &Shelf{items: map[string]json.RawMessage{"m": item}}
	ask := func(n int) error {
		r := &responseRequest{request: newRequest(nil)}
		return r.readInput(json.RawMessage("["+strings.Repeat(`{"type":"item_reference","id":"m"},`, n)+`{"role":"user","content":"q"}]`), s)
	}
	if err := ask(2); err != nil {
		t.Error(err)
	}
	if err := ask(3); err == nil || !strings.HasPrefix(err.Error(), `input[2] refers to the item "m": with it`) {
		t.Errorf("got %v", err)
	}
}
