package constrain

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// machine runs expressions as RE2 does, on sets of threads.
type machine struct {
	code   []instruction
	states []machineState
	at     map[string]int
	lines  bool // an expression asks for words or lines
	work   int
}

// instruction is one of an expression's, whose places begin at base.
type instruction struct {
	*syntax.Inst
	base int32
	look *look // what is asked for here
	main bool  // of a want: it matches where the text ends
}

// look is an expression that must, or must not, be found from here on.
type look struct {
	want
	start int32
}

// thread is what must be found from here on: all of some and none of others.
type thread struct{ all, none []int32 }

func (t thread) compare(u thread) int {
	return cmp.Or(slices.Compare(t.all, u.all), slices.Compare(t.none, u.none))
}

type machineState struct {
	threads []thread
	before  rune // the character before it, or one that is the same to expressions
}

// add compiles an expression, which may stand anywhere in the text, and returns where it begins.
func (m *machine) add(expression string) int32 {
	if len(expression) > MaxSource {
		refuse("the expression has %d bytes: at most %d are allowed", len(expression), MaxSource)
	}
	if strings.Contains(expression, "(?P<"+lookName) || strings.Contains(expression, "(?<"+lookName) {
		refuse("the expression %s has a group whose name begins with %s, which is taken: use another name", shorten(expression), lookName)
	}
	text, looks := lookaheads(expression)
	parse(text) // alone, for what it is told of
	start := m.compile(anywhere+text+")(?s:.*)", looks, true)
	for _, k := range looks {
		k.start = m.compile(k.expression, nil, false)
	}
	return start
}

func (m *machine) compile(expression string, looks []*look, main bool) int32 {
	re := parse(expression)
	names := re.CapNames()
	prog, err := syntax.Compile(re.Simplify())
	base := int32(len(m.code))
	if err != nil || len(prog.Inst)+len(m.code) > maxGraph {
		refuse("the expression %s is too large: more than %d instructions", shorten(strings.TrimPrefix(expression, anywhere)), maxGraph)
	}
	for i := range prog.Inst {
		in := instruction{Inst: &prog.Inst[i], base: base, main: main}
		switch in.Op {
		case syntax.InstCapture:
			if at, ok := strings.CutPrefix(names[in.Arg/2], lookName); ok && in.Arg%2 == 0 {
				in.look = looks[at[0]-'A']
			}
		case syntax.InstEmptyWidth:
			m.lines = m.lines || syntax.EmptyOp(in.Arg)&^(syntax.EmptyBeginText|syntax.EmptyEndText) != 0
		}
		m.code = append(m.code, in)
	}
	return base + int32(prog.Start)
}

const (
	lookName = "_look_"
	anywhere = "(?s:.*)(?:" // before an expression that may stand anywhere
)

// lookaheads takes the lookaheads out of an expression, which RE2 does not have: each leaves an empty group of a name. It
// also writes \uXXXX as RE2 does.
func lookaheads(expression string) (text string, looks []*look) {
	var out strings.Builder
	var open []int // where a group that is open begins in out, where it is a lookahead, and −1
	inClass := false
	for i := 0; i < len(expression); i++ {
		rest := expression[i:]
		last := len(open) - 1
		switch {
		case rest[0] == '\\' && len(rest) >= 6 && rest[1] == 'u' && rest[2] != '{':
			out.WriteString(`\x{` + rest[2:6] + "}")
			i += 5
			continue
		case rest[0] == '\\' && len(rest) > 1:
			out.WriteByte('\\')
			rest = rest[1:]
			i++
		case inClass:
			inClass = rest[0] != ']'
		case rest[0] == '[':
			inClass = true
		case strings.HasPrefix(rest, "(?=") || strings.HasPrefix(rest, "(?!"):
			if slices.Max(append(open, -1)) >= 0 || len(looks) == maxLooks {
				refuse("the expression %s has a lookahead inside of another, or more than %d", shorten(expression), maxLooks)
			}
			looks = append(looks, &look{want: want{not: rest[2] == '!'}})
			open = append(open, out.Len())
			i += 2
			continue
		case rest[0] == '(':
			open = append(open, -1)
		case rest[0] == ')' && last >= 0:
			at := open[last]
			if open = open[:last]; at >= 0 {
				whole := out.String()
				looks[len(looks)-1].expression = whole[at:]
				out.Reset()
				out.WriteString(whole[:at] + "(?P<" + lookName + string(rune('A'+len(looks)-1)) + ">)")
				continue
			}
		}
		out.WriteByte(rest[0])
	}
	return out.String(), looks
}

// classes finds the characters that no expression tells apart.
func (m *machine) classes() (classes [][]rune) {
	begins := []rune{0, '\n', '\n' + 1}
	for r := range rune(unicode.MaxASCII) {
		if m.lines && syntax.IsWordChar(r) != syntax.IsWordChar(r-1) {
			begins = append(begins, r)
		}
	}
	tests := map[string]*syntax.Inst{}
	for _, i := range m.code {
		key := fmt.Sprint(i.Rune, i.Arg)
		if i.Op != syntax.InstRune && i.Op != syntax.InstRune1 || tests[key] != nil {
			continue
		}
		tests[key] = i.Inst
		ranges := i.Rune
		if len(ranges) == 1 {
			ranges = folds(ranges[0], true)
		}
		for j, r := range ranges {
			begins = append(begins, r+rune(j%2))
		}
	}
	slices.Sort(begins)
	begins = append(slices.Compact(begins), unicode.MaxRune+1)
	if m.work += len(begins) * len(tests); m.work > maxLanguageWork {
		refuse("an expression has too many classes of characters: use fewer or simpler ones")
	}
	order := slices.Collect(maps.Values(tests))
	at := map[string]int{}
	for i, first := range begins[:len(begins)-1] {
		sign := []byte(fmt.Sprint(first == '\n', m.lines && syntax.IsWordChar(first)))
		for _, t := range order {
			sign = strconv.AppendBool(sign, t.MatchRune(first))
		}
		if first > unicode.MaxRune {
			break
		}
		c, ok := at[string(sign)]
		if !ok {
			c = len(classes)
			at[string(sign)] = c
			classes = append(classes, nil)
		}
		classes[c] = append(classes[c], first, begins[i+1]-1)
	}
	return classes
}

