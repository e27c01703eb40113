package constrain

import (
	"regexp"
	"strconv"
	"strings"
)

// Grammar is the texts of a context-free grammar: GBNF, as llama.cpp writes it and others call EBNF (rules with ::=, of which
// root is the whole), or Lark's (rules with a colon, of which start is the whole). There is no lexer: terminals stand for
// texts as rules do, and %ignore for texts that may stand between terminals. Rules may be recursive, on the left in one
// rule itself.
func Grammar(source string) (*Form, error) {
	return form(func(g *grammar) *node {
		if len(source) > MaxSource {
			refuse("the grammar has %d bytes: at most %d are allowed", len(source), MaxSource)
		}
		c := &cfg{g: g, lark: !strings.Contains(source, "::="), bodies: map[string][]token{}, uses: map[string]string{}}
		c.scan(source)
		c.rules()
		start := "root"
		if c.lark {
			start = "start"
		}
		if c.bodies[start] == nil {
			refuse("the grammar has no rule %s, which the whole text must be of", start)
		}
		return seq(c.between(), c.call(start))
	})
}

// cfg is a grammar as it is read.
type cfg struct {
	g       *grammar
	lark    bool
	tokens  []token
	at      int
	bodies  map[string][]token // by rule
	uses    map[string]string  // names that stand for others: Lark's imports
	ignored []token
	inside  string // the rule that is written
	depth   int
}

// token is a part of a grammar's text.
type token struct {
	kind string // name, text, pattern, class, or the sign itself
	text string
	line int
}

var (
	gbnfTokens = regexp.MustCompile(`^(?:[ \t\r]+|#[^\n]*|(?P<line>\n)|(?P<name>[a-zA-Z_][\w-]*)|(?P<text>"(?:[^"\\\n]|\\.)*")|(?P<class>\[(?:[^\]\\\n]|\\.)*\])|(?P<times>\{\s*\d*\s*(?:,\s*\d*\s*)?\})|(?P<sign>::=|[()|*+?.]))`)
	larkTokens = regexp.MustCompile(`^(?:[ \t\r]+|//[^\n]*|#[^\n]*|(?P<line>\n)|(?P<name>[a-zA-Z_]\w*(?:\.-?\d+)?)|(?P<text>"(?:[^"\\\n]|\\.)*"i?)|(?P<pattern>/(?:[^/\\\n]|\\.)+/[imslux]*)|(?P<times>~\s*\d+(?:\s*\.\.\s*\d+)?)|(?P<alias>->\s*\w+)|(?P<directive>%\w+[^\n]*)|(?P<sign>\.\.|[()\[\]|*+?!:]))`)
)

// scan splits the text.
func (c *cfg) scan(source string) {
	tokens := gbnfTokens
	if c.lark {
		tokens = larkTokens
	}
	for line := 1; source != ""; {
		found := tokens.FindStringSubmatch(source)
		if found == nil {
			text, _, _ := strings.Cut(source, "\n")
			refuse("the grammar, line %d: %s is not understood", line, shorten(text))
		}
		for i, name := range tokens.SubexpNames() {
			if text := found[i]; name != "" && text != "" {
				if name == "sign" {
					name = text
				}
				c.tokens = append(c.tokens, token{name, text, line})
			}
		}
		line += strings.Count(found[0], "\n")
		source = source[len(found[0]):]
	}
}

// library are the terminals of Lark's common library.
var library = map[string]string{
	"DIGIT": `[0-9]`, "HEXDIGIT": `[a-fA-F0-9]`, "INT": `[0-9]+`, "SIGNED_INT": `[+-]?[0-9]+`, "DECIMAL": `[0-9]+\.[0-9]*|\.[0-9]+`,
	"FLOAT": `[0-9]+[eE][+-]?[0-9]+|([0-9]+\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?`, "NUMBER": `([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?`,
	"SIGNED_NUMBER": `[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?`, "SIGNED_FLOAT": `[+-]?([0-9]+[eE][+-]?[0-9]+|([0-9]+\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)`,
	"LCASE_LETTER": `[a-z]`, "UCASE_LETTER": `[A-Z]`, "LETTER": `[a-zA-Z]`, "WORD": `[a-zA-Z]+`, "CNAME": `[a-zA-Z_][a-zA-Z0-9_]*`,
	"ESCAPED_STRING": `"([^"\\\n]|\\[^\n])*"`, "WS": `[ \t\f\r\n]+`, "WS_INLINE": `[ \t]+`, "NEWLINE": `(\r?\n)+`, "CR": `\r`, "LF": `\n`,
}

