package jinja

import (
	"strings"
)

type filter func(m *machine, v Value, a *args) (Value, error)

// filterTable holds the filters; refusedFilters are Jinja's own that the
// subset leaves out, because they are random or make HTML.
var filterTable map[string]filter

var refusedFilters = map[string]bool{
	"random": true, "pprint": true, "urlize": true, "xmlattr": true, "striptags": true, "filesizeformat": true, "wordwrap": true,
}

func init() { // here, because map and select lead back to this table
	filterTable = map[string]filter{
		"tojson": filterToJSON,

		"default": filterDefault, "d": filterDefault,
		"length": filterLength, "count": filterLength,
		"string": filterString, "safe": filterSafe,
		"escape": filterEscape, "e": filterEscape, "forceescape": filterForceEscape,
		"attr":  filterAttr,
		"lower": textFilter("lower", pyLower), "upper": textFilter("upper", pyUpper),
		"capitalize": textFilter("capitalize", pyCapitalize), "title": titleFilter,
		"trim": filterTrim, "replace": filterReplace, "indent": filterIndent, "center": filterCenter,
		"truncate": filterTruncate, "wordcount": filterWordcount, "format": filterFormat,
		"urlencode": filterURLEncode,

		"int": filterInt, "float": filterFloat, "abs": filterAbs, "round": filterRound,

		"first": filterFirst, "last": filterLast, "list": filterList, "items": filterItems,
		"join": filterJoin, "reverse": filterReverse, "sort": filterSort, "dictsort": filterDictsort,
		"unique": filterUnique, "min": extremeFilter("min", "<"), "max": extremeFilter("max", ">"),
		"sum": filterSum, "batch": filterBatch, "slice": filterSlice, "groupby": filterGroupby,
		"map":    filterMap,
		"select": selectFilter("select", false, true), "reject": selectFilter("reject", false, false),
		"selectattr": selectFilter("selectattr", true, true), "rejectattr": selectFilter("rejectattr", true, false),
	}
}

func filterDefault(_ *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("default", 0, "default_value", "boolean")
	if err != nil {
		return nil, err
	}
	if p[0] == absent {
		p[0] = ""
	}
	_, undef := v.(*Undefined)
	if undef || (p[1] != absent && truth(p[1]) && !truth(v)) {
		return p[0], nil
	}
	return v, nil
}

func filterLength(m *machine, v Value, a *args) (Value, error) {
	if _, err := a.positional("length", 0, 0); err != nil {
		return nil, err
	}
	return m.length(v)
}

func filterString(m *machine, v Value, _ *args) (Value, error) {
	if isStr(v) {
		return v, nil
	}
	return m.str(v)
}

func filterSafe(m *machine, v Value, _ *args) (Value, error) {
	s, err := m.str(v)
	return Markup(s), err
}

func filterEscape(m *machine, v Value, _ *args) (Value, error) {
	if _, ok := v.(Markup); ok {
		return v, nil
	}
	return filterForceEscape(m, v, nil)
}

func filterForceEscape(m *machine, v Value, _ *args) (Value, error) {
	s, err := m.str(v)
	if err != nil {
		return nil, err
	}
	if err := m.grow(int64(len(s)) + 4*int64(strings.Count(s, "<")+strings.Count(s, ">")+strings.Count(s, "&")+strings.Count(s, `"`)+strings.Count(s, "'"))); err != nil {
		return nil, err
	}
	return Markup(escapeHTML(s)), nil
}

func filterAttr(m *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("attr", 1, "name")
	if err != nil {
		return nil, err
	}
	name, err := needText(p[0])
	if err != nil {
		return nil, err
	}
	x, ok, err := m.attribute(v, name)
	if err != nil || ok {
		return x, err
	}
	return undefinedAttr(v, name), nil
}

// softText is Jinja's soft_str: a str as it is, anything else by str().
func (m *machine) softText(v Value) (string, error) {
	s, err := m.str(v)
	if err != nil {
		return "", err
	}
	return s, m.work(len(s))
}

func textFilter(name string, f func(string) string) filter {
	return func(m *machine, v Value, a *args) (Value, error) {
		if _, err := a.positional(name, 0, 0); err != nil {
			return nil, err
		}
		s, err := m.softText(v)
		if err != nil {
			return nil, err
		}
		if err := m.slowWork(len(s)); err != nil {
			return nil, err
		}
		if err := m.grow(int64(2 * len(s))); err != nil {
			return nil, err
		}
		return likeText(v, f(s)), nil
	}
}

// titleFilter joins words anew, so even Markup gives a plain str.
func titleFilter(m *machine, v Value, a *args) (Value, error) {
	out, err := textFilter("title", filterTitle)(m, v, a)
	s, _ := asString(out)
	return s, err
}

// filterTitle raises the first letter after a space, hyphen or opening bracket.
func filterTitle(s string) string {
	var b strings.Builder
	start, first := 0, true
	for i, r := range s {
		if strings.ContainsRune("-({[<", r) || isSpace(r) {
			b.WriteString(pyLower(s[start:i]))
			b.WriteRune(r)
			start, first = i+len(string(r)), true
			continue
		}
		if first {
			b.WriteString(upperRune(r))
			start, first = i+len(string(r)), false
		}
	}
	b.WriteString(pyLower(s[start:]))
	return b.String()
}

