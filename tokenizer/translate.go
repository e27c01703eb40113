package tokenizer

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/loopserve/loopserve/tokenizer/internal/ucd"
)

// translator rewrites an expression from Oniguruma's Ruby syntax to
// regexp2's. Classes are written out as ranges, so that they are Unicode 16's
// whatever version the engine has. What the two engines may take differently
// is refused.
type translator struct {
	in   []rune
	at   int
	out  strings.Builder
	fold []bool // per open group: ignore case
	atom int    // where the last atom starts in out, -1: nothing to repeat
}

func translate(source string) (string, error) {
	if len(source) > 1<<16 {
		return "", fmt.Errorf("longer than %d bytes", 1<<16)
	}
	if !utf8.ValidString(source) {
		return "", fmt.Errorf("not UTF-8")
	}
	t := &translator{in: []rune(source), fold: []bool{false}, atom: -1}
	var starts []int // where each open group starts in out
	for t.at < len(t.in) {
		c := t.in[t.at]
		var err error
		switch c {
		case '(':
			starts = append(starts, t.out.Len())
			err = t.open()
			t.atom = -1
			if len(t.fold) > 64 {
				err = fmt.Errorf("groups nested deeper than 64")
			}
		case ')':
			if len(starts) == 0 {
				return "", fmt.Errorf("a closing parenthesis has no opening one")
			}
			t.at++
			t.out.WriteByte(')')
			t.atom, starts = starts[len(starts)-1], starts[:len(starts)-1]
			t.fold = t.fold[:len(t.fold)-1]
		case '*', '+', '?':
			err = t.quantifier()
		case '{':
			if t.interval() == "" {
				err = t.single(c)
			} else {
				err = t.quantifier()
			}
		case '|':
			t.at++
			t.out.WriteByte('|')
			t.atom = -1
		default:
			err = t.single(c)
		}
		if err != nil {
			return "", err
		}
	}
	if len(starts) > 0 {
		return "", fmt.Errorf("a parenthesis is not closed")
	}
	return t.out.String(), nil
}

func (t *translator) peek(ahead int) rune {
	if t.at+ahead < len(t.in) {
		return t.in[t.at+ahead]
	}
	return -1
}

func (t *translator) has(prefix string) bool {
	return strings.HasPrefix(string(t.in[t.at:min(len(t.in), t.at+len(prefix))]), prefix)
}

// open writes the start of a group. Groups are never referred to, so they
// capture nothing.
func (t *translator) open() error {
	fold := t.fold[len(t.fold)-1]
	for _, kind := range []string{"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?-i:"} {
		if !t.has(kind) {
			continue
		}
		t.at += len(kind)
		switch kind {
		case "(?i:":
			kind, fold = "(?:", true
		case "(?-i:":
			kind, fold = "(?:", false
		}
		t.out.WriteString(kind)
		t.fold = append(t.fold, fold)
		return nil
	}
	if t.peek(1) == '?' {
		return unsupported("group %q", clip([]byte(string(t.in[t.at:min(len(t.in), t.at+6)]))))
	}
	t.at++
	t.out.WriteString("(?:")
	t.fold = append(t.fold, fold)
	return nil
}

// quantifier rewrites the possessive ones as atomic groups.
func (t *translator) quantifier() error {
	if t.atom < 0 {
		return fmt.Errorf("the quantifier at character %d has nothing to repeat", t.at)
	}
	body := t.out.String()[t.atom:]
	head := t.out.String()[:t.atom]
	count, interval, err := t.count()
	if err != nil {
		return err
	}
	write := func(s string) {
		t.out.Reset()
		t.out.WriteString(head + s)
	}
	switch next := t.peek(0); {
	case next == '?':
		if interval {
			return unsupported("a lazy interval")
		}
		t.at++
		write("(?:" + body + count + "?)")
	case next == '+':
		if interval {
			return unsupported("a quantifier after an interval")
		}
		t.at++
		write("(?>" + body + count + ")")
	case next == '*' || next == '{' && t.interval() != "":
		return unsupported("a quantifier after a quantifier")
	default:
		write("(?:" + body + count + ")")
	}
	return nil
}

var intervals = regexp.MustCompile(`^\{([0-9]*,?[0-9]*)\}`)

// interval is the inside of the interval at the current place, "" where the brace is a character like any other.
func (t *translator) interval() string {
	found := intervals.FindStringSubmatch(string(t.in[t.at:min(len(t.in), t.at+40)]))
	if found == nil || found[1] == "," {
		return ""
	}
	return found[1]
}

