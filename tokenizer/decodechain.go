package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decodeOp is one decoder of tokenizer.json. Hugging Face runs each over the
// list of all tokens; here a token passes all of them before the next comes,
// so that a stream gives the same text.
type decodeOp struct {
	kind        decodeKind
	pattern     matcher // opReplace
	content     string  // opReplace; opMetaspace, opStrip: the character
	never       bool    // opMetaspace: the first token keeps its space
	start, stop int     // opStrip: at most how many characters to cut
}

type decodeKind int

const (
	opReplace decodeKind = iota
	opByteFallback
	opFuse
	opStrip
	opMetaspace
	opByteLevel
	opSpaces // no decoder at all: tokens are joined by spaces
)

func parseDecoder(raw json.RawMessage) (ops []decodeOp, err error) {
	if absent(raw) {
		return []decodeOp{{kind: opSpaces}}, nil
	}
	var g growth
	err = eachComponent("decoder", "decoders", raw, func(kind string, v decoderSettings) error {
		times := 1
		if kind == "Replace" {
			times = v.Pattern.times(v.Content)
		}
		if err := g.add("decoder", times); err != nil {
			return err
		}
		op, err := v.op(kind)
		ops = append(ops, op)
		return err
	})
	return ops, err
}

// decoderSettings are those of all kinds of decoders.
type decoderSettings struct {
	Pattern     pattern `json:"pattern"`
	Content     string  `json:"content"`
	Start       int     `json:"start"`
	Stop        int     `json:"stop"`
	Replacement string  `json:"replacement"`
	Scheme      string  `json:"prepend_scheme"`
}

func (v decoderSettings) op(kind string) (decodeOp, error) {
	switch kind {
	case "ByteLevel":
		return decodeOp{kind: opByteLevel}, nil
	case "ByteFallback":
		return decodeOp{kind: opByteFallback}, nil
	case "Fuse":
		return decodeOp{kind: opFuse}, nil
	case "Replace":
		m, err := parsePattern("decoder Replace", v.Pattern)
		return decodeOp{kind: opReplace, pattern: m, content: v.Content}, err
	case "Strip":
		if utf8.RuneCountInString(v.Content) != 1 || v.Start < 0 || v.Stop < 0 {
			return decodeOp{}, fmt.Errorf("decoder Strip: content %q must be one character, start %d and stop %d not negative",
				v.Content, v.Start, v.Stop)
		}
		return decodeOp{kind: opStrip, content: v.Content, start: v.Start, stop: v.Stop}, nil
	case "Metaspace":
		if utf8.RuneCountInString(v.Replacement) != 1 {
			return decodeOp{}, fmt.Errorf("decoder Metaspace: replacement %q is not one character", v.Replacement)
		}
		return decodeOp{kind: opMetaspace, content: v.Replacement, never: v.Scheme == "never"}, nil
	}
	return decodeOp{}, unsupported("decoder %q", kind)
}

// apply appends what op makes of the whole token; index is its place in the
// list.
func (op *decodeOp) apply(dst, token []byte, index int) []byte {
	switch op.kind {
	case opReplace:
		found, err := op.pattern.find(nil, token)
		if err != nil { // an expression that ran out of time: the token as it is
			return append(dst, token...)
		}
		return replaceAll(dst, token, found, op.content)
	case opStrip:
		return append(dst, stripToken(token, op)...)
	case opMetaspace:
		for len(token) > 0 {
			n := runeLen(token)
			switch {
			case string(token[:n]) != op.content:
				dst = append(dst, token[:n]...)
			case index > 0 || op.never:
				dst = append(dst, ' ')
			}
			token = token[n:]
		}
		return dst
	}
	return append(dst, token...)
}

// stripToken cuts up to start of the character before and up to stop behind.
func stripToken(token []byte, op *decodeOp) []byte {
	content := []byte(op.content)
	for i := 0; i < op.start && bytes.HasPrefix(token, content); i++ {
		token = token[len(content):]
	}
	for i := 0; i < op.stop && bytes.HasSuffix(token, content); i++ {
		token = token[:len(token)-len(content)]
	}
	return token
}

// byteToken is the byte that a token like <0x0A> stands for.
func byteToken(token []byte) (byte, bool) {
	if len(token) != 6 || string(token[:3]) != "<0x" || token[5] != '>' {
		return 0, false
	}
	// Rust's from_str_radix takes a sign.
	b, err := strconv.ParseUint(strings.TrimPrefix(string(token[3:5]), "+"), 16, 8)
	return byte(b), err == nil
}

const replacement = "\uFFFD"

// appendLossy appends b as valid UTF-8 by Rust's rule: one U+FFFD for each
// maximal part of a bad sequence. A last sequence that more bytes could still
// complete is left: rest is its length. final takes it for bad instead.
func appendLossy(dst, b []byte, final bool) (out []byte, rest int) {
	for len(b) > 0 {
		_, n := decodeRune(b)
		switch {
		case b[0] < utf8.RuneSelf || n > 1:
			dst = append(dst, b[:n]...)
		case !final && !utf8.FullRune(b):
			return dst, len(b)
		default: // as far as a character could have begun so
			for n < len(b) && !utf8.FullRune(b[:n+1]) {
				n++
			}
			dst = append(dst, replacement...)
		}
		b = b[n:]
	}
	return dst, 0
}