func filterTrim(m *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("trim", 0, "chars")
	if err != nil {
		return nil, err
	}
	s, err := m.softText(v)
	if err != nil {
		return nil, err
	}
	chars, given, err := optText("strip", p[0], "")
	return likeText(v, strip(s, true, true, chars, given)), err
}

func filterReplace(m *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("replace", 2, "old", "new", "count")
	if err != nil {
		return nil, err
	}
	n := int64(-1)
	if p[2] != absent && p[2] != nil {
		if n, err = needInt(p[2]); err != nil {
			return nil, err
		}
	}
	var texts [3]string
	for i, x := range [3]Value{v, p[0], p[1]} {
		if texts[i], err = m.str(x); err != nil {
			return nil, err
		}
	}
	return m.replace("", texts[0], texts[1], texts[2], n)
}

func filterIndent(m *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("indent", 0, "width", "first", "blank")
	if err != nil {
		return nil, err
	}
	by := "    "
	if p[0] != absent {
		if s, ok := asString(p[0]); ok {
			by = s
		} else {
			n, err := needInt(p[0])
			if err != nil {
				return nil, err
			}
			if err := m.grow(max(n, 0)); err != nil {
				return nil, err
			}
			by = strings.Repeat(" ", int(max(n, 0)))
		}
	}
	if u, ok := v.(*Undefined); ok {
		return nil, u.fail()
	}
	s, ok := asString(v)
	if isList(v) {
		return nil, failf("AttributeError", "'list' object has no attribute 'splitlines'")
	}
	if !ok {
		return nil, typeErr("unsupported operand type(s) for +=: '%s' and 'str'", typeName(v))
	}
	if err := m.grow(int64(len(s) * 2)); err != nil {
		return nil, err
	}
	lines := pyLines(s+"\n", false)
	if err := m.growTimes(len(by)+1, int64(len(lines)+1)); err != nil {
		return nil, err
	}
	blank := p[2] != absent && truth(p[2])
	var b strings.Builder
	if p[1] != absent && truth(p[1]) {
		b.WriteString(by)
	}
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('\n')
			if blank || line != "" {
				b.WriteString(by)
			}
		}
		b.WriteString(line)
	}
	return likeText(v, b.String()), nil
}

func filterCenter(m *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("center", 0, "width")
	if err != nil {
		return nil, err
	}
	width := int64(80)
	if p[0] != absent {
		if width, err = needInt(p[0]); err != nil {
			return nil, err
		}
	}
	s, err := m.softText(v)
	if err != nil {
		return nil, err
	}
	out, err := m.padText("center", s, width, " ")
	return likeText(v, out), err
}

func filterTruncate(m *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("truncate", 0, "length", "killwords", "end", "leeway")
	if err != nil {
		return nil, err
	}
	length, leeway, end := int64(255), int64(5), "..."
	if p[0] != absent {
		if length, err = needInt(p[0]); err != nil {
			return nil, err
		}
	}
	if p[2] != absent {
		if end, err = needText(p[2]); err != nil {
			return nil, err
		}
	}
	if p[3] != absent && p[3] != nil {
		if leeway, err = needInt(p[3]); err != nil {
			return nil, err
		}
	}
	if length < int64(runeLen(end)) {
		return nil, failf("AssertionError", "expected length >= %d, got %d", runeLen(end), length)
	}
	if leeway < 0 {
		return nil, failf("AssertionError", "expected leeway >= 0, got %d", leeway)
	}
	if n, err := m.length(v); err != nil || n <= length || n-length <= leeway {
		return v, err
	}
	if !isStr(v) {
		return nil, failf("AttributeError", "'%s' object has no attribute 'rsplit'", typeName(v))
	}
	t, err := m.runes(v)
	if err != nil {
		return nil, err
	}
	cut := t.slice(0, length-int64(runeLen(end)))
	if p[1] == absent || !truth(p[1]) {
		if i := strings.LastIndexByte(cut, ' '); i >= 0 {
			cut = cut[:i]
		}
	}
	return m.textResult(v, cut+end)
}

func filterWordcount(m *machine, v Value, _ *args) (Value, error) {
	s, err := m.softText(v)
	if err != nil {
		return nil, err
	}
	if err := m.slowWork(len(s)); err != nil {
		return nil, err
	}
	n := int64(0)
	inWord := false
	for _, r := range s {
		w := r == '_' || classWord(r)
		if w && !inWord {
			n++
		}
		inWord = w
	}
	return n, nil
}

func filterURLEncode(m *machine, v Value, _ *args) (Value, error) {
	if !isStr(v) {
		return nil, unsupported("filter 'urlencode' of a %s is not supported", typeName(v))
	}
	s, _ := asString(v)
	if err := m.grow(int64(3 * len(s))); err != nil {
		return nil, err
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_.-~/", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
	return b.String(), nil
}