// count reads *, +, ? or an interval.
func (t *translator) count() (text string, interval bool, err error) {
	if c := t.in[t.at]; c != '{' {
		t.at++
		return string(c), false, nil
	}
	inner := t.interval()
	low, high, two := strings.Cut(inner, ",")
	if low == "" {
		low = "0"
	}
	n, err := strconv.Atoi(low)
	if err != nil || n > 1000 {
		return "", false, unsupported("interval {%s}", inner)
	}
	text = low
	if two {
		text += "," + high
		if m, err := strconv.Atoi(high); high != "" && (err != nil || m < n || m > 1000) {
			return "", false, unsupported("interval {%s}", inner)
		}
	}
	t.at += len(inner) + 2
	return "{" + text + "}", true, nil
}

// single writes one character, class or assertion.
func (t *translator) single(c rune) error {
	t.atom = t.out.Len()
	switch c {
	case '^':
		t.at++
		t.out.WriteString(`(?:\A|(?<=\n)(?!\z))`)
		t.atom = -1
		return nil
	case '$':
		t.at++
		t.out.WriteString(`(?=\n|\z)`)
		t.atom = -1
		return nil
	case '.':
		t.at++
		t.out.WriteString(`[^\n]`)
		return nil
	case '[':
		set, err := t.bracket()
		if err != nil {
			return err
		}
		t.out.WriteString(set.class())
		return nil
	case '\\':
		if done, err := t.assertion(); done || err != nil {
			t.atom = -1
			return err
		}
		set, literal, err := t.escape()
		if err != nil {
			return err
		}
		if literal < 0 {
			t.out.WriteString(set.class())
			return nil
		}
		return t.literal(literal)
	}
	t.at++
	return t.literal(c)
}

// assertion writes \b, \B, \A and \z by what they mean in Unicode 16.
func (t *translator) assertion() (bool, error) {
	text := ""
	switch t.peek(1) {
	case 'b', 'B':
		w := wordSet().class()
		text = "(?:(?<=" + w + ")(?!" + w + ")|(?<!" + w + ")(?=" + w + "))"
		if t.peek(1) == 'B' {
			text = "(?!" + text + ")"
		}
	case 'A':
		text = `\A`
	case 'z':
		text = `\z`
	case 'Z':
		text = `(?=\n?\z)`
	default:
		return false, nil
	}
	t.at += 2
	t.out.WriteString(text)
	return true, nil
}

// multiFold are letter pairs that case-insensitive matching equates with one
// character (ß, ﬀ, ﬁ, ﬂ, ﬆ).
var multiFold = map[string]bool{"ss": true, "ff": true, "fi": true, "fl": true, "st": true}

// literal writes a character; without case, all its forms.
func (t *translator) literal(r rune) error {
	if !t.fold[len(t.fold)-1] {
		t.out.WriteString(runeSet{{r, r}}.class())
		return nil
	}
	set, err := foldRune(r)
	if err != nil {
		return err
	}
	if next := t.peek(0); next >= 0 && multiFold[strings.ToLower(string(r)+string(next))] {
		return unsupported("%q in case-insensitive matching", string(r)+string(next))
	}
	t.out.WriteString(set.class())
	return nil
}

func foldRune(r rune) (runeSet, error) {
	set := runeSet{{r, r}}
	switch {
	case r >= utf8.RuneSelf:
		return nil, unsupported("%q in case-insensitive matching", string(r))
	case 'a' <= r && r <= 'z':
		set = append(set, runeRange{r - 32, r - 32})
	case 'A' <= r && r <= 'Z':
		set = append(set, runeRange{r + 32, r + 32})
	}
	switch r {
	case 's', 'S':
		set = append(set, runeRange{'ſ', 'ſ'})
	case 'k', 'K':
		set = append(set, runeRange{'\u212A', '\u212A'})
	}
	return union(set), nil
}

// categoryOf reads {L}, {^L} or {Lu} behind \p or \P.
func (t *translator) category() (runeSet, error) {
	negate := t.peek(1) == 'P'
	end := t.at + 2
	for end < len(t.in) && t.in[end] != '}' {
		end++
	}
	if t.peek(2) != '{' || end == len(t.in) {
		return nil, unsupported(`\p without braces`)
	}
	name := string(t.in[t.at+3 : end])
	t.at = end + 1
	if strings.HasPrefix(name, "^") {
		name, negate = name[1:], !negate
	}
	category, ok := ucd.SetByName(name)
	if !ok {
		return nil, unsupported(`property \p{%s}`, name)
	}
	set := categorySet(category)
	if negate {
		set = set.complement()
	}
	return set, nil
}
