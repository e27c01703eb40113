package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
)

func classWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// parseInt is Python's int(s, base); not ok where that raises ValueError.
func parseInt(s string, base int64) (Value, bool) {
	s = strip(s, true, true, "", false)
	if len(s) > maxIntBits/4 || s == "" {
		return nil, false
	}
	sign := ""
	if s[0] == '-' || s[0] == '+' {
		sign, s = s[:1], s[1:]
	}
	if prefix := map[int64]string{16: "0x", 8: "0o", 2: "0b"}[base]; prefix != "" && len(s) > 2 && strings.EqualFold(s[:2], prefix) {
		s = strings.TrimPrefix(s[2:], "_")
	}
	if base < 2 || base > 36 || s == "" || s[0] == '_' || s[0] == '-' || s[0] == '+' || strings.HasSuffix(s, "_") || strings.Contains(s, "__") {
		return nil, false
	}
	n, ok := new(big.Int).SetString(sign+strings.ReplaceAll(s, "_", ""), int(base))
	if !ok {
		return nil, false
	}
	return normInt(n), true
}

// parseFloat is Python's float(s).
func parseFloat(s string) (float64, bool) {
	s = strip(s, true, true, "", false)
	low := strings.ToLower(strings.TrimLeft(s, "+-"))
	if s == "" || strings.ContainsAny(low, "xp") || strings.HasPrefix(s, "_") {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

func filterInt(m *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("int", 0, "default", "base")
	if err != nil {
		return nil, err
	}
	def := p[0]
	if def == absent {
		def = int64(0)
	}
	base := int64(10)
	if p[1] != absent {
		if base, err = needInt(p[1]); err != nil {
			return nil, err
		}
	}
	switch x := v.(type) {
	case bool:
		return b2i(x), nil
	case int64, *big.Int:
		return v, nil
	case float64:
		return floatToInt(x)
	case *Undefined:
		return nil, x.fail()
	}
	s, ok := asString(v)
	if !ok {
		return def, nil
	}
	if err := m.work(len(s) * 4); err != nil {
		return nil, err
	}
	if n, ok := parseInt(s, base); ok {
		return n, nil
	}
	if f, ok := parseFloat(s); ok {
		n, err := floatToInt(f)
		if err != nil && math.IsNaN(f) {
			return def, nil
		}
		return n, err
	}
	return def, nil
}

func floatToInt(f float64) (Value, error) {
	switch {
	case math.IsNaN(f):
		return nil, valueErr("cannot convert float NaN to integer")
	case math.IsInf(f, 0):
		return nil, failf("OverflowError", "cannot convert float infinity to integer")
	}
	n, _ := big.NewFloat(f).Int(nil)
	return normInt(n), nil
}

func filterFloat(m *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("float", 0, "default")
	if err != nil {
		return nil, err
	}
	if u, ok := v.(*Undefined); ok {
		return nil, u.fail()
	}
	if isNumber(v) {
		return toFloat(v), nil
	}
	if s, ok := asString(v); ok {
		if err := m.work(len(s) * 4); err != nil {
			return nil, err
		}
		if f, ok := parseFloat(s); ok {
			return f, nil
		}
	}
	if p[0] == absent {
		return 0.0, nil
	}
	return p[0], nil
}

func filterAbs(_ *machine, v Value, _ *args) (Value, error) {
	switch x := v.(type) {
	case float64:
		return math.Abs(x), nil
	case *Undefined:
		return nil, typeErr("bad operand type for abs(): 'Undefined'")
	}
	if !isInt(v) {
		return nil, typeErr("bad operand type for abs(): '%s'", typeName(v))
	}
	if toBig(v).Sign() < 0 {
		return intArith("-", int64(0), v)
	}
	return intArith("+", int64(0), v)
}

func filterRound(_ *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("round", 0, "precision", "method")
	if err != nil {
		return nil, err
	}
	digits := int64(0)
	if p[0] != absent {
		if digits, err = needInt(p[0]); err != nil {
			return nil, err
		}
	}
	how := "common"
	if p[1] != absent {
		how, _ = asString(p[1])
	}
	if how != "common" && how != "ceil" && how != "floor" {
		return nil, failf("FilterArgumentError", "method must be common, ceil or floor")
	}
	if u, ok := v.(*Undefined); ok {
		return nil, typeErr("type %s doesn't define __round__ method", typeName(u))
	}
	if !isNumber(v) {
		return nil, typeErr("type %s doesn't define __round__ method", typeName(v))
	}
	if digits < -400 || digits > 400 {
		return nil, valueErr("round: precision %d is out of range -400..400", digits)
	}
	if how == "common" {
		return roundHalfEven(v, digits)
	}
	scale, err := arith("**", int64(10), digits)
	if err != nil {
		return nil, err
	}
	scaled, err := arith("*", v, scale)
	if err != nil {
		return nil, err
	}
	f := toFloat(scaled)
	if how == "ceil" {
		f = math.Ceil(f)
	} else {
		f = math.Floor(f)
	}
	n, err := floatToInt(f)
	if err != nil {
		return nil, err
	}
	return arith("/", n, scale)
}

// roundHalfEven is Python's round(v, digits) with digits given.
func roundHalfEven(v Value, digits int64) (Value, error) {
	f, ok := v.(float64)
	if !ok {
		n, err := intArith("+", int64(0), v)
		if err != nil || digits >= 0 {
			return n, err
		}
		unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(-digits), nil)
		q, r := new(big.Int).DivMod(toBig(n), unit, new(big.Int))
		twice := new(big.Int).Lsh(r, 1)
		if c := twice.Cmp(unit); c > 0 || c == 0 && q.Bit(0) == 1 {
			q.Add(q, big.NewInt(1))
		}
		return normInt(q.Mul(q, unit)), nil
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return f, nil
	}
	if digits >= 0 {
		// FormatFloat rounds the exact binary value, half to even, as CPython does.
		out, err := strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(digits), 64), 64)
		return out, err
	}
	p := math.Pow(10, float64(-digits))
	return math.RoundToEven(f/p) * p, nil
}
