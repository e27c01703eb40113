package generate

import (
	"slices"
	"unicode/utf8"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/tokenizer"
)

// voice says a sequence's tokens as text: what they add to the prompt's, up to a stop string. Each sequence has one that is
// shown, and one on the engine's goroutine where stop strings must end it.
type voice struct {
	decoder   tokenizer.Decoder
	stops     *StopMatcher
	stopIDs   []int32
	marks     map[int32]string // special tokens that must be seen and that the decoder leaves out
	bytes     func(id int32) []byte
	include   bool // stop strings and stop ids are part of the text
	minTokens int  // before which no stop string ends it

	said  int  // tokens
	chars int  // characters of all pieces, and
	begun bool // the bytes of one more are under way
}

// voice speaks behind a prompt.
func (p *Plan) voice(prompt []int32) *voice {
	v := p.newVoice()
	v.decoder.Prime(prompt)
	if p.form != nil {
		v.inside(p, prompt)
	}
	return v
}

func (p *Plan) newVoice() *voice {
	v := &voice{
		decoder: p.Model.Tokenizer.NewDecoder(p.SkipSpecial), stops: NewStopMatcher(p.Stop), stopIDs: p.stopIDs(),
		bytes: p.Model.Tokenizer.TokenBytes, include: p.IncludeStop, minTokens: p.Sampling.MinTokens,
	}
	if p.SkipSpecial {
		v.marks = p.Marks
	}
	return v
}

// inside makes the first word of a form keep its space behind a prompt that has no text, too: the text is held to a form
// byte by byte.
func (v *voice) inside(p *Plan, prompt []int32) {
	if text, err := p.Model.Tokenizer.Decode(prompt, p.SkipSpecial); err != nil || text != "" {
		return
	}
	if letter, err := p.Model.Tokenizer.Encode("a", false); err == nil {
		v.decoder.Prime(letter)
	}
}

// say takes the next token, with what the engine says of the sequence's end. hit is the stop string that the text has
// come to; nothing is to be said after it.
func (v *voice) say(id int32, finish loopctl.FinishReason) (text, hit string) {
	piece := ""
	if v.include || finish != loopctl.FinishStop || !slices.Contains(v.stopIDs, id) {
		piece = v.piece(id)
	}
	if finish != loopctl.FinishNone {
		piece += v.decoder.Flush()
	}
	if v.said++; v.said <= v.minTokens {
		text = v.stops.Pass(piece)
	} else {
		text, hit = v.stops.Push(piece)
	}
	switch {
	case hit != "" && v.include:
		text += hit
	case hit == "" && finish != loopctl.FinishNone:
		text += v.stops.Flush()
	}
	return text, hit
}

// piece is what a token adds to the text.
func (v *voice) piece(id int32) string {
	piece := v.decoder.Push(id) + v.marks[id]
	v.chars += utf8.RuneCountInString(piece)
	v.begun = beginsCharacter(v.bytes(id)) || v.begun && piece == ""
	return piece
}

// end is where the next token's text begins, in characters. One of which only some bytes are there counts.
func (v *voice) end() int {
	if v.begun {
		return v.chars + 1
	}
	return v.chars
}

// beginsCharacter says whether bytes end in the beginning of a character.
func beginsCharacter(bytes []byte) bool {
	for i := len(bytes) - 1; i >= max(0, len(bytes)-utf8.UTFMax); i-- {
		if utf8.RuneStart(bytes[i]) {
			return !utf8.FullRune(bytes[i:])
		}
	}
	return false
}
