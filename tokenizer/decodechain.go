package tokenizer

import (
	"encoding/json"
	"fmt"
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

func parseDecoder(raw json.RawMessage) ([]decodeOp, error) {
	if absent(raw) {
		return []decodeOp{{kind: opSpaces}}, nil
	}
	return appendDecoder(nil, raw, 0)
}

func appendDecoder(ops []decodeOp, raw json.RawMessage, depth int) ([]decodeOp, error) {
	kind, err := typeOf(raw)
	if err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("decoder: nested deeper than %d", maxDepth)
	}
	var v struct {
		Decoders    []json.RawMessage `json:"decoders"`
		Pattern     pattern           `json:"pattern"`
		Content     string            `json:"content"`
		Start       int               `json:"start"`
		Stop        int               `json:"stop"`
		Replacement string            `json:"replacement"`
		Scheme      string            `json:"prepend_scheme"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("decoder %s: %w", kind, err)
	}
	switch kind {
	case "Sequence":
		for _, sub := range v.Decoders {
			if ops, err = appendDecoder(ops, sub, depth+1); err != nil {
				return nil, err
			}
		}
		return ops, nil
	case "ByteLevel":
		return append(ops, decodeOp{kind: opByteLevel}), nil
	case "ByteFallback":
		return append(ops, decodeOp{kind: opByteFallback}), nil
	case "Fuse":
		return append(ops, decodeOp{kind: opFuse}), nil
	case "Replace":
		m, err := parsePattern("decoder Replace", v.Pattern)
		if err != nil {
			return nil, err
		}
		return append(ops, decodeOp{kind: opReplace, pattern: m, content: v.Content}), nil
	case "Strip":
		if utf8.RuneCountInString(v.Content) != 1 || v.Start < 0 || v.Stop < 0 {
			return nil, fmt.Errorf("decoder Strip: content %q must be one character, start %d and stop %d not negative",
				v.Content, v.Start, v.Stop)
		}
		return append(ops, decodeOp{kind: opStrip, content: v.Content, start: v.Start, stop: v.Stop}), nil
	case "Metaspace":
		if utf8.RuneCountInString(v.Replacement) != 1 {
			return nil, fmt.Errorf("decoder Metaspace: replacement %q is not one character", v.Replacement)
		}
		return append(ops, decodeOp{kind: opMetaspace, content: v.Replacement, never: v.Scheme == "never"}), nil
	}
	return nil, unsupported("decoder %q", kind)
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
	for i := 0; i < op.start && hasPrefix(token, []byte(op.content)); i++ {
		token = token[len(op.content):]
	}
	for i := 0; i < op.stop && len(token) >= len(op.content) &&
		string(token[len(token)-len(op.content):]) == op.content; i++ {
		token = token[:len(token)-len(op.content)]
	}
	return token
}

// byteToken is the byte that a token like <0x0A> stands for.
func byteToken(token []byte) (byte, bool) {
	if len(token) != 6 || token[0] != '<' || token[1] != '0' || token[2] != 'x' || token[5] != '>' {
		return 0, false
	}
	hi, lo := hexDigit(token[3]), hexDigit(token[4])
	if token[3] == '+' { // Rust's from_str_radix takes a sign
		hi = 0
	}
	if hi < 0 || lo < 0 {
		return 0, false
	}
	return byte(hi<<4 | lo), true
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

const replacement = "\uFFFD"

// appendLossy appends b as valid UTF-8 by Rust's rule: one U+FFFD for each
// maximal part of a bad sequence. A last sequence that more bytes could still
// complete is left: rest is its length. final takes it for bad instead.
func appendLossy(dst, b []byte, final bool) (out []byte, rest int) {
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			dst = append(dst, b[i])
			i++
			continue
		}
		n, ok := sequence(b[i:])
		switch {
		case ok:
			dst = append(dst, b[i:i+n]...)
		case i+n == len(b) && !final && incomplete(b[i:]):
			return dst, n
		default:
			dst = append(dst, replacement...)
		}
		i += n
	}
	return dst, 0
}

// sequence is the length of the character at the start of b, or, where it is
// none, of the longest part of it that a character could begin with (at least
// one byte): table 3-7 of The Unicode Standard.
func sequence(b []byte) (n int, ok bool) {
	lo, hi, size := byte(0x80), byte(0xBF), 0
	switch c := b[0]; {
	case 0xC2 <= c && c <= 0xDF:
		size = 2
	case 0xE0 <= c && c <= 0xEF:
		size = 3
		switch c {
		case 0xE0:
			lo = 0xA0
		case 0xED:
			hi = 0x9F
		}
	case 0xF0 <= c && c <= 0xF4:
		size = 4
		switch c {
		case 0xF0:
			lo = 0x90
		case 0xF4:
			hi = 0x8F
		}
	default:
		return 1, false
	}
	for n = 1; n < size; n++ {
		if n >= len(b) || b[n] < lo || b[n] > hi {
			return n, false
		}
		lo, hi = 0x80, 0xBF
	}
	return size, true
}

// incomplete tells whether b, which sequence found to be all of a beginning,
// could go on: a byte that no character starts with could not.
func incomplete(b []byte) bool { return 0xC2 <= b[0] && b[0] <= 0xF4 }
