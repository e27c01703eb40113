package generate

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
)

// mostLogprobEntries bounds what one answer may hold of probabilities: each entry is some 40 bytes.
const mostLogprobEntries = 1 << 20

// LogprobOptions say what a request wants to know about its tokens' probabilities.
type LogprobOptions struct {
	On        bool // of generated tokens, and of echoed ones
	Top       int  // so many alternatives beside
	Prompt    bool // prompt_logprobs
	PromptTop int
	AsIDs     bool // return_tokens_as_token_ids
}

// readLogprobs reads a completion's logprobs, which say how many alternatives to show, or a chat's, which say whether.
func (p *Plan) readLogprobs(v *api.Values, route api.Route) {
	w := &p.Logprobs
	w.AsIDs = v.Bool("return_tokens_as_token_ids")
	if route == api.Chat {
		w.On, w.Top = v.Bool("logprobs"), v.Int("top_logprobs")
		return
	}
	w.On, w.Top = v.Has("logprobs"), v.Int("logprobs")
	w.Prompt, w.PromptTop = v.Has("prompt_logprobs"), v.Int("prompt_logprobs")
}

// checkLogprobs bounds what an answer may hold of probabilities.
func (p *Plan) checkLogprobs(prompts []Prompt) error {
	w := p.Logprobs
	entries := 0
	for _, prompt := range prompts {
		each := 0
		if w.On {
			each += p.tokensWithin(prompt.MaxTokens) * (w.Top + 1)
		}
		if w.On && p.Echo {
			each += len(prompt.IDs) * (w.Top + 1)
		}
		if w.Prompt {
			each += len(prompt.IDs) * (w.PromptTop + 1)
		}
		entries += each * p.perPrompt()
	}
	if entries <= mostLogprobEntries {
		return nil
	}
	field := "logprobs"
	if !w.On {
		field = "prompt_logprobs"
	}
	return api.Bad(field, "request_too_large", "the answer would hold up to %d log-probabilities: at most %d per request: lower %s, max_tokens or n, or send fewer prompts",
		entries, mostLogprobEntries, field)
}

// scored is one token with its probability.
type scored struct {
	id      int32
	logprob float32 // NaN: nothing came before the token
	rank    int     // 1 is the most likely; of prompt tokens only
	chars   int     // characters that it adds to the choice's text; of an echo and of what comes behind
	top     []loopctl.TokenLogprob
}

// place finds what each token of an echoed prompt adds to text, which is the prompt's as it was sent: what of it no token
// says is the last one's.
func (p *Plan) place(prompt []scored, text string) {
	if len(prompt) == 0 { // nobody asked
		return
	}
	v := p.newVoice()
	left := utf8.RuneCountInString(text)
	for i := range prompt {
		at := v.end()
		v.piece(prompt[i].id)
		prompt[i].chars = min(v.end()-at, left)
		left -= prompt[i].chars
	}
	prompt[len(prompt)-1].chars += left
}

// wireLogprob is a log-probability as JSON can write it.
func wireLogprob(v float32) float32 {
	if f := float64(v); math.IsInf(f, -1) || math.IsNaN(f) {
		return -9999
	}
	return v
}

type tokenName struct {
	text  string
	bytes []byte
}

// tokenNames spells single tokens, each once. It belongs to one handler.
type tokenNames func(id int32) tokenName

// names are as the request wants tokens to be spelled.
func (p *Plan) names() tokenNames {
	known := map[int32]tokenName{}
	return func(id int32) tokenName {
		if _, ok := known[id]; !ok {
			known[id] = p.name(id)
		}
		return known[id]
	}
}

func (p *Plan) name(id int32) tokenName {
	t := tokenName{bytes: p.Model.Tokenizer.TokenBytes(id)}
	switch {
	case p.Logprobs.AsIDs:
		t.text = fmt.Sprintf("token_id:%d", id)
	case utf8.Valid(t.bytes):
		t.text = string(t.bytes)
	default: // part of a character: OpenAI's spelling
		t.text = "bytes:"
		for _, c := range t.bytes {
			t.text += fmt.Sprintf(`\x%02x`, c)
		}
	}
	return t
}

// Logprobs are the logprobs of POST /v1/completions. Where there was nothing to predict a token from, at the
// start of an echo, its entries are null.
type Logprobs struct {
	TextOffset    []int                `json:"text_offset"` // in characters of the choice's text
	TokenLogprobs []*float32           `json:"token_logprobs"`
	Tokens        []string             `json:"tokens"`
	TopLogprobs   []map[string]float32 `json:"top_logprobs"`
}

// add appends tokens; offset is where they begin, and where the next ones will is returned. Tokens that are spelled
// alike share an entry of top_logprobs: the likelier one's, so that the most likely token is always there.
func (l *Logprobs) add(tokens []scored, top, offset int, names tokenNames) int {
	for _, t := range tokens {
		name := names(t.id)
		l.Tokens = append(l.Tokens, name.text)
		l.TextOffset = append(l.TextOffset, offset)
		offset += t.chars
		if math.IsNaN(float64(t.logprob)) {
			l.TokenLogprobs, l.TopLogprobs = append(l.TokenLogprobs, nil), append(l.TopLogprobs, nil)
			continue
		}
		own := wireLogprob(t.logprob)
		alternatives := map[string]float32{name.text: own}
		for _, a := range t.top[:min(top, len(t.top))] {
			key, v := names(a.ID).text, wireLogprob(a.Logprob)
			if old, ok := alternatives[key]; !ok || v > old {
				alternatives[key] = v
			}
		}
		l.TokenLogprobs, l.TopLogprobs = append(l.TokenLogprobs, &own), append(l.TopLogprobs, alternatives)
	}
	return offset
}

// ChatLogprobs are the logprobs of a chat's choice.
type ChatLogprobs struct {
	Content []chatToken `json:"content"`
	Refusal []chatToken `json:"refusal"` // always null
}

type chatToken struct {
	chatAlternative

	TopLogprobs []chatAlternative `json:"top_logprobs"`
}

type chatAlternative struct {
	Token   string  `json:"token"`
	Logprob float32 `json:"logprob"`
	Bytes   []int   `json:"bytes"`
}

// add appends tokens, each with its alternatives.
func (l *ChatLogprobs) add(tokens []scored, top int, names tokenNames) {
	spell := func(id int32, logprob float32) chatAlternative {
		name := names(id)
		out := chatAlternative{Token: strings.TrimPrefix(name.text, "bytes:"), Logprob: wireLogprob(logprob), Bytes: make([]int, len(name.bytes))}
		if utf8.Valid(name.bytes) {
			out.Token = name.text
		}
		for i, b := range name.bytes {
			out.Bytes[i] = int(b)
		}
		return out
	}
	for _, t := range tokens {
		out := chatToken{chatAlternative: spell(t.id, t.logprob), TopLogprobs: []chatAlternative{}}
		for _, a := range t.top[:min(top, len(t.top))] {
			out.TopLogprobs = append(out.TopLogprobs, spell(a.ID, a.Logprob))
		}
		l.Content = append(l.Content, out)
	}
}

// ChatLogprobs adds a delta's tokens to the logprobs of a chat's choice, which are nil where nobody asked for them.
func (p *Plan) ChatLogprobs() func(*ChatLogprobs, *Delta) *ChatLogprobs {
	names := p.names()
	return func(l *ChatLogprobs, d *Delta) *ChatLogprobs {
		if !p.Logprobs.On || len(d.tokens) == 0 {
			return l
		}
		if l == nil {
			l = &ChatLogprobs{}
		}
		l.add(d.tokens, p.Logprobs.Top, names)
		return l
	}
}
