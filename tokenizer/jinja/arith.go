package jinja

import (
	"cmp"
	"html"
	"math/big"
	"slices"
	"strings"
)

// asInt gives an int or bool of 64 bits.
func asInt(v Value) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

func isNumber(v Value) bool { return slices.Contains([]string{"int", "float", "bool"}, typeName(v)) }

// refuseBig panics if any of the values is an integer past 64 bits.
func refuseBig(vals ...Value) {
	for _, v := range vals {
		n, is := v.(bigInt)
		refuseIf(is, "computing with %s, an integer past 64 bits,", clip(string(n)))
	}
}

// arith applies an arithmetic operator. Strings and lists join and repeat as in Python; an undefined operand is an error.
func (r *render) arith(op string, a, b Value) Value {
	marked := typeName(a) == "Markup" || typeName(b) == "Markup"
	if op != "+" && marked || op == "%" && typeName(a) == "str" {
		panic(unsupported("'%s' with a %s and a %s", op, typeName(a), typeName(b)))
	}
	defined(a, b)
	x, okX := asInt(a)
	y, okY := asInt(b)
	switch {
	case okX && okY:
		return intArith(op, x, y)
	case isNumber(a) && isNumber(b):
		refuseBig(a, b)
		panic(unsupported("'%s' on a float", op))
	case op == "+" && (isSequence(a) || marked):
		return r.join(a, b)
	case op == "*" && okY && isSequence(a):
		return r.repeat(a, y)
	case op == "*" && okX && isSequence(b):
		return r.repeat(b, x)
	}
	refuseBig(a, b)
	panic(errorf("TypeError", "unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(a), typeName(b)))
}

func isSequence(v Value) bool {
	_, ok := v.(string)
	return ok || isKind(v, list) || isKind(v, tuple)
}

// signed is +v or -v.
func (r *render) signed(op string, v Value) Value {
	defined(v)
	if f, ok := v.(float64); ok && op == "-" {
		return -f
	}
	require(isNumber(v), "TypeError", "bad operand type for unary %s: '%s'", op, typeName(v))
	return r.arith(op, int64(0), v)
}

// join is a + b of two texts, lists or tuples. Text that is marked safe escapes the other.
func (r *render) join(a, b Value) Value {
	x, isTextA := asString(a)
	y, isTextB := asString(b)
	l, isListA := a.(*List)
	m, isListB := b.(*List)
	switch {
	case isTextA && isTextB && typeName(a) == typeName(b):
		r.grow(int64(len(x) + len(y)))
		return like(a, x+y)
	case isTextA && isTextB:
		r.grow(int64(6 * (len(x) + len(y))))
		if typeName(a) == "str" {
			return safeText(html.EscapeString(x) + y)
		}
		return safeText(x + html.EscapeString(y))
	case isListA && isListB && l.kind == m.kind:
		r.grow(int64(16 * (len(l.Items) + len(m.Items))))
		return &List{Items: slices.Concat(l.Items, m.Items), kind: l.kind}
	}
	panic(errorf("TypeError", `can only concatenate %s (not "%s") to %s`, typeName(a), typeName(b), typeName(a)))
}

func (r *render) repeat(v Value, n int64) Value {
	s, ok := v.(string)
	refuseIf(!ok, "'*' on a %s", typeName(v))
	r.growTimes(len(s), n)
	return strings.Repeat(s, max(int(n), 0))
}

// intArith computes in integers of any size, as Python does, and refuses a result that does not fit 64 bits.
func intArith(op string, x, y int64) Value {
	require(y != 0 || !strings.Contains("//%", op), "ZeroDivisionError", "division by zero")
	a, b, out := big.NewInt(x), big.NewInt(y), new(big.Int)
	fits := true
	switch op {
	case "+":
		out.Add(a, b)
	case "-":
		out.Sub(a, b)
	case "*":
		out.Mul(a, b)
	case "//", "%": // Python rounds down, as Div does for a positive divisor
		if y < 0 {
			a.Neg(a)
			b.Neg(b)
		}
		rest := new(big.Int)
		out.DivMod(a, b, rest)
		if op == "%" {
			out.Mul(rest, big.NewInt(int64(cmp.Compare(y, 0))))
		}
	case "/":
		const exact = 1 << 53
		if max(x, y) < exact && min(x, y) > -exact {
			return float64(x) / float64(y)
		}
		fits = false
	case "**":
		if fits = y >= 0 && (y < 64 || -1 <= x && x <= 1); fits {
			out.Exp(a, b, nil)
		}
	}
	refuseIf(!fits || !out.IsInt64(), "%d %s %d, which does not fit 64 bits,", x, op, y)
	return out.Int64()
}
