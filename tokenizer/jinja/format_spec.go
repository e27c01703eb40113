package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// spec is a format specification: [[fill]align][sign][#][0][width][,][.precision][type].
type spec struct {
	fill      string
	align     byte // '<' '>' '^' '=', 0: by type
	sign      byte // '+', ' ' or 0
	alt       bool
	width     int64
	comma     string
	precision int64 // -1: none
	verb      byte  // 0: by type
}

// maxFormat bounds widths and precisions before they are charged for.
const maxFormat = 1 << 24

func parseSpec(s string) (spec, error) {
	f := spec{fill: " ", precision: -1}
	if r, size := utf8.DecodeRuneInString(s); size > 0 && len(s) > size && strings.IndexByte("<>^=", s[size]) >= 0 {
		f.fill, f.align, s = string(r), s[size], s[size+1:]
	} else if s != "" && strings.IndexByte("<>^=", s[0]) >= 0 {
		f.align, s = s[0], s[1:]
	}
	if s != "" && strings.IndexByte("+- ", s[0]) >= 0 {
		if s[0] != '-' {
			f.sign = s[0]
		}
		s = s[1:]
	}
	if strings.HasPrefix(s, "#") {
		f.alt, s = true, s[1:]
	}
	if strings.HasPrefix(s, "0") {
		if f.align == 0 {
			f.fill, f.align = "0", '='
		}
		s = s[1:]
	}
	var err error
	if f.width, s, err = takeNumber(s, 0); err != nil {
		return f, err
	}
	if s != "" && (s[0] == ',' || s[0] == '_') {
		f.comma, s = s[:1], s[1:]
	}
	if strings.HasPrefix(s, ".") {
		if f.precision, s, err = takeNumber(s[1:], -1); err != nil {
			return f, err
		}
		if f.precision < 0 {
			return f, valueErr("Format specifier missing precision")
		}
	}
	if len(s) > 1 {
		return f, valueErr("Invalid format specifier")
	}
	if s != "" {
		f.verb = s[0]
	}
	return f, nil
}

func takeNumber(s string, none int64) (int64, string, error) {
	n := len(s) - len(strings.TrimLeft(s, "0123456789"))
	if n == 0 {
		return none, s, nil
	}
	v, err := strconv.ParseInt(s[:n], 10, 64)
	if err != nil || v > maxFormat {
		return 0, "", &LimitError{What: "format width", Limit: maxFormat}
	}
	return v, s[n:], nil
}

// formatValue is Python's format(v, spec).
func (m *machine) formatValue(v Value, text string) (string, error) {
	if text == "" {
		return m.str(v)
	}
	f, err := parseSpec(text)
	if err != nil {
		return "", err
	}
	if s, ok := asString(v); ok {
		if f.verb != 0 && f.verb != 's' {
			return "", valueErr("Unknown format code '%c' for object of type 'str'", f.verb)
		}
		if f.sign != 0 || f.align == '=' && f.fill != "0" {
			return "", valueErr("Sign not allowed in string format specifier")
		}
		if f.align == '=' || f.align == 0 {
			f.align = '<'
		}
		return m.padFormat(&f, "", cutRunes(s, f.precision))
	}
	if !isNumber(v) {
		return "", typeErr("unsupported format string passed to %s.__format__", typeName(v))
	}
	if b, ok := v.(bool); ok && f.verb != 0 {
		v = b2i(b)
	}
	sign, body, err := m.formatNumber(&f, v)
	if err != nil {
		return "", err
	}
	if f.align == 0 {
		f.align = '>'
	}
	return m.padFormat(&f, sign, body)
}

