package jinja

import (
	"math"
	"math/big"
	"math/bits"
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
	case op == "**":
		op = "** or pow()"
	}
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

func zeroDivision(msg string) *Error { return errorf("ZeroDivisionError", "%s", msg) }

func floatArith(op string, x, y float64) Value {
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "**":
		return floatPower(x, y)
	}
	if y == 0 {
		panic(zeroDivision(map[string]string{
			"/": "float division by zero", "//": "float floor division by zero", "%": "float modulo",
		}[op]))
	}
	switch op {
	case "/":
		return x / y
	case "//":
		q, _ := floatDivMod(x, y)
		return q
	}
	_, rest := floatDivMod(x, y)
	return rest
}

func floatPower(x, y float64) Value {
	switch {
	case x == 0 && y < 0:
		panic(zeroDivision("0.0 cannot be raised to a negative power"))
	case x < 0 && y != math.Trunc(y) && !math.IsInf(y, 0):
		panic(unsupported("a complex number"))
	}
	p := math.Pow(x, y)
	if math.IsInf(p, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		panic(errorf("OverflowError", "(34, 'Numerical result out of range')"))
	}
	return p
}

// floatDivMod is Python's: the remainder has the divisor's sign.
func floatDivMod(x, y float64) (q, rest float64) {
	rest = math.Mod(x, y)
	q = (x - rest) / y
	if rest == 0 {
		rest = math.Copysign(0, y)
	} else if (y < 0) != (rest < 0) {
		rest += y
		q--
	}
	if q == 0 {
		return math.Copysign(0, x/y), rest
	}
	f := math.Floor(q)
	if q-f > 0.5 {
		f++
	}
	return f, rest
}

// intArith computes in 64 bits. Python's integers have no bound, so a result that does not fit is refused, never wrapped.
func intArith(op string, x, y int64) Value {
	if y == 0 && (op == "/" || op == "//" || op == "%") {
		panic(zeroDivision(map[string]string{
			"/": "division by zero", "//": "integer division or modulo by zero", "%": "integer modulo by zero",
		}[op]))
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
		f, _ := new(big.Rat).SetFrac(big.NewInt(x), big.NewInt(y)).Float64()
		return f
	case "//", "%":
		ok = x != math.MinInt64 || y != -1
		if ok {
			out = x / y
			if rest := x % y; op == "%" {
				out = rest
				if rest != 0 && (rest < 0) != (y < 0) {
					out += y
				}
			} else if rest != 0 && (rest < 0) != (y < 0) {
				out--
			}
		}
	case "**":
		if y < 0 {
			return floatPower(float64(x), float64(y))
		}
		out, ok = power(x, y)
	}
	if !ok {
		panic(unsupported("%d %s %d, an integer past 64 bits,", x, op, y))
	}
	return out
}

func multiply(x, y int64) (int64, bool) {
	hi, lo := bits.Mul64(uint64(x), uint64(y))
	if x < 0 {
		hi -= uint64(y)
	}
	if y < 0 {
		hi -= uint64(x)
	}
	return int64(lo), int64(hi) == int64(lo)>>63
}

func power(x, y int64) (out int64, ok bool) {
	out, ok = 1, true
	if x == 0 || x == 1 || x == -1 { // else y is below 64
		y = min(y, 2+y%2)
	}
	for ; y > 0 && ok; y-- {
		out, ok = multiply(out, x)
	}
	return out, ok
}
