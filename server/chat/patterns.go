package chat

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/loopserve/loopserve/runtime/constrain"
)

// callPatterns find calls in what a model writes, which is seldom their syntax to the space.
type callPatterns struct {
	constrain.CallSyntax
	tools []constrain.Tool

	mark    string         // what a call begins with and no other text does; empty: a call is all of the answer
	inner   string         // a mark inside of that, which models write without it; empty: none
	closing string         // what ends it then; empty: the answer's end
	first   head           // of the first call
	later   head           // of another one in its list
	key     *regexp.Regexp // up to an argument's value
	tail    *regexp.Regexp // behind the arguments
}

// head finds a call's begin.
type head struct {
	whole  *regexp.Regexp // up to the arguments
	undone *regexp.Regexp // what may become that, where there is no mark
}

const (
	toolNames = `([\w.-]{1,64})`
	keyNames  = `([^\s<>="']{1,256})`
)

var (
	leadingTag  = regexp.MustCompile(`^(?:<[^<>\s]+>?|\[[A-Z_]+\])`)
	trailingTag = regexp.MustCompile(`<[^<>\s]+>$`)
	anyTag      = regexp.MustCompile(`<[^<>\s]+>|\[[A-Z_]+\]`)
)

func newPatterns(s constrain.CallSyntax, tools []constrain.Tool) *callPatterns {
	a := s.Arguments
	p := &callPatterns{CallSyntax: s, tools: tools, mark: leadingTag.FindString(s.Begin + s.Open)}
	p.closing = trailingTag.FindString(strings.TrimSpace(s.Close + s.End))
	if inner := strings.TrimSpace(strings.TrimPrefix(s.Begin+s.Open, p.mark)); !a.JSON() && p.mark != "" && strings.HasPrefix(inner, "<") {
		p.inner = inner
	}
	p.first, p.later = p.head(s.Begin), p.head("")
	if !a.JSON() {
		// White space behind a mark belongs to the value, but for what the syntax has there.
		p.key = anchored("(?:" + loose(a.Between) + ")?" + loose(a.Open) + keyNames + loose(strings.TrimRightFunc(a.Middle, unicode.IsSpace)))
		p.tail = regexp.MustCompile(loose(strings.TrimSuffix(strings.TrimSpace(s.Close), p.outer())))
		return p
	}
	if end := strings.LastIndex(s.Close, "}"); end >= 0 {
		p.tail = anchored(`[^{}]*\}` + loose(s.Close[end+1:])) // further fields
	} else {
		p.tail = anchored(loose(s.Close))
	}
	return p
}

func (p *callPatterns) head(begin string) head {
	open := loose(begin + p.Open)
	if p.inner != "" {
		open = "(?:" + loose(p.mark) + `\s*)?` + loose(p.inner)
	}
	h := head{anchored(open + toolNames + loose(p.Middle)), anchored(loose(begin) + `[\w.\s-]*$`)}
	if p.Arguments.JSON() { // its fields may stand in another order
		h.undone = anchored(regexp.QuoteMeta(strings.TrimSpace(begin + p.Open)[:1]))
	}
	return h
}

// outer is what ends a call whose mark may be missing, and may then be missing itself.
func (p *callPatterns) outer() string {
	if p.inner == "" {
		return ""
	}
	return p.closing
}

// marks are what a call may begin with.
func (p *callPatterns) marks() []string {
	if p.inner == "" {
		return []string{p.mark}
	}
	return []string{p.mark, p.inner}
}

// tags are the marks of the syntax, any of which may be a special token.
func (p *callPatterns) tags() []string {
	a := p.Arguments
	all := []string{p.Begin, p.Open, p.Middle, a.Open, a.Middle, a.Close, a.Between, p.Close, p.Between, p.End}
	return anyTag.FindAllString(strings.Join(all, " "), -1)
}

func (p *callPatterns) tool(name string) (constrain.Tool, bool) {
	at := slices.IndexFunc(p.tools, func(t constrain.Tool) bool { return t.Name == name })
	if at < 0 {
		return constrain.Tool{Name: name}, false
	}
	return p.tools[at], true
}

func anchored(pattern string) *regexp.Regexp { return regexp.MustCompile(`^\s*` + pattern) }

var argumentsKey = regexp.MustCompile(`"(?:arguments|parameters)"`)

// loose is a pattern of a syntax's text, with any white space where it has some and around the signs of JSON.
func loose(text string) string {
	text = argumentsKey.ReplaceAllString(text, "\uE001")
	var out strings.Builder
	for _, r := range text {
		sign := regexp.QuoteMeta(string(r))
		switch {
		case string(r) == constrain.CallID:
			sign = `[^"<>]*`
		case r == '\uE001':
			sign = argumentsKey.String()
		case unicode.IsSpace(r):
			sign = `\s*`
		case strings.ContainsRune("{}[](),:=", r):
			sign = `\s*` + sign + `\s*`
		}
		out.WriteString(sign)
	}
	return out.String()
}
