package tokenizer

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/loopserve/loopserve/tokenizer/internal/ucd"
)

// translator rewrites an expression from Oniguruma's Ruby syntax to regexp2's, token by token. Classes are written out as
// ranges, so that they are Unicode 16's whatever version the engine has. What the two engines may take differently is
// refused.
type translator struct {
	rest string // what is still to be read
	out  strings.Builder
	fold []bool // per open group: ignore case
}

// tokens are what the syntax is made of: the opening of a group, a quantifier, an interval, an escape, a character.
var tokens = regexp.MustCompile(`(?s)^(?:\(\?(?:[:=!>]|<[=!]|-?i:)|[*+?][?+]?|\{(?:[0-9]+,?[0-9]*|,[0-9]+)\}|` +
	`\\[pP]\{[^{}]*\}|\\x\{[0-9A-Fa-f]+\}|\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\.|.)`)

// next takes the next token, "" at the end.
func (t *translator) next() string {
	token := tokens.FindString(t.rest)
	t.rest = t.rest[len(token):]
	return token
}

func (t *translator) ignoresCase() bool { return t.fold[len(t.fold)-1] }

// role is what a token is to a quantifier behind it.
type role int

const (
	nothing role = iota // to repeat
	atom
	quantifier
)

func translate(source string) (string, error) {
	if len(source) > maxExpression {
		return "", fmt.Errorf("longer than %d bytes", maxExpression)
	}
	if !utf8.ValidString(source) {
		return "", fmt.Errorf("not UTF-8")
	}
	t := &translator{rest: source, fold: []bool{false}}
	for before := nothing; t.rest != ""; {
		at := len(source) - len(t.rest)
		is, err := t.write(t.next())
		switch {
		case err != nil:
			return "", err
		case t.out.Len() > maxTranslated:
			return "", errLong
		case is == quantifier && before == nothing:
			return "", fmt.Errorf("the quantifier at character %d has nothing to repeat", utf8.RuneCountInString(source[:at]))
		case is == quantifier && before == quantifier:
			return "", unsupported("a quantifier after a quantifier")
		}
		before = is
	}
	if len(t.fold) > 1 {
		return "", fmt.Errorf("a parenthesis is not closed")
	}
	return t.out.String(), nil
}

// assertions by their tokens. Those of words are written with what Unicode 16 says of words.
var assertions = map[string]string{
	"^": `(?:\A|(?<=\n)(?!\z))`, "$": `(?=\n|\z)`, `\A`: `\A`, `\z`: `\z`, `\Z`: `(?=\n?\z)`,
	`\b`: `(?:(?<=[W])(?![W])|(?<![W])(?=[W]))`, `\B`: `(?!(?<=[W])(?![W])|(?<![W])(?=[W]))`,
}

// write writes one token, or the whole class that it opens.
func (t *translator) write(token string) (role, error) {
	if assertion, ok := assertions[token]; ok {
		t.out.WriteString(strings.ReplaceAll(assertion, "W", class(`\w`, ucd.IsOnigWord)))
		return nothing, nil
	}
	switch token[0] {
	case '(':
		return nothing, t.open(token)
	case ')':
		if len(t.fold) == 1 {
			return nothing, fmt.Errorf("a closing parenthesis has no opening one")
		}
		t.fold = t.fold[:len(t.fold)-1]
		t.out.WriteByte(')')
		return atom, nil
	case '|':
		t.out.WriteByte('|')
		return nothing, nil
	case '*', '+', '?':
		t.out.WriteString(token)
		return quantifier, nil
	case '{':
		if len(token) > 1 {
			return quantifier, t.interval(token)
		}
	case '.':
		t.out.WriteString(`[^\n]`)
		return atom, nil
	case '[':
		return atom, t.bracket()
	}
	r, set, err := single(token)
	if err == nil && set == "" {
		set, err = t.forms(r)
	}
	if next, _ := utf8.DecodeRuneInString(t.rest); err == nil && t.ignoresCase() && multiFold[strings.ToLower(string(r)+string(next))] {
		err = unsupported("%q in case-insensitive matching", string(r)+string(next))
	}
	t.out.WriteString("[" + set + "]")
	return atom, err
}

// open writes the start of a group. Groups are never referred to, so they capture nothing.
func (t *translator) open(token string) error {
	fold := t.ignoresCase()
	switch token {
	case "(":
		if strings.HasPrefix(t.rest, "?") {
			return unsupported("group %q", clip([]byte(token+t.rest)))
		}
		token = "(?:"
	case "(?i:", "(?-i:":
		token, fold = "(?:", token == "(?i:"
	}
	t.out.WriteString(token)
	if t.fold = append(t.fold, fold); len(t.fold) > 64 {
		return fmt.Errorf("groups nested deeper than 64")
	}
	return nil
}

// interval writes {n}, {n,}, {,m} or {n,m}.
func (t *translator) interval(token string) error {
	low, high, two := strings.Cut(token[1:len(token)-1], ",")
	if low == "" {
		low = "0"
	}
	least, err := strconv.Atoi(low)
	most := least
	if err == nil && high != "" {
		most, err = strconv.Atoi(high)
	}
	if err != nil || least > most || most > 1000 {
		return unsupported("interval %s", token)
	}
	if two {
		low += "," + high
	}
	t.out.WriteString("{" + low + "}")
	return nil
}

