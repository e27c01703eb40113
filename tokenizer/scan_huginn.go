package tokenizer

import (
	"bytes"
	"unicode/utf8"

	"github.com/loopserve/loopserve/tokenizer/internal/ucd"
)

// huginnPattern is the split pattern of the recurrent-pretraining family.
const huginnPattern = `(\\n(?:e(?:wcommand|wenvironment|wline|wpage|wtheorem)|abla|e|eq|geq|gtr|leq|exists|ocite|oindent|` +
	`olinebreak|onumber|opagebreak|ormalsize|ot(?!(?:ag\b|\b)))\b|\n+|\\n(?!\b)|\p{N}{1,1}|(?:[ \t](?:==|!=|<=|>=|<<|>>|` +
	`\*\*|//|\+=|-=|\*=|/=|%=|&=|\|=|\^=|<<=|>>=|\*\*=|//=|:=|\+\+|--|[\p{L}]+[''ʼ](?:\p{L}+)\b|\\[a-zA-Z]+|\\{|\\}|{|}|` +
	`\\\[|\\\]|\[|\]|\(|\)|_+|\||\+|-|\*|—|-|=|\*\*|^|[.,!?;()]|\$\$?|` + "`" + `+|\"+|\#+|\p{N}+(?:st|nd|rd|th)|` +
	`<0x[0-9A-Fa-f]{1,2}>)|[^\r\n\p{L}\p{N}]?\p{L}+|[\p{P}\p{S}])|\s+|\p{So})`

// huginn scans huginnPattern. Marks, controls and format characters that no
// letter follows match nothing and stay between the matches. Three parts can
// never match: \not (its look-ahead contradicts its \b), the line start after
// a space, and \p{So} after [\p{P}\p{S}].
type huginn struct{}

// latexWords are the words of \n... that are kept whole where one ends.
var latexWords = []string{
	"newcommand", "newenvironment", "newline", "newpage", "newtheorem", "nabla", "ne", "neq", "ngeq", "ngtr", "nleq",
	"nexists", "nocite", "noindent", "nolinebreak", "nonumber", "nopagebreak", "normalsize",
}

// operators of two characters that a space takes along, in the order of the
// pattern: the longer ones (<<=, **=) stand behind their own beginnings.
var operators = [...]string{
	"==", "!=", "<=", ">=", "<<", ">>", "**", "//", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", ":=", "++", "--",
}

func (huginn) next(b []byte, from int) (int, int, error) {
	for i := from; i < len(b); {
		if end := huginnAt(b, i); end > i {
			return i, end, nil
		}
		i += runeLen(b[i:])
	}
	return -1, -1, nil
}

// huginnAt is the end of the match at i, 0 for none.
func huginnAt(b []byte, i int) int {
	c := b[i]
	switch c {
	case '\\':
		if end := latex(b, i+1); end > 0 {
			return end
		}
	case '\n':
		return i + len(b[i:]) - len(bytes.TrimLeft(b[i:], "\n"))
	case ' ', '\t':
		if i+1 < len(b) {
			if end := operator(b, i+1); end > 0 {
				return end
			}
		}
	}
	r, n := decodeRune(b[i:])
	class := classify(r)
	switch class {
	case classNumber:
		return i + n
	case classLetter:
		return skip(b, i+n, classLetter)
	}
	if at := i + n; at < len(b) && c != '\r' {
		if next, m := classAt(b[at:]); next == classLetter {
			return skip(b, at+m, classLetter)
		}
	}
	switch {
	case class == classSpace:
		return skip(b, i+n, classSpace)
	case ucd.In(r, ucd.P|ucd.S):
		return i + n
	}
	return 0
}

// latex is the end of \nabla and its like, or of a bare \n inside a word; i is
// behind the backslash.
func latex(b []byte, i int) int {
	for _, w := range latexWords {
		if end := i + len(w); bytes.HasPrefix(b[i:], []byte(w)) && !wordAt(b, end) {
			return end
		}
	}
	if i < len(b) && b[i] == 'n' && wordAt(b, i+1) {
		return i + 1
	}
	return 0
}

// wordAt tells whether a word character stands at i; behind another one that
// is what \b denies.
func wordAt(b []byte, i int) bool {
	if i >= len(b) {
		return false
	}
	r, _ := decodeRune(b[i:])
	return ucd.IsOnigWord(r)
}

// operator is the end of what a space or tab takes along, 0 for nothing.
func operator(b []byte, i int) int {
	for _, op := range operators {
		if b[i] == op[0] && i+1 < len(b) && b[i+1] == op[1] {
			return i + 2
		}
	}
	run := func(c byte, most int) int {
		end := i
		for end < len(b) && b[end] == c && (most == 0 || end < i+most) {
			end++
		}
		return end
	}
	switch c := b[i]; c {
	case '\\':
		return escape(b, i)
	case '_', '`', '"', '#':
		return run(c, 0)
	case '$':
		return run(c, 2)
	case '{', '}', '[', ']', '(', ')', '|', '+', '-', '*', '=', '.', ',', '!', '?', ';':
		return i + 1
	case '<':
		return hexToken(b, i)
	}
	switch class, _ := classAt(b[i:]); class {
	case classLetter:
		return apostrophe(b, i)
	case classNumber:
		end := skip(b, i, classNumber)
		for _, ordinal := range [...]string{"st", "nd", "rd", "th"} {
			if bytes.HasPrefix(b[end:], []byte(ordinal)) {
				return end + 2
			}
		}
	case classOther:
		if bytes.HasPrefix(b[i:], []byte("—")) {
			return i + len("—")
		}
	}
	return 0
}

// escape is the end of \[a-zA-Z]+ or of an escaped bracket at i.
func escape(b []byte, i int) int {
	end := i + 1
	for end < len(b) && ('a' <= b[end] && b[end] <= 'z' || 'A' <= b[end] && b[end] <= 'Z') {
		end++
	}
	if end > i+1 {
		return end
	}
	if end < len(b) && bytes.IndexByte([]byte("{}[]"), b[end]) >= 0 {
		return end + 1
	}
	return 0
}

// hexToken is the end of <0xH> or <0xHH> at i.
func hexToken(b []byte, i int) int {
	if !bytes.HasPrefix(b[i:], []byte("<0x")) {
		return 0
	}
	end := i + 3
	for end < len(b) && end < i+5 && isHex(b[end]) {
		end++
	}
	if end > i+3 && end < len(b) && b[end] == '>' {
		return end + 1
	}
	return 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// apostrophe is the end of \p{L}+['ʼ]\p{L}+\b at i. ʼ (U+02BC) is a letter
// itself, so the first part may have to give letters back.
func apostrophe(b []byte, i int) int {
	end := skip(b, i, classLetter)
	if end < len(b) && b[end] == '\'' {
		if second := skip(b, end+1, classLetter); second > end+1 && !wordAt(b, second) {
			return second
		}
	}
	_, n := utf8.DecodeRune(b[i:])
	if at := bytes.LastIndex(b[i+n:end], []byte("ʼ")); at >= 0 && !wordAt(b, end) {
		inner := b[i+n : end]
		if at+len("ʼ") < len(inner) || bytes.Contains(inner[:at], []byte("ʼ")) {
			return end
		}
	}
	return 0
}
