package jinja

import (
	"math"
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

func isNumber(v Value) bool {
	switch v.(type) {
	case int64, bool, float64, bigInt:
		return true
	}
	return false
}

// refuseBig panics if any of the values is an integer past 64 bits.
func refuseBig(vals ...Value) {
	for _, v := range vals {
		if n, ok := v.(bigInt); ok {
			panic(unsupported("computing with %s, an integer past 64 bits,", clip(string(n))))
		}
	}
}

func toFloat(v Value) float64 {
	refuseBig(v)
	if f, ok := v.(float64); ok {
		return f
	}
	n, _ := asInt(v)
	return float64(n)
}

// arith applies an arithmetic operator. Strings and lists join and repeat as in Python; an undefined operand is an error.
func (r *render) arith(op string, a, b Value) Value {
	if op != "+" && (typeName(a) == "Markup" || typeName(b) == "Markup") {
		panic(unsupported("'%s' on text that the safe filter made", op))
	}
	text, isText := a.(string)
	if op != "%" || !isText {
		defined(a, b)
	}
	x, okX := asInt(a)
	y, okY := asInt(b)
	switch {
	case okX && okY:
		return intArith(op, x, y)
	case isNumber(a) && isNumber(b):
		return floatArith(op, toFloat(a), toFloat(b))
	case op == "+" && (isSequence(a) || typeName(a) == "Markup"):
		return r.join(a, b)
	case op == "*" && okY && isSequence(a):
		return r.repeat(a, y)
	case op == "*" && okX && isSequence(b):
		return r.repeat(b, x)
	case op == "%" && isText:
		return r.format(text, b)
	}
	refuseBig(a, b)
	panic(typeErr("unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(a), typeName(b)))
}

func isSequence(v Value) bool {
	_, ok := v.(string)
	return ok || isKind(v, list) || isKind(v, tuple)
}

// join is a + b of two texts, lists or tuples. Text that is marked safe escapes the other.
func (r *render) join(a, b Value) Value {
	x, isText := asString(a)
	if y, ok := asString(b); ok && isText {
		r.grow(int64(len(x) + len(y)))
		switch typeName(a) + typeName(b) {
		case "strstr":
			return x + y
		case "strMarkup":
			x = r.escaped(x)
		case "Markupstr":
			y = r.escaped(y)
		}
		return safeText(x + y)
	}
	l, isList := a.(*List)
	if m, ok := b.(*List); ok && isList && l.kind == m.kind {
		r.grow(int64(16 * (len(l.Items) + len(m.Items))))
		return &List{Items: slices.Concat(l.Items, m.Items), kind: l.kind}
	}
	panic(typeErr(`can only concatenate %s (not "%s") to %s`, typeName(a), typeName(b), typeName(a)))
}

var htmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;")

func (r *render) escaped(s string) string {
	r.grow(int64(4 * len(s)))
	return htmlEscapes.Replace(s)
}

func (r *render) repeat(v Value, n int64) Value {
	n = max(n, 0)
	if s, ok := v.(string); ok {
		r.growTimes(len(s), n)
		if s == "" {
			return s
		}
		return strings.Repeat(s, int(n))
	}
	l := v.(*List)
	r.growTimes(16*len(l.Items), n)
	var out []Value
	if len(l.Items) > 0 {
		out = make([]Value, 0, len(l.Items)*int(n))
		for range n {
			out = append(out, l.Items...)
		}
	}
	return &List{Items: out, kind: l.kind}
}

func floatArith(op string, x, y float64) Value {
	switch {
	case op == "+":
		return x + y
	case op == "-":
		return x - y
	case op == "*":
		return x * y
	case op == "/" && y == 0:
		panic(errorf("ZeroDivisionError", "float division by zero"))
	case op == "/":
		return x / y
	}
	panic(unsupported("'%s' on a float", op))
}

// intArith computes in 64 bits. Python's integers have no bound, so a result that does not fit is refused, never wrapped.
func intArith(op string, x, y int64) Value {
	if y == 0 && strings.Contains("//%", op) {
		panic(errorf("ZeroDivisionError", "division by zero"))
	}
	out, ok := int64(0), true
	switch op {
	case "+":
		out = x + y
		ok = (out > x) == (y > 0)
	case "-":
		out = x - y
		ok = (out < x) == (y > 0)
	case "*":
		out, ok = multiply(x, y)
	case "/":
		if x > -1<<53 && x < 1<<53 && y > -1<<53 && y < 1<<53 {
			return float64(x) / float64(y)
		}
		ok = false
	case "//", "%":
		quotient, rest := int64(0), int64(0)
		if ok = x != math.MinInt64; ok {
			quotient, rest = x/y, x%y
		}
		if rest != 0 && (rest < 0) != (y < 0) {
			quotient, rest = quotient-1, rest+y
		}
		out = quotient
		if op == "%" {
			out = rest
		}
	case "**":
		ok = y >= 0 && (y < 64 || x == 0 || x == 1)
		for out = 1; ok && y > 0 && out != 0 && x != 1; y-- {
			out, ok = multiply(out, x)
		}
	}
	if !ok {
		panic(unsupported("%d %s %d, which does not fit 64 bits,", x, op, y))
	}
	return out
}

func multiply(x, y int64) (int64, bool) {
	out := x * y
	return out, x == 0 || out/x == y && (x != -1 || y != math.MinInt64)
}
