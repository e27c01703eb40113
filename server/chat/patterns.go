package chat

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/loopserve/loopserve/runtime/constrain"
)

// callPatterns find calls in what a model writes, which is seldom their syntax to the space.
type callPatterns struct {
	constrain.CallSyntax
	tools []constrain.Tool
	known sync.Map // kinds of arguments by tool and name

	mark    string         // what a call begins with and no other text does; empty: a call is all of the answer
	inner   string         // a mark inside of that, which models write without it; empty: none
	closing string         // what ends a call that has a mark; empty: the answer's end
	outer   string         // the same where mark may be missing: it may then be missing itself
	first   *regexp.Regexp // the first call up to its arguments
	later   *regexp.Regexp // another one in its list
	key     *regexp.Regexp // up to an argument's value
	tail    *regexp.Regexp // behind the arguments
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
	a, whole := s.Arguments, s.Begin+s.Open
	p := &callPatterns{CallSyntax: s, tools: tools, mark: leadingTag.FindString(whole)}
	if p.mark != "" {
		p.closing = trailingTag.FindString(strings.TrimSpace(s.Close + s.End))
	}
	first, later := loose(whole), loose(s.Open)
	if inner := strings.TrimSpace(whole[len(p.mark):]); !a.JSON() && p.mark != "" && strings.HasPrefix(inner, "<") {
		p.inner, p.outer = inner, p.closing
		first = "(?:" + loose(p.mark) + `\s*)?` + loose(inner)
		later = first
	}
	p.first, p.later = anchored(first+toolNames+loose(s.Middle)), anchored(later+toolNames+loose(s.Middle))
	if !a.JSON() {
		// White space behind a mark belongs to the value, but for what the syntax has there.
		p.key = anchored("(?:" + loose(a.Between) + ")?" + loose(a.Open) + keyNames + loose(strings.TrimRightFunc(a.Middle, unicode.IsSpace)))
		p.tail = regexp.MustCompile(loose(strings.TrimSuffix(strings.TrimSpace(s.Close), p.outer)))
		return p
	}
	if end := strings.LastIndex(s.Close, "}"); end >= 0 {
		p.tail = anchored(`[^{}]*\}` + loose(s.Close[end+1:])) // further fields
	} else {
		p.tail = anchored(loose(s.Close))
	}
	return p
}

// mayBegin says whether an answer may be calls that have no mark.
func (p *callPatterns) mayBegin(text string) bool {
	sign := strings.TrimSpace(p.Begin + p.Open)[:1]
	return strings.HasPrefix(text, sign)
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

func (p *callPatterns) knows(name string) bool {
	return slices.ContainsFunc(p.tools, func(t constrain.Tool) bool { return t.Name == name })
}

// kinds are kindsOf an argument. A call is read anew with each token, so they are found once.
func (p *callPatterns) kinds(tool, argument string) []string {
	key := [2]string{tool, argument}
	if kinds, ok := p.known.Load(key); ok {
		return kinds.([]string)
	}
	var kinds []string
	for _, t := range p.tools {
		if t.Name == tool {
			kinds = kindsOf(t.Parameters, argument)
		}
	}
	p.known.Store(key, kinds)
	return kinds
}

func anchored(pattern string) *regexp.Regexp { return regexp.MustCompile(`^\s*` + pattern) }

// loose is a pattern of a syntax's text, with any white space where it has some and around the signs of JSON.
func loose(text string) string {
	var out strings.Builder
	for _, r := range text {
		sign := regexp.QuoteMeta(string(r))
		switch {
		case string(r) == constrain.CallID:
			sign = `[^"<>]*`
		case unicode.IsSpace(r):
			sign = `\s*`
		case strings.ContainsRune("{}[](),:=", r):
			sign = `\s*` + sign + `\s*`
		}
		out.WriteString(sign)
	}
	return out.String()
}
