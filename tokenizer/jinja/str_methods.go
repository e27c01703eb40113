package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// strMethods are the methods of str. Each is charged for the text it reads
// and for the text it makes.
var strMethods map[string]method

func init() { // here, because format() leads back to attributes
	strMethods = map[string]method{
		"strip":  stripMethod("strip", true, true),
		"lstrip": stripMethod("lstrip", true, false),
		"rstrip": stripMethod("rstrip", false, true),

		"upper": caseMethod("upper", pyUpper), "lower": caseMethod("lower", pyLower),
		"title": caseMethod("title", pyTitle), "capitalize": caseMethod("capitalize", pyCapitalize),
		"swapcase": caseMethod("swapcase", pySwapcase), "casefold": caseMethod("casefold", pyCasefold),

		"startswith": affixMethod("startswith", strings.HasPrefix),
		"endswith":   affixMethod("endswith", strings.HasSuffix),

		"removeprefix": cutMethod("removeprefix", strings.TrimPrefix),
		"removesuffix": cutMethod("removesuffix", strings.TrimSuffix),

		"find": findMethod("find", false, false), "rfind": findMethod("rfind", true, false),
		"index": findMethod("index", false, true), "rindex": findMethod("rindex", true, true),

		"split": splitMethod("split", false), "rsplit": splitMethod("rsplit", true),
		"splitlines": splitlines, "partition": partitionMethod(false), "rpartition": partitionMethod(true),

		"center": padMethod("center"), "ljust": padMethod("ljust"), "rjust": padMethod("rjust"),
		"zfill": zfill, "expandtabs": expandtabs,

		"replace": replaceMethod, "join": joinMethod, "count": countMethod,
		"format": formatMethod, "format_map": formatMapMethod,

		"isalpha":      classMethod(unicode.IsLetter),
		"isdigit":      classMethod(isDigitRune),
		"isdecimal":    classMethod(func(r rune) bool { return unicode.Is(unicode.Nd, r) }),
		"isnumeric":    classMethod(unicode.IsNumber),
		"isalnum":      classMethod(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
		"isspace":      classMethod(isSpace),
		"isascii":      emptyToo(func(r rune) bool { return r < 0x80 }),
		"isprintable":  emptyToo(unicode.IsPrint),
		"islower":      casedMethod(isLowerText),
		"isupper":      casedMethod(isUpperText),
		"istitle":      casedMethod(isTitleText),
		"isidentifier": casedMethod(isIdentifier),
	}
}

func selfText(m *machine, self Value) (string, error) {
	s, _ := asString(self)
	return s, m.work(len(s))
}

// optText gives an optional str argument; absent and None give def.
func optText(name string, v Value, def string) (string, bool, error) {
	if v == absent || v == nil {
		return def, false, nil
	}
	if u, ok := v.(*Undefined); ok {
		return "", false, typeErr("%s arg must be None or str, not %s", name, typeName(u))
	}
	s, ok := asString(v)
	if !ok {
		return "", false, typeErr("%s arg must be None or str, not %s", name, typeName(v))
	}
	return s, true, nil
}

func needText(v Value) (string, error) {
	s, ok := asString(v)
	if !ok {
		return "", typeErr("must be str, not %s", typeName(v))
	}
	return s, nil
}

func needInt(v Value) (int64, error) {
	if u, ok := v.(*Undefined); ok {
		return 0, u.fail()
	}
	n, ok := asInt(v)
	if !ok {
		if isInt(v) {
			return 0, failf("OverflowError", "Python int too large to convert to C ssize_t")
		}
		return 0, typeErr("'%s' object cannot be interpreted as an integer", typeName(v))
	}
	return n, nil
}

// textResult charges for s and gives it self's type.
func (m *machine) textResult(self Value, s string) (Value, error) {
	return likeText(self, s), m.grow(int64(len(s)))
}

func strip(s string, left, right bool, chars string, given bool) string {
	drop := isSpace
	if given {
		set := make(map[rune]bool, 8)
		for _, r := range chars {
			set[r] = true
		}
		drop = func(r rune) bool { return set[r] }
	}
	if left {
		s = strings.TrimLeftFunc(s, drop)
	}
	if right {
		s = strings.TrimRightFunc(s, drop)
	}
	return s
}

func stripMethod(name string, left, right bool) method {
	return func(m *machine, self Value, a *args) (Value, error) {
		p, err := a.positional(name, 0, 1)
		if err != nil {
			return nil, err
		}
		chars, given, err := optText(name, p[0], "")
		if err != nil {
			return nil, err
		}
		s, err := selfText(m, self)
		if err != nil {
			return nil, err
		}
		return likeText(self, strip(s, left, right, chars, given)), m.work(4 * len(chars))
	}
}

func caseMethod(name string, f func(string) string) method {
	return func(m *machine, self Value, a *args) (Value, error) {
		if _, err := a.positional(name, 0, 0); err != nil {
			return nil, err
		}
		s, err := selfText(m, self)
		if err != nil {
			return nil, err
		}
		if err := m.slowWork(len(s)); err != nil { // before the work
			return nil, err
		}
		if err := m.grow(int64(2 * len(s))); err != nil {
			return nil, err
		}
		return likeText(self, f(s)), nil
	}
}

func affixMethod(name string, has func(s, affix string) bool) method {
	return func(m *machine, self Value, a *args) (Value, error) {
		p, err := a.positional(name, 1, 3)
		if err != nil {
			return nil, err
		}
		s, err := selfWindow(m, self, p[1], p[2])
		if err != nil {
			return nil, err
		}
		if t, ok := p[0].(*Tuple); ok {
			for _, x := range t.Items {
				affix, ok := asString(x)
				if !ok {
					return nil, typeErr("tuple for %s must only contain str, not %s", name, typeName(x))
				}
				if has(s, affix) {
					return true, m.work(len(affix))
				}
			}
			return false, m.step(len(t.Items))
		}
		affix, ok := asString(p[0])
		if !ok {
			return nil, typeErr("%s first arg must be str or a tuple of str, not %s", name, typeName(p[0]))
		}
		return has(s, affix), m.work(len(affix))
	}
}

// selfWindow is self[start:end].
func selfWindow(m *machine, self, start, end Value) (string, error) {
	s, _ := asString(self)
	if (start == absent || start == nil) && (end == absent || end == nil) {
		return s, nil
	}
	t, err := m.runes(self)
	if err != nil {
		return "", err
	}
	i, j, err := findRange(start, end, t.n)
	if err != nil || i >= j {
		return "", err
	}
	return t.slice(i, j), nil
}

func findRange(start, end Value, n int64) (i, j int64, err error) {
	at := func(v Value, def int64) (int64, error) {
		if v == absent || v == nil {
			return def, nil
		}
		k, ok := asInt(v)
		if !ok {
			return 0, typeErr("slice indices must be integers or None or have an __index__ method")
		}
		if k < 0 {
			k += n
		}
		return max(k, 0), nil
	}
	if i, err = at(start, 0); err != nil {
		return 0, 0, err
	}
	if j, err = at(end, n); err != nil {
		return 0, 0, err
	}
	return i, min(j, n), nil
}

func cutMethod(name string, cut func(s, affix string) string) method {
	return func(_ *machine, self Value, a *args) (Value, error) {
		p, err := a.positional(name, 1, 1)
		if err != nil {
			return nil, err
		}
		affix, err := needText(p[0])
		s, _ := asString(self)
		return likeText(self, cut(s, affix)), err
	}
}

func findMethod(name string, last, must bool) method {
	return func(m *machine, self Value, a *args) (Value, error) {
		p, err := a.positional(name, 1, 3)
		if err != nil {
			return nil, err
		}
		sub, err := needText(p[0])
		if err != nil {
			return nil, err
		}
		t, err := m.runes(self)
		if err != nil {
			return nil, err
		}
		i, j, err := findRange(p[1], p[2], t.n)
		if err != nil {
			return nil, err
		}
		at := -1
		if i <= j {
			window := t.slice(i, j)
			if last {
				at = strings.LastIndex(window, sub)
			} else {
				at = strings.Index(window, sub)
			}
			if at >= 0 {
				return i + int64(utf8.RuneCountInString(window[:at])), nil
			}
		}
		if must {
			return nil, valueErr("substring not found")
		}
		return int64(at), nil
	}
}
