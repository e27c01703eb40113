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
	out   []byte
	err   error
	state []opState
}

// opState is what a decoder remembers between two tokens.
type opState struct {
	index int    // tokens seen; in a fused one: characters cut at its start
	bytes []byte // held back
	buf   []byte // the token under way
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
	if len(d.state) == 0 {
		d.out = append(d.out, token...)
		return
	}
	s := &d.state[0]
	s.buf = append(s.buf[:0], token...)
	d.feed(0, s.buf)
}

// feed gives a token, or a part of the fused one, to decoder k.
func (d *streamDecoder) feed(k int, token []byte) {
	if k == len(d.state) {
		d.out = append(d.out, token...)
		return
	}
	op, s := &d.t.decode[k], &d.state[k]
	if k > d.t.fused {
		d.feedPart(k, token)
		return
	}
	switch op.kind {
	case opByteFallback:
		if b, ok := byteToken(token); ok {
			s.bytes = append(s.bytes, b)
			return
		}
		d.endBytes(k)
		d.feed(k+1, token)
	case opFuse:
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
		out := op.apply(d.bufferBehind(k), token, s.index)
		s.index++
		d.keepBehind(k, out)
		d.feed(k+1, out)
	}
}

// A decoder writes into the buffer of the one behind it; the last one's lies
// in its own held bytes, which it has no other use for.
func (d *streamDecoder) bufferBehind(k int) []byte {
	if k+1 < len(d.state) {
		return d.state[k+1].buf[:0]
	}
	return d.state[k].bytes[:0]
}

func (d *streamDecoder) keepBehind(k int, out []byte) {
	if k+1 < len(d.state) {
		d.state[k+1].buf = out
		return
	}
	d.state[k].bytes = out
}

// endBytes ends a run of byte tokens: characters if all of it is valid, else
// one U+FFFD for each byte. That is why a run waits for its end.
func (d *streamDecoder) endBytes(k int) {
	s := &d.state[k]
	if len(s.bytes) == 0 {
		return
	}
	run := s.bytes
	s.bytes = nil // what follows may come back here only with a new run
	if utf8.Valid(run) {
		d.feed(k+1, run)
	} else {
		for range run {
			d.feed(k+1, []byte(replacement))
		}
	}
	s.bytes = run[:0]
}

// lossy passes on what is certain of the bytes of decoder k.
func (d *streamDecoder) lossy(k int, final bool) {
	s := &d.state[k]
	// The token's own buffer is free now that its bytes are taken.
	out, rest := appendLossy(s.buf[:0], s.bytes, final)
	s.buf = out
	s.bytes = s.bytes[:copy(s.bytes, s.bytes[len(s.bytes)-rest:])]
	if len(out) > 0 {
		d.feed(k+1, out)
	}
}

// feedPart gives decoder k a part of the one fused token.
func (d *streamDecoder) feedPart(k int, part []byte) {
	op, s := &d.t.decode[k], &d.state[k]
	switch op.kind {
	case opFuse:
		d.feed(k+1, part)
	case opStrip:
		d.stripPart(k, part)
	case opMetaspace:
		d.metaspacePart(k, part)
	default:
		// No part of it is certain before the whole is known.
		s.bytes = append(s.bytes, part...)
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
	if len(part) == 0 {
		return
	}
	if op.stop == 0 {
		d.feed(k+1, part)
		return
	}
	s.bytes = append(s.bytes, part...)
	sure := len(stripToken(s.bytes, &decodeOp{content: op.content, stop: op.stop}))
	if sure > 0 {
		d.feed(k+1, s.bytes[:sure])
		s.bytes = s.bytes[:copy(s.bytes, s.bytes[sure:])]
	}
}

// metaspacePart is Metaspace on the first and only token. A part never ends
// inside a character.
func (d *streamDecoder) metaspacePart(k int, part []byte) {
	out := d.t.decode[k].apply(d.state[k].bytes[:0], part, 0)
	d.state[k].bytes = out
	if len(out) > 0 {
		d.feed(k+1, out)
	}
}

func (d *streamDecoder) flush() {
	for k := range d.state {
		op, s := &d.t.decode[k], &d.state[k]
		switch {
		case op.kind == opByteFallback && k <= d.t.fused:
			d.endBytes(k)
		case op.kind == opByteLevel && k <= d.t.fused:
			d.lossy(k, true)
		case k > d.t.fused && op.kind != opStrip && op.kind != opMetaspace && op.kind != opFuse:
			d.whole(k)
		}
		s.index, s.bytes, s.began = 0, s.bytes[:0], false
	}
}

// whole runs decoder k on the fused token once all of it is there.
func (d *streamDecoder) whole(k int) {
	op, s := &d.t.decode[k], &d.state[k]
	if len(s.bytes) == 0 {
		return
	}
	token := s.bytes
	switch op.kind {
	case opByteFallback:
		if b, ok := byteToken(token); ok {
			token, _ = appendLossy(nil, []byte{b}, true)
		}
	case opByteLevel:
		raw, ok := appendBytes(nil, string(token))
		if !ok {
			raw = token
		}
		token, _ = appendLossy(nil, raw, true)
	case opReplace:
		token = op.apply(nil, token, 0)
	}
	d.feed(k+1, token)
}
