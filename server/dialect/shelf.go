package dialect

import (
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

// Forgotten is what to tell of a response that is not there.
const Forgotten = "only the last 1000 responses of a key are kept, in memory, and none with store: false: send the whole history as input"

// Shelf keeps the responses of one key, so that later ones can follow on them. They are gone when the process ends.
type Shelf struct {
	mu    sync.Mutex
	kept  []*keptResponse            // the oldest first
	items map[string]json.RawMessage // of their outputs, by id
	bytes int
}

type keptResponse struct {
	id    string
	whole json.RawMessage
	items []json.RawMessage // of the conversation, this response's output at its end
	ids   []string          // of the output
	bytes int
}

// Keep puts an answer that is done on the shelf, where it is a response that wants to be kept.
func (s *Shelf) Keep(a Answer) {
	r, ok := a.(*response)
	if !ok || !r.asked.values.Bool("store") {
		return
	}
	k := &keptResponse{id: r.ID, items: slices.Clone(r.asked.items)}
	k.whole, _ = api.Encode(r.Whole()) // it was sent
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.find(k.id); at >= 0 { // of a request of the same X-Request-Id
		s.drop(at)
	}
	if s.items == nil {
		s.items = map[string]json.RawMessage{}
	}
	for i, item := range r.items {
		data, _ := api.Encode(item) // as it was sent
		k.items, k.ids = append(k.items, data), append(k.ids, r.list[i].id)
		s.items[r.list[i].id] = data
	}
	k.bytes = len(k.whole)
	for _, item := range k.items {
		k.bytes += len(item)
	}
	s.kept, s.bytes = append(s.kept, k), s.bytes+k.bytes
	for len(s.kept) > mostKept || s.bytes > mostBytes {
		s.drop(0)
	}
}

func (s *Shelf) drop(at int) {
	s.bytes -= s.kept[at].bytes
	for _, id := range s.kept[at].ids {
		delete(s.items, id)
	}
	s.kept = slices.Delete(s.kept, at, at+1)
}

func (s *Shelf) find(id string) int {
	return slices.IndexFunc(s.kept, func(k *keptResponse) bool { return k.id == id })
}

// Drop takes a response off the shelf, and reports whether it was there.
func (s *Shelf) Drop(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.find(id)
	if at >= 0 {
		s.drop(at)
	}
	return at >= 0
}

// Whole is a response that is kept.
func (s *Shelf) Whole(id string) (whole json.RawMessage, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.find(id)
	if at < 0 {
		return nil, false
	}
	return s.kept[at].whole, true
}

// history are the items of a conversation up to a response's end.
func (s *Shelf) history(id string) ([]json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.find(id)
	if at < 0 {
		return nil, api.Bad("previous_response_id", "previous_response_not_found", "previous_response_id is %s, which is not kept here: "+Forgotten, api.Quote(id))
	}
	return slices.Clone(s.kept[at].items), nil
}

// item is one of a response's output.
func (s *Shelf) item(id, where string) (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.items[id]
	if !ok {
		return nil, api.Bad("input", "item_not_found", "%s refers to the item %s, which is not kept here: "+Forgotten, where, api.Quote(id))
	}
	return found, nil
}
