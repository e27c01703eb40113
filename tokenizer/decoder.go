package tokenizer

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// Decoder turns a stream of ids into pieces of text. Pieces are never taken
// back, each is valid UTF-8, and all of them with Flush's are what Decode of
// the whole list gives; but that a character which was whole stays, where
// bytes that come behind it make Decode call the whole run of them bad. A
// Decoder has one user at a time.
type Decoder interface {
	// Prime tells a new Decoder what stands before its text. What Push and
	// Flush return is then what they add to the text of context: a first word
	// keeps its space, and half a character at context's end is completed.
	Prime(context []int32)
	// Push takes the next id and returns the text that is now certain, often
	// one token's, sometimes none: half a character waits for its rest.
	Push(id int32) string
	// Flush ends the text and returns what was held back. The Decoder is then
	// as new.
	Flush() string
}

// streamDecoder passes each token through the decoders of the file. Behind a
// Fuse or a ByteLevel there is one token only, which comes in parts.
type streamDecoder struct {
	t     *native
	skip  bool
	waits bool   // runs of byte tokens wait for their end, as Decode has them
	token []byte // the token under way
	out   []byte
	state []opState
}

// opState is what a decoder remembers between two tokens.
type opState struct {
	index int    // tokens seen; in a fused one: characters cut at its start
	bytes []byte // held back
	buf   []byte // what it made of the last token
	began bool   // Strip in a fused token: its start is behind us
	bad   bool   // the run of byte tokens under way is no text
}

func newStreamDecoder(t *native, skip bool) *streamDecoder {
	return &streamDecoder{t: t, skip: skip, state: make([]opState, len(t.decode))}
}

// primed is how many tokens at each end of a long context count: the first
// ones say whether a text has begun, the last ones what is under way.
const primed = 128

func (d *streamDecoder) Prime(context []int32) {
	if len(context) > 2*primed {
		context = slices.Concat(context[:primed], context[len(context)-primed:])
	}
	for _, id := range context {
		d.push(id)
	}
	d.out = d.out[:0]
	for k := range d.state {
		if k > d.t.fused && d.t.decode[k].kind != opStrip && len(d.state[k].bytes) > 0 {
			*d = *newStreamDecoder(d.t, d.skip) // a decoder that tells nothing before the end
			return
		}
	}
}

func (d *streamDecoder) Push(id int32) string {
	d.push(id)
	return d.take()
}

// take is the text that has become certain since it was last taken.
func (d *streamDecoder) take() string {
	text := string(d.out)
	d.out = d.out[:0]
	return text
}

// push takes an id; ids outside the vocabulary say nothing.
func (d *streamDecoder) push(id int32) {
	token, ok := d.t.decodeToken(id)
	if !ok || d.skip && d.t.added.special[token] {
		return
	}
	d.token = append(d.token[:0], token...)
	d.feed(0, d.token)
}

// feed gives a token, or a part of the fused one, to decoder k.
func (d *streamDecoder) feed(k int, token []byte) {
	if k == len(d.state) {
		d.out = append(d.out, token...)
		return
	}
	op, s := &d.t.decode[k], &d.state[k]
	switch {
	case op.kind == opFuse:
		d.feed(k+1, token)
	case k <= d.t.fused:
		d.whole(k, token)
	case op.kind == opStrip:
		d.stripPart(k, token)
	case op.kind == opMetaspace: // a part never ends inside a character
		s.buf = op.apply(s.buf[:0], token, 0)
		d.feed(k+1, s.buf)
	default: // no part of it is certain before the whole is known
		s.bytes = append(s.bytes, token...)
	}
}

// whole gives a token that is all there to decoder k.
func (d *streamDecoder) whole(k int, token []byte) {
	op, s := &d.t.decode[k], &d.state[k]
	switch op.kind {
	case opByteFallback:
		if b, ok := byteToken(token); ok {
			s.bytes = append(s.bytes, b)
			d.character(k)
			return
		}
		d.end(k)
		d.feed(k+1, token)
	case opByteLevel:
		var ok bool
		if s.bytes, ok = appendBytes(s.bytes, string(token)); !ok {
			s.bytes = append(s.bytes, token...)
		}
		d.lossy(k, false)
	case opSpaces:
		if s.index > 0 {
			d.out = append(d.out, ' ')
		}
		s.index++
		d.feed(k+1, token)
	default:
		s.buf = op.apply(s.buf[:0], token, s.index)
		s.index++
		d.feed(k+1, s.buf)
	}
}

// character passes on what a run of byte tokens has made certain: a whole
// character, or one U+FFFD for each byte from the first that cannot be one.
func (d *streamDecoder) character(k int) {
	s := &d.state[k]
	if d.waits || !s.bad && !utf8.FullRune(s.bytes) {
		return
	}
	s.bad = s.bad || !utf8.Valid(s.bytes)
	d.run(k)
}

// run passes on the bytes of a run: as characters if all are valid, else as
// one U+FFFD for each.
func (d *streamDecoder) run(k int) {
	s := &d.state[k]
	if !s.bad && utf8.Valid(s.bytes) {
		d.feed(k+1, s.bytes)
	} else {
		for range s.bytes {
			d.feed(k+1, []byte(replacement))
		}
	}
	s.bytes = s.bytes[:0]
}

// end passes on the bytes that decoder k holds back for what may follow.
func (d *streamDecoder) end(k int) {
	s := &d.state[k]
	switch kind := d.t.decode[k].kind; {
	case kind == opByteLevel:
		d.lossy(k, true)
	case kind == opByteFallback && len(s.bytes) > 0:
		d.run(k)
	}
	s.bytes, s.bad = s.bytes[:0], false
}

// lossy passes on what is certain of the bytes of decoder k.
func (d *streamDecoder) lossy(k int, final bool) {
	s := &d.state[k]
	out, rest := appendLossy(s.buf[:0], s.bytes, final)
	s.buf = out
	s.bytes = s.bytes[:copy(s.bytes, s.bytes[len(s.bytes)-rest:])]
	if len(out) > 0 {
		d.feed(k+1, out)
	}
}

// stripPart cuts at the start, and holds back the end as long as it could be
// what is cut there.
func (d *streamDecoder) stripPart(k int, part []byte) {
	op, s := &d.t.decode[k], &d.state[k]
	for !s.began && len(part) > 0 {
		if s.index < op.start && bytes.HasPrefix(part, []byte(op.content)) {
			part = part[len(op.content):]
			s.index++
			continue
		}
		s.began = true
	}
	s.bytes = append(s.bytes, part...)
	sure := len(stripToken(s.bytes, &decodeOp{content: op.content, stop: op.stop}))
	d.feed(k+1, s.bytes[:sure])
	s.bytes = s.bytes[:copy(s.bytes, s.bytes[sure:])]
}

func (d *streamDecoder) Flush() string {
	for k := range d.state {
		s := &d.state[k]
		if k > d.t.fused && d.t.decode[k].kind != opStrip && len(s.bytes) > 0 { // the fused token; what a Strip holds is cut
			token := s.bytes
			s.bytes = nil
			d.whole(k, token)
		}
		d.end(k)
		s.index, s.began = 0, false
	}
	return d.take()
}