// rules finds the rules' bodies, each up to where another begins.
func (c *cfg) rules() {
	assign := "::="
	if c.lark {
		assign = ":"
	}
	name := ""
	for i := 0; i < len(c.tokens); i++ {
		t := c.tokens[i]
		next := func(kind string) bool { return i+1 < len(c.tokens) && c.tokens[i+1].kind == kind }
		switch {
		case t.kind == "directive":
			c.directive(t)
			name = ""
		case t.kind == "name" && next(assign):
			name, _, _ = strings.Cut(t.text, ".") // priorities are a lexer's
			if c.bodies[name] != nil {
				refuse("the grammar, line %d: rule %s is there twice", t.line, name)
			}
			c.bodies[name] = []token{}
			i++
		case (t.kind == "?" || t.kind == "!") && (i == 0 || c.tokens[i-1].kind == "line"): // what a tree would look like
		case name != "":
			c.bodies[name] = append(c.bodies[name], t)
		case t.kind != "line":
			refuse("the grammar, line %d: %s stands outside of a rule", t.line, shorten(t.text))
		}
	}
}

// directive reads Lark's %import and %ignore.
func (c *cfg) directive(t token) {
	words := strings.Fields(t.text)
	switch {
	case words[0] == "%import" && len(words) > 1 && strings.HasPrefix(words[1], "common."):
		name := strings.TrimPrefix(words[1], "common.")
		as := words[len(words)-1]
		if library[name] == "" || len(words) != 2 && (len(words) != 4 || words[2] != "->") {
			break
		}
		c.uses[strings.TrimPrefix(as, "common.")] = library[name]
		return
	case words[0] == "%ignore" && len(words) > 1:
		rest := &cfg{lark: true}
		rest.scan(strings.TrimPrefix(t.text, "%ignore"))
		c.ignored = append(c.ignored, append(rest.tokens, token{kind: "|"})...)
		return
	}
	refuse("the grammar, line %d: %s is not supported: use rules, %%ignore, and %%import of common's terminals", t.line, shorten(t.text))
}

// between is what may stand between terminals.
func (c *cfg) between() *node {
	if c.ignored == nil {
		return empty
	}
	return c.g.rule("%ignore", func() *node {
		return repeat(c.body("IGNORED", c.ignored[:len(c.ignored)-1]), 0, -1)
	})
}

// call calls a rule.
func (c *cfg) call(name string) *node {
	return c.g.rule("rule "+name, func() *node { return c.body(name, c.bodies[name]) })
}

// body writes a rule. What begins with a call of the rule itself follows the others, as often as it likes.
func (c *cfg) body(name string, tokens []token) *node {
	outer := *c
	defer func() { c.tokens, c.at, c.inside = outer.tokens, outer.at, outer.inside }()
	c.tokens, c.at, c.inside = tokens, 0, name
	kids := c.alternatives()
	if c.peek().kind != "" {
		c.fail("is not understood here")
	}
	self := c.g.named["rule "+name]
	var begins, goesOn []*node
	for _, k := range kids {
		if first := k.kids; k.op == opSeq && len(first) > 0 && first[0].op == opCall && first[0].rule == self {
			goesOn = append(goesOn, seq(first[1:]...))
		} else {
			begins = append(begins, k)
		}
	}
	if goesOn == nil {
		return alt(begins...)
	}
	return seq(alt(begins...), repeat(alt(goesOn...), 0, -1))
}

// peek is the token that comes next, after line ends.
func (c *cfg) peek() token {
	for c.at < len(c.tokens) && c.tokens[c.at].kind == "line" {
		c.at++
	}
	if c.at < len(c.tokens) {
		return c.tokens[c.at]
	}
	return token{}
}

// take says whether the next token is of a kind, and passes it.
func (c *cfg) take(kind string) bool {
	is := c.peek().kind == kind
	if is {
		c.at++
	}
	return is
}

func (c *cfg) fail(why string) *node {
	t := c.peek()
	if t.kind == "" {
		return refuse("the grammar, rule %s: its end comes too early", c.inside)
	}
	return refuse("the grammar, line %d, rule %s: %s %s", t.line, c.inside, shorten(t.text), why)
}

func (c *cfg) alternatives() (kids []*node) {
	if c.depth++; c.depth > MaxNesting {
		c.fail("is nested too deep")
	}
	defer func() { c.depth-- }()
	for more := true; more; more = c.take("|") {
		parts := []*node{}
		for {
			n := c.atom()
			if n == nil {
				break
			}
			parts = append(parts, c.repeated(n))
		}
		c.take("alias")
		kids = append(kids, &node{op: opSeq, kids: parts})
	}
	return kids
}

