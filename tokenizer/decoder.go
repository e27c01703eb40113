package tokenizer

import "unicode/utf8"

// Decoder turns a stream of ids into pieces of text. Pieces are never taken
// back, each is valid UTF-8, and all of them with Flush's are what Decode of
// the whole list gives. A Decoder has one user at a time.
type Decoder interface {
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
}

func newStreamDecoder(t *native, skip bool) *streamDecoder {
	return &streamDecoder{t: t, skip: skip, state: make([]opState, len(t.decode))}
}

func (d *streamDecoder) Push(id int32) string {
	d.out = d.out[:0]
	d.push(id)
	return string(d.out)
}

func (d *streamDecoder) Flush() string {
	d.out = d.out[:0]
	d.flush()
	return string(d.out)
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

// end passes on the bytes that decoder k holds back for what may follow. A run
// of byte tokens is characters if all of it is valid, else one U+FFFD for each
// byte: that is why it waits for its end.
func (d *streamDecoder) end(k int) {
	s := &d.state[k]
	switch kind := d.t.decode[k].kind; {
	case kind == opByteLevel:
		d.lossy(k, true)
	case kind != opByteFallback || len(s.bytes) == 0:
	case utf8.Valid(s.bytes):
		d.feed(k+1, s.bytes)
	default:
		for range s.bytes {
			d.feed(k+1, []byte(replacement))
		}
	}
	s.bytes = s.bytes[:0]
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
		if s.index < op.start && hasPrefix(part, []byte(op.content)) {
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

func (d *streamDecoder) flush() {
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
}
