package dialect

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"

	"github.com/loopserve/loopserve/server/api"
)

// What one key's responses may take; the oldest give way.
const (
	mostKept  = 1000
	mostBytes = 32 << 20
)

// Shelf keeps the responses of one key, so that later ones can follow on them. They are gone when the process ends.
type Shelf struct {
	mu    sync.Mutex
	kept  []keptResponse // the oldest first
	bytes int
}

type keptResponse struct {
	id     string
	whole  json.RawMessage
	items  []json.RawMessage // of the conversation, this response's output at its end
	output int               // how many of them are that
	bytes  int
}

// Keep puts a response that is done on the shelf.
func (s *Shelf) Keep(a Answer) {
	r, ok := a.(*response)
	if !ok || !r.asked.values.Bool("store") || r.failed != nil {
		return
	}
	k := keptResponse{id: r.ID, items: slices.Clone(r.asked.items), output: len(r.items)}
	k.whole, _ = api.Encode(r.Whole()) // it was sent
	for _, item := range r.items {
		data, _ := api.Encode(item)
		k.items = append(k.items, data)
	}
	k.bytes = len(k.whole)
	for _, item := range k.items {
		k.bytes += len(item)
	}
	s.Drop(k.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept, s.bytes = append(s.kept, k), s.bytes+k.bytes
	for len(s.kept) > mostKept || s.bytes > mostBytes {
		s.bytes -= s.kept[0].bytes
		s.kept = slices.Delete(s.kept, 0, 1)
	}
}

// find is the response of a name, or one that has an item of it.
func (s *Shelf) find(is func(*keptResponse) bool) (k keptResponse, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.kept) - 1; i >= 0; i-- {
		if is(&s.kept[i]) {
			return s.kept[i], true
		}
	}
	return k, false
}

// Forgotten is what to tell of a response that is not there.
const Forgotten = "only the last 1000 responses of a key are kept, in memory, and none with store: false: send the whole history as input"

// History are the items of a conversation up to a response's end.
func (s *Shelf) History(id string) ([]json.RawMessage, error) {
	k, ok := s.find(func(k *keptResponse) bool { return k.id == id })
	if !ok {
		return nil, api.Bad("previous_response_id", "previous_response_not_found", "previous_response_id is %s, which is not kept here: "+Forgotten, api.Quote(id))
	}
	return slices.Clone(k.items), nil
}

// item is one of a response's output.
func (s *Shelf) item(id, where string) (found json.RawMessage, err error) {
	_, ok := s.find(func(k *keptResponse) bool {
		return slices.ContainsFunc(k.items[len(k.items)-k.output:], func(item json.RawMessage) bool {
			var named struct{ ID string }
			found = item
			return bytes.Contains(item, []byte(id)) && json.Unmarshal(item, &named) == nil && named.ID == id
		})
	})
	if !ok {
		return nil, api.Bad("input", "item_not_found", "%s refers to the item %s, which is not kept here: "+Forgotten, where, api.Quote(id))
	}
	return found, nil
}

// Whole is a response that is kept.
func (s *Shelf) Whole(id string) (whole json.RawMessage, ok bool) {
	k, ok := s.find(func(k *keptResponse) bool { return k.id == id })
	return k.whole, ok
}

// Drop takes a response off the shelf, and reports whether it was there.
func (s *Shelf) Drop(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.kept, func(k keptResponse) bool { return k.id == id })
	if at < 0 {
		return false
	}
	s.bytes -= s.kept[at].bytes
	s.kept = slices.Delete(s.kept, at, at+1)
	return true
}