// atom is nil where none comes.
func (c *cfg) atom() *node {
	t := c.peek()
	switch t.kind {
	case "name":
		c.at++
		expression, imported := c.uses[t.text]
		switch {
		case c.bodies[t.text] != nil && c.terminal(t.text):
			return c.ended(c.call(t.text))
		case c.bodies[t.text] != nil:
			return c.call(t.text)
		case imported:
			return c.ended(c.g.rule("common "+t.text, func() *node { return pattern(expression) }))
		}
		c.at--
		return c.fail("is no rule of the grammar")
	case "text":
		c.at++
		return c.ended(c.text(t))
	case "pattern":
		c.at++
		end := strings.LastIndex(t.text, "/")
		expression, flags := t.text[1:end], strings.NewReplacer("l", "", "u", "").Replace(t.text[end+1:])
		if strings.Contains(flags, "x") {
			return refuse("the grammar, line %d: flag x of %s is not supported: leave it out, with the white space and comments inside", t.line, shorten(t.text))
		}
		if flags != "" {
			expression = "(?" + flags + ":" + expression + ")"
		}
		return c.ended(c.g.shared(c.g.expression(expression)))
	case "class":
		c.at++
		return pattern("[" + classSign.ReplaceAllStringFunc(t.text[1:], func(s string) string {
			switch {
			case s == "[":
				return `\[`
			case len(s) > 2 && s[1]|0x20 == 'u':
				return `\x{` + s[2:] + "}"
			}
			return s
		}))
	case ".":
		c.at++
		return pattern("(?s:.)")
	case "(", "[":
		c.at++
		n := alt(c.alternatives()...)
		if !c.take(map[string]string{"(": ")", "[": "]"}[t.kind]) {
			return c.fail("stands where a bracket must be closed")
		}
		if t.kind == "[" {
			n = optional(n)
		}
		return n
	}
	return nil
}

// terminal says whether a rule is one of Lark's terminals, within which nothing is ignored.
func (c *cfg) terminal(name string) bool {
	return c.lark && strings.ToUpper(name) == name
}

// ended is a terminal, and what may stand behind it outside of another one.
func (c *cfg) ended(n *node) *node {
	if c.ignored == nil || c.terminal(c.inside) {
		return n
	}
	return seq(n, c.between())
}

// text is a quoted text, or in Lark a range of characters.
func (c *cfg) text(t token) *node {
	text := c.unquote(t)
	if c.lark && c.peek().kind == ".." {
		c.at++
		to := c.peek()
		if !c.take("text") {
			return c.fail("must be a text")
		}
		first, last := []rune(text), []rune(c.unquote(to))
		if len(first) != 1 || len(last) != 1 || first[0] > last[0] {
			return refuse("the grammar, line %d: %s..%s is no range of characters", t.line, t.text, to.text)
		}
		return runes([]rune{first[0], last[0]})
	}
	if strings.HasSuffix(t.text, "i") {
		return pattern("(?i:" + regexp.QuoteMeta(text) + ")")
	}
	return literal(text)
}

func (c *cfg) unquote(t token) string {
	quoted := strings.TrimSuffix(t.text, "i")
	text, err := strconv.Unquote(strings.NewReplacer(`\\`, `\\`, `\"`, `\"`, `\'`, `'`, `\/`, `/`, `\[`, `[`, `\]`, `]`).Replace(quoted))
	if err != nil {
		refuse("the grammar, line %d: the text %s has an escape that is not understood", t.line, shorten(t.text))
	}
	return text
}

// repeated is a part as often as the signs behind it say.
func (c *cfg) repeated(n *node) *node {
	for {
		switch t := c.peek(); {
		case c.take("*"):
			n = repeat(n, 0, -1)
		case c.take("+"):
			n = repeat(n, 1, -1)
		case c.take("?"):
			n = optional(n)
		case c.take("times"):
			low, high, isRange := strings.Cut(strings.Trim(strings.ReplaceAll(t.text, "..", ","), "{}~ "), ",")
			least, _ := strconv.Atoi(strings.TrimSpace(low))
			most, err := strconv.Atoi(strings.TrimSpace(high))
			if err != nil {
				most = -1
			}
			if !isRange {
				most = least
			}
			if max(least, most) > MaxRepeat || most >= 0 && most < least {
				return refuse("the grammar, line %d: %s must be a range of numbers up to %d", t.line, t.text, MaxRepeat)
			}
			n = repeat(n, least, most)
		default:
			return n
		}
	}
}

// classSign is what RE2 writes in another way, and whole escapes, so that no part of one is taken for it: a character by
// its number, and a bracket.
var classSign = regexp.MustCompile(`\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)|\[`)
