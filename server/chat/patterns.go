package chat

import (
	"encoding/json"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"github.com/loopserve/loopserve/runtime/constrain"
)

// callPatterns find calls in what a model writes, which is seldom their syntax to the space.
type callPatterns struct {
	constrain.CallSyntax
	tools map[string]json.RawMessage // their parameters
	known sync.Map                   // kinds of arguments by tool and name

	mark    string         // what a call begins with and no other text does; empty: a call is all of the answer
	marks   []string       // the same, and a mark inside of it that models write without it
	closing string         // what ends a call that has a mark; empty: the answer's end
	outer   string         // the same where mark may be missing: it may then be missing itself
	head    *regexp.Regexp // a call up to its arguments
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
	p := &callPatterns{CallSyntax: s, tools: map[string]json.RawMessage{}, mark: leadingTag.FindString(whole)}
	for _, t := range tools {
		p.tools[t.Name] = t.Parameters
	}
	if p.mark != "" {
		p.marks = []string{p.mark}
		p.closing = trailingTag.FindString(strings.TrimSpace(s.Close + s.End))
	}
	begin, open := s.Begin, s.Open // of which only the first call of a list has begin
	if inner := strings.TrimSpace(whole[len(p.mark):]); !a.JSON() && p.mark != "" && strings.HasPrefix(inner, "<") {
		p.marks, p.outer = append(p.marks, inner), p.closing
		begin, open = p.mark, inner // models forget the mark
	}
	p.head = anchored("(?:" + loose(begin) + `\s*)?` + loose(open) + toolNames + loose(s.Middle))
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

// tags are the marks of the syntax, any of which may be a special token.
func (p *callPatterns) tags() []string {
	a := p.Arguments
	all := []string{p.Begin, p.Open, p.Middle, a.Open, a.Middle, a.Close, a.Between, p.Close, p.Between, p.End}
	return anyTag.FindAllString(strings.Join(all, " "), -1)
}

func (p *callPatterns) knows(name string) bool {
	_, known := p.tools[name]
	return known
}

// kinds are kindsOf an argument. A call is read anew with each token, so they are found once.
func (p *callPatterns) kinds(tool, argument string) []string {
	key := [2]string{tool, argument}
	kinds, ok := p.known.Load(key)
	if !ok {
		kinds, _ = p.known.LoadOrStore(key, kindsOf(p.tools[tool], argument))
	}
	return kinds.([]string)
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