// state returns the state of threads behind a character; −1: none.
func (m *machine) state(threads []thread, before rune) int {
	switch {
	case len(threads) == 0:
		return -1
	case before < 0 || before == '\n' && m.lines:
	case m.lines && syntax.IsWordChar(before):
		before = 'a'
	default:
		before = ' '
	}
	slices.SortFunc(threads, thread.compare)
	threads = slices.CompactFunc(threads, func(t, u thread) bool { return t.compare(u) == 0 })
	key := binary.AppendVarint(nil, int64(before))
	for _, t := range threads {
		for _, pcs := range [][]int32{t.all, t.none} {
			key = binary.AppendUvarint(key, uint64(len(pcs)))
			for _, pc := range pcs {
				key = binary.AppendUvarint(key, uint64(pc))
			}
		}
	}
	m.work += len(key)
	i, ok := m.at[string(key)]
	if !ok {
		i = len(m.states)
		m.at[string(key)] = i
		m.states = append(m.states, machineState{threads, before})
	}
	return i
}

// step is where a character leads.
func (m *machine) step(from int, r rune) int {
	var threads []thread
	m.follow(from, r, func(waits thread) {
		var t thread
		for _, pc := range waits.all {
			if !m.code[pc].MatchRune(r) {
				return
			}
			t.all = append(t.all, m.out(pc))
		}
		for _, pc := range waits.none {
			if m.code[pc].MatchRune(r) {
				t.none = append(t.none, m.out(pc))
			}
		}
		for _, pcs := range []*[]int32{&t.all, &t.none} {
			slices.Sort(*pcs)
			*pcs = slices.Compact(*pcs)
		}
		threads = append(threads, t)
	})
	return m.state(threads, r)
}

func (m *machine) out(pc int32) int32 { return m.code[pc].base + int32(m.code[pc].Out) }

// follow follows a state's threads over all that takes no character, before the character next, or to the end of the text
// where it is −1, and tells where they wait for one.
func (m *machine) follow(at int, next rune, tell func(waits thread)) {
	flags := syntax.EmptyOpContext(m.states[at].before, next)
	var walk func(todo, seen []int32, waits thread)
	walk = func(todo, seen []int32, waits thread) {
		if m.work++; m.work > maxLanguageWork {
			return
		}
		if len(todo) == 0 {
			if none, ok := m.none(waits.none, flags); ok {
				tell(thread{waits.all, none})
			}
			return
		}
		pc, rest := todo[0], todo[1:]
		if slices.Contains(seen, pc) {
			return
		}
		seen = append(slices.Clip(seen), pc)
		i := m.code[pc]
		switch i.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			walk(append([]int32{i.base + int32(i.Arg)}, rest...), seen, waits)
		case syntax.InstMatch:
			if !i.main || next < 0 {
				walk(rest, nil, waits)
			}
			return
		case syntax.InstFail:
			return
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(i.Arg)&^flags != 0 {
				return
			}
		case syntax.InstCapture:
			if i.look != nil && i.look.not {
				waits.none = append(slices.Clip(waits.none), i.look.start)
			} else if i.look != nil {
				rest = append(slices.Clip(rest), i.look.start)
			}
		case syntax.InstNop:
		default:
			waits.all = append(slices.Clip(waits.all), pc)
			walk(rest, nil, waits)
			return
		}
		walk(append([]int32{m.out(pc)}, rest...), seen, waits)
	}
	for _, t := range m.states[at].threads {
		walk(t.all, nil, thread{none: t.none})
	}
}

// none follows what must not be found, and fails where it is.
func (m *machine) none(pcs []int32, flags syntax.EmptyOp) (waits []int32, ok bool) {
	todo := slices.Clone(pcs)
	seen := map[int32]bool{}
	for at := 0; at < len(todo); at++ { // which grows
		pc := todo[at]
		if m.work++; seen[pc] {
			continue
		}
		seen[pc] = true
		switch i := m.code[pc]; i.Op {
		case syntax.InstMatch:
			if !i.main || flags&syntax.EmptyEndText != 0 {
				return nil, false
			}
		case syntax.InstAlt, syntax.InstAltMatch:
			todo = append(todo, m.out(pc), i.base+int32(i.Arg))
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(i.Arg)&^flags == 0 {
				todo = append(todo, m.out(pc))
			}
		case syntax.InstCapture, syntax.InstNop:
			if i.look != nil {
				refuse("an expression with a lookahead must not be found, which is not supported")
			}
			todo = append(todo, m.out(pc))
		case syntax.InstFail:
		default:
			waits = append(waits, pc)
		}
	}
	slices.Sort(waits)
	return waits, true
}