func cutRunes(s string, n int64) string {
	if n < 0 {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

func (m *machine) padFormat(f *spec, sign, body string) (string, error) {
	if f.align == '=' {
		out, err := m.padText("rjust", body, f.width-int64(len(sign)), f.fill)
		return sign + out, err
	}
	body = sign + body
	pad := f.width - int64(runeLen(body))
	if pad <= 0 {
		return body, m.grow(int64(len(body)))
	}
	if err := m.growTimes(len(f.fill), pad); err != nil {
		return "", err
	}
	left := pad
	switch f.align {
	case '<':
		left = 0
	case '^':
		left = pad / 2
	}
	return strings.Repeat(f.fill, int(left)) + body + strings.Repeat(f.fill, int(pad-left)), nil
}

// formatNumber gives the sign and the digits.
func (m *machine) formatNumber(f *spec, v Value) (sign, body string, err error) {
	isF := strings.IndexByte("eEfFgG%", f.verb) >= 0 && f.verb != 0
	if x, ok := v.(float64); ok || isF {
		if !ok {
			x = toFloat(v)
		}
		body, err = m.formatFloat(f, math.Abs(x))
		return signOf(f, math.Signbit(x)), body, err
	}
	if err := m.bigText(v); err != nil {
		return "", "", err
	}
	n := toBig(v)
	abs := new(big.Int).Abs(n)
	sign = signOf(f, n.Sign() < 0)
	if f.precision >= 0 {
		return "", "", valueErr("Precision not allowed in integer format specifier")
	}
	switch f.verb {
	case 0, 'd', 'n':
		body = abs.String()
	case 'b', 'o', 'x', 'X':
		base := map[byte]int{'b': 2, 'o': 8, 'x': 16, 'X': 16}[f.verb]
		body = abs.Text(base)
		if f.verb == 'X' {
			body = strings.ToUpper(body)
		}
		if f.alt {
			sign += "0" + string(f.verb)
		}
	case 'c':
		if !n.IsInt64() || n.Int64() < 0 || n.Int64() > utf8.MaxRune {
			return "", "", failf("OverflowError", "%%c arg not in range(0x110000)")
		}
		return "", string(rune(n.Int64())), nil
	default:
		return "", "", valueErr("Unknown format code '%c' for object of type 'int'", f.verb)
	}
	return sign, group(body, f.comma), m.grow(int64(len(body)))
}

func signOf(f *spec, negative bool) string {
	switch {
	case negative:
		return "-"
	case f.sign != 0:
		return string(f.sign)
	}
	return ""
}

// group puts sep between the thousands.
func group(s, sep string) string {
	whole, rest := s, ""
	if i := strings.IndexAny(s, ".e"); i >= 0 {
		whole, rest = s[:i], s[i:]
	}
	if sep == "" || len(whole) < 4 {
		return s
	}
	var b strings.Builder
	for i := range len(whole) {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(sep)
		}
		b.WriteByte(whole[i])
	}
	return b.String() + rest
}

func (m *machine) formatFloat(f *spec, x float64) (string, error) {
	p := int(f.precision)
	if p > 2000 {
		return "", &LimitError{What: "format precision", Limit: 2000}
	}
	verb := f.verb
	if verb == 0 {
		if p < 0 {
			return group(floatRepr(x), f.comma), nil
		}
		s, err := m.formatFloat(&spec{verb: 'g', precision: f.precision}, x)
		if err == nil && !strings.ContainsAny(s, ".en") {
			s += ".0"
		}
		return s, err
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		s := map[bool]string{true: "nan", false: "inf"}[math.IsNaN(x)]
		if verb == 'E' || verb == 'F' || verb == 'G' {
			s = strings.ToUpper(s)
		}
		return s, nil
	}
	if p < 0 {
		p = 6
	}
	var s string
	switch verb {
	case 'e', 'E', 'f', 'F':
		s = strconv.FormatFloat(x, verb|0x20, p, 64)
	case '%':
		s = strconv.FormatFloat(x*100, 'f', p, 64) + "%"
	case 'g', 'G':
		p = max(p, 1)
		s = strconv.FormatFloat(x, 'e', p-1, 64)
		exp, _ := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
		if exp >= -4 && exp < p {
			s = strconv.FormatFloat(x, 'f', p-1-exp, 64)
		}
		if !f.alt {
			mant, e := s, ""
			if i := strings.IndexByte(s, 'e'); i >= 0 {
				mant, e = s[:i], s[i:]
			}
			if strings.IndexByte(mant, '.') >= 0 {
				mant = strings.TrimRight(strings.TrimRight(mant, "0"), ".")
			}
			s = mant + e
		}
	default:
		return "", valueErr("Unknown format code '%c' for object of type 'float'", verb)
	}
	if verb == 'E' || verb == 'G' {
		s = strings.ToUpper(s)
	}
	return group(s, f.comma), nil
}
