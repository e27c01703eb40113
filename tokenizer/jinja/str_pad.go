package jinja

import (
	"strings"
	"unicode/utf8"
)

// padText pads s with fill to width code points: center, ljust or rjust.
func (m *machine) padText(name, s string, width int64, fill string) (string, error) {
	if err := m.work(len(s)); err != nil {
		return "", err
	}
	pad := width - int64(runeLen(s))
	if pad <= 0 {
		return s, nil
	}
	if err := m.growTimes(len(fill), pad); err != nil {
		return "", err
	}
	if err := m.grow(int64(len(s))); err != nil {
		return "", err
	}
	left := pad
	switch name {
	case "ljust":
		left = 0
	case "center":
		left = pad/2 + pad&width&1
	}
	return strings.Repeat(fill, int(left)) + s + strings.Repeat(fill, int(pad-left)), nil
}

func padMethod(name string) method {
	return func(m *machine, self Value, a *args) (Value, error) {
		p, err := a.positional(name, 1, 2)
		if err != nil {
			return nil, err
		}
		width, err := needInt(p[0])
		if err != nil {
			return nil, err
		}
		fill := " "
		if p[1] != absent {
			if fill, err = needText(p[1]); err != nil {
				return nil, err
			}
			if utf8.RuneCountInString(fill) != 1 {
				return nil, typeErr("The fill character must be exactly one character long")
			}
		}
		s, _ := asString(self)
		out, err := m.padText(name, s, width, fill)
		return likeText(self, out), err
	}
}

func zfill(m *machine, self Value, a *args) (Value, error) {
	p, err := a.positional("zfill", 1, 1)
	if err != nil {
		return nil, err
	}
	width, err := needInt(p[0])
	if err != nil {
		return nil, err
	}
	s, _ := asString(self)
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, s = s[:1], s[1:]
	}
	out, err := m.padText("rjust", s, width-int64(len(sign)), "0")
	return likeText(self, sign+out), err
}

func expandtabs(m *machine, self Value, a *args) (Value, error) {
	p, err := a.bind("expandtabs", 0, "tabsize")
	if err != nil {
		return nil, err
	}
	size := int64(8)
	if p[0] != absent {
		if size, err = needInt(p[0]); err != nil {
			return nil, err
		}
	}
	s, err := selfText(m, self)
	if err != nil {
		return nil, err
	}
	if err := m.growTimes(int(min(max(size, 1), 1<<30)), int64(strings.Count(s, "\t"))); err != nil {
		return nil, err
	}
	var b strings.Builder
	column := int64(0)
	for _, r := range s {
		switch r {
		case '\t':
			if size > 0 {
				n := size - column%size
				b.WriteString(strings.Repeat(" ", int(n)))
				column += n
			}
		case '\n', '\r':
			column = 0
			b.WriteRune(r)
		default:
			column++
			b.WriteRune(r)
		}
	}
	return m.textResult(self, b.String())
}