// single reads a token that stands for one character, or for a set of them: the inside of a class.
func single(token string) (r rune, set string, err error) {
	r, size := utf8.DecodeRuneInString(token)
	if r != '\\' {
		return r, "", nil
	}
	letter, size := utf8.DecodeRuneInString(token[size:])
	in := func(is func(rune) bool) (rune, string, error) {
		if unicode.IsUpper(letter) != strings.HasPrefix(token[2:], "{^") {
			return 0, class(token, func(r rune) bool { return !is(r) }), nil
		}
		return 0, class(token, is), nil
	}
	switch letter {
	case 'p', 'P':
		name := strings.TrimPrefix(strings.Trim(token[2:], "{}"), "^")
		category, ok := ucd.SetByName(name)
		if !ok {
			return 0, "", unsupported(`property \p{%s}`, name)
		}
		return in(func(r rune) bool { return ucd.In(r, category) })
	case 's', 'S':
		return in(ucd.IsSpace)
	case 'w', 'W':
		return in(ucd.IsOnigWord)
	case 'd', 'D':
		digits, _ := ucd.SetByName("Nd")
		return in(func(r rune) bool { return ucd.In(r, digits) })
	case 'h', 'H':
		return in(func(r rune) bool { return strings.ContainsRune("0123456789ABCDEFabcdef", r) })
	case 'x', 'u':
		// Bytes of \x above 7F make up characters in Oniguruma.
		code, err := strconv.ParseUint(strings.Trim(token[2:], "{}"), 16, 32)
		if err != nil || !utf8.ValidRune(rune(code)) || letter == 'x' && token[2] != '{' && code >= utf8.RuneSelf {
			return 0, "", unsupported("escape %s", token)
		}
		return rune(code), "", nil
	}
	if i := strings.IndexRune("tnrfvae", letter); i >= 0 {
		return rune("\t\n\r\f\v\a\x1b"[i]), "", nil
	}
	if size == 0 || letter < utf8.RuneSelf && (unicode.IsLetter(letter) || unicode.IsDigit(letter)) {
		return 0, "", unsupported("escape %s", token)
	}
	return letter, "", nil
}

// class is the inside of a class of all characters that is reports. It is found by walking all of Unicode: once for each
// name.
func class(name string, is func(rune) bool) string {
	if set, ok := classes.Load(name); ok {
		return set.(string)
	}
	var set strings.Builder
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !is(r) {
			continue
		}
		first := r
		for r < unicode.MaxRune && is(r+1) {
			r++
		}
		fmt.Fprintf(&set, `\x{%x}-\x{%x}`, first, r)
	}
	classes.Store(name, set.String())
	return set.String()
}

var classes sync.Map // name → string

// multiFold are letter pairs that case-insensitive matching equates with one
// character (ß, ﬀ, ﬁ, ﬂ, ﬆ).
var multiFold = map[string]bool{"ss": true, "ff": true, "fi": true, "fl": true, "st": true}

// forms is the inside of a class of a character; without case, of all its forms.
func (t *translator) forms(r rune) (string, error) {
	set := fmt.Sprintf(`\x{%x}`, r)
	if !t.ignoresCase() {
		return set, nil
	}
	if r >= utf8.RuneSelf {
		return "", unsupported("%q in case-insensitive matching", string(r))
	}
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		set += fmt.Sprintf(`\x{%x}`, other)
	}
	return set, nil
}

// bracket writes a character class. Classes in classes, intersections and
// POSIX names are refused.
func (t *translator) bracket() error {
	t.out.WriteByte('[')
	if strings.HasPrefix(t.rest, "^") {
		if t.ignoresCase() {
			return unsupported("a negated class in case-insensitive matching")
		}
		t.out.WriteString(t.next())
	}
	for first := true; ; first = false {
		token := t.nextMember()
		switch {
		case t.out.Len() > maxTranslated:
			return errLong
		case token == "":
			return fmt.Errorf("a character class is not closed")
		case token == "]" && !first:
			t.out.WriteByte(']')
			return nil
		case token == "]" || token == "[" || token == "&" && strings.HasPrefix(t.rest, "&"):
			return unsupported("%q inside a class", token)
		}
		set, err := t.member(token)
		if err != nil {
			return err
		}
		t.out.WriteString(set)
	}
}

// nextMember takes an escape or a character: nothing else has a meaning inside a class.
func (t *translator) nextMember() string {
	if strings.HasPrefix(t.rest, `\`) {
		return t.next()
	}
	_, size := utf8.DecodeRuneInString(t.rest)
	token := t.rest[:size]
	t.rest = t.rest[size:]
	return token
}

// item reads a member that stands for one character, or for a set.
func item(token string) (rune, string, error) {
	switch token {
	case "[":
		return 0, "", unsupported("%q inside a class", token)
	case `\b`:
		return '\b', "", nil
	}
	return single(token)
}

// member reads a set, a character or a range of a class.
func (t *translator) member(token string) (string, error) {
	low, set, err := item(token)
	if err == nil && set != "" && t.ignoresCase() {
		err = unsupported("a property in a class in case-insensitive matching")
	}
	if err != nil || set != "" {
		return set, err
	}
	if !strings.HasPrefix(t.rest, "-") || t.rest == "-" || t.rest[1] == ']' {
		return t.forms(low)
	}
	t.nextMember()
	high, set, err := item(t.nextMember())
	switch {
	case err != nil:
		return "", err
	case set != "" || high < low:
		return "", unsupported("a range in a class that ends before it starts")
	case !t.ignoresCase():
		return fmt.Sprintf(`\x{%x}-\x{%x}`, low, high), nil
	case high-low > 128:
		return "", unsupported("a wide range in case-insensitive matching")
	}
	for r := low; r <= high; r++ {
		forms, err := t.forms(r)
		if err != nil {
			return "", err
		}
		set += forms
	}
	return set, nil
}
