package generate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
	"github.com/loopserve/loopserve/tokenizer"
)

// runes is a tokenizer whose ids are code points, and a generator that answers with the letters of its text.
type runes struct {
	tokenizer.Tokenizer

	text   string
	refuse func(r *loopctl.Request) error
	asked  []*loopctl.Request
}

func (*runes) Encode(text string, _ bool) (ids []int32, err error) {
	for _, r := range text {
		ids = append(ids, r)
	}
	return ids, nil
}

func (*runes) Decode(ids []int32, _ bool) (string, error) { return string(ids), nil }
func (*runes) NewDecoder(bool) tokenizer.Decoder          { return decoder{} }
func (*runes) IDToToken(id int32) (string, bool)          { return string(id), true }
func (*runes) TokenBytes(id int32) []byte                 { return []byte(string(id)) }
func (*runes) IsSpecial(int32) bool                       { return false }
func (*runes) Snapshot() loopctl.Snapshot                 { return loopctl.Snapshot{} }

type decoder struct{}

func (decoder) Prime([]int32)        {}
func (decoder) Push(id int32) string { return string(id) }
func (decoder) Flush() string        { return "" }

func (g *runes) Submit(reqs ...*loopctl.Request) (streams []*loopctl.Stream, err error) {
	for _, r := range reqs {
		g.asked = append(g.asked, r)
		if g.refuse != nil {
			if err := g.refuse(r); err != nil {
				return nil, err
			}
		}
		st := loopctl.NewStream(len(g.text) + 1)
		for i, c := range []rune(g.text) {
			e := loopctl.Event{Token: loopctl.Sampled{ID: c}, Loops: r.Loops}
			if i == len(g.text)-1 {
				e.Finish, e.Stats = loopctl.FinishLength, &loopctl.Stats{PromptTokens: len(r.Prompt)}
			}
			st.Push(e)
		}
		streams = append(streams, st)
	}
	return streams, nil
}

// gate counts who is inside.
type gate struct {
	inside int
	used   int64
}

func (g *gate) Enter(ctx context.Context, _ int64, _ int) (context.Context, func(int64), error) {
	g.inside++
	return ctx, func(used int64) { g.inside, g.used = g.inside-1, used }, nil
}

// begin starts what a body of POST /v1/completions asks for.
func begin(t *testing.T, host generate.Host, g *runes, body string) (*generate.Sequences, error) {
	t.Helper()
	b, err := api.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	m := &generate.Model{
		Name: "adder", Generator: g, Tokenizer: g, Context: 4096, Vocab: 1 << 16,
		Loops: loopctl.LoopRange{Min: 1, Default: 4, Trained: 8, Max: 12},
	}
	lim := api.Limits{}.WithDefaults()
	p, v, err := generate.ReadPlan(b, api.Completions, generate.Target{Model: m}, generate.Call{ID: "req"}, lim)
	if err != nil {
		t.Fatal(err)
	}
	prompts, err := p.ReadPrompts(v, lim)
	if err != nil {
		t.Fatal(err)
	}
	return generate.Start(t.Context(), host, generate.Call{ID: "req"}, p, prompts)
}

// The loops of a body reach each request, and those of each event its usage.
func TestLoopsGoThrough(t *testing.T) {
	g, host := &runes{text: "abc"}, &gate{}
	s, err := begin(t, host, g, `{"prompt":["x","yz"],"loops":7,"n":2,"stop":"bc","seed":1}`)
	if err != nil {
		t.Fatal(err)
	}
	texts := make([]string, s.Len())
	err = s.Collect(func(d generate.Delta) {
		if d.Finish != "" {
			texts[d.Index] = fmt.Sprintf("%s, %s at %v", d.Text, d.Finish, d.Reason)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(texts, "; "), strings.Repeat("a, stop at bc; ", 4); got+"; " != want {
		t.Errorf("%s; want %s", got, want)
	}
	for i, r := range g.asked {
		if r.Loops != 7 || r.ID != fmt.Sprintf("req/%d", i) || r.Seed != uint64(1+i%2) {
			t.Errorf("request %d: %s with %d loops, seed %d", i, r.ID, r.Loops, r.Seed)
		}
	}
	if u := s.Usage; u.PromptTokens != 3 || u.CompletionTokens != 12 || u.CompletionTokensDetails.Loops.Total != 84 {
		t.Errorf("usage %+v", u)
	}
	if s.Close(); host.inside != 0 {
		t.Error("the request is still counted in")
	}
}

// What was made counts, read or not; of a sequence that has not ended, the token under way, too.
func TestUnreadCounts(t *testing.T) {
	for text, want := range map[string]int64{"abc": 2 * (1 + 3) * 7, "abc…": 2 * (1 + 4 + 1) * 7} {
		for reads := range 4 {
			host := &gate{}
			s, err := begin(t, host, &runes{text: text}, `{"prompt":"x","loops":7,"n":2}`)
			if err != nil {
				t.Fatal(err)
			}
			for range reads {
				if _, err := s.Next(); err != nil {
					t.Fatal(err)
				}
			}
			if s.Close(); host.used != want {
				t.Errorf("%s, %d read: %d loop-steps, want %d", text, reads, host.used, want)
			}
		}
	}
}

// A request that the model does not take is out again, also when taking it panics.
func TestRefusedRequestIsOut(t *testing.T) {
	host := &gate{}
	if _, err := begin(t, host, &runes{refuse: func(*loopctl.Request) error { return loopctl.ErrQueueFull }}, `{"prompt":"x"}`); !errors.Is(err, loopctl.ErrQueueFull) {
		t.Errorf("error %v", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is gone")
			}
		}()
		_, _ = begin(t, host, &runes{refuse: func(*loopctl.Request) error { panic("engine") }}, `{"prompt":"x"}`)
	}()
	if host.inside != 0 {
		t.Errorf("%d requests are still counted in", host.inside)
	}
}

// What somebody asked for by name is refused where the KV memory cannot hold it; a default is halved until it fits.
func TestDefaultFitsTheMemory(t *testing.T) {
	g := &runes{text: "a", refuse: func(r *loopctl.Request) error {
		if r.MaxTokens > 100 {
			return loopctl.ErrPagesExhausted
		}
		return nil
	}}
	if _, err := begin(t, &gate{}, g, `{"prompt":"x","max_tokens":400}`); !errors.Is(err, loopctl.ErrPagesExhausted) {
		t.Errorf("error %v", err)
	}
	m := &generate.Model{Name: "adder", Generator: g, Tokenizer: g, Context: 4096, Vocab: 1 << 16, Loops: loopctl.LoopRange{Min: 1, Default: 4, Max: 12}}
	p, _, err := generate.ReadPlan(api.Body{"messages": []byte(`[{}]`)}, api.Chat, generate.Target{Model: m}, generate.Call{}, api.Limits{}.WithDefaults())
	if err != nil {
		t.Fatal(err)
	}
	prompt, err := p.ChatPrompt([]int32{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	s, err := generate.Start(t.Context(), &gate{}, generate.Call{}, p, []generate.Prompt{prompt})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if last := g.asked[len(g.asked)-1].MaxTokens; last != 63 { // 4094, 2047, …, 63
		t.Errorf("%d tokens", last)
	}
}
