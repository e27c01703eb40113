package jinja

import (
	"math"
	"math/big"
)

// maxIntBits bounds integers: Python itself refuses to print more than 4300
// digits.
const maxIntBits = 14_000

// normInt keeps small integers as int64.
func normInt(n *big.Int) Value {
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}

func checkedInt(n *big.Int) (Value, error) {
	if n.BitLen() > maxIntBits {
		return nil, &LimitError{What: "integer bits", Limit: maxIntBits}
	}
	return normInt(n), nil
}

// bigWork charges for arithmetic on integers past 64 bits: their product's size
// in words, and the result's bytes.
func (m *machine) bigWork(a, b Value) error {
	x, okX := a.(*big.Int)
	y, okY := b.(*big.Int)
	if !okX && !okY {
		return nil
	}
	words := 2
	if okX {
		words += len(x.Bits())
	}
	if okY {
		words += len(y.Bits())
	}
	return m.grow(int64(64 * words))
}

// bigText charges for turning such an integer into digits, which is slow.
func (m *machine) bigText(v Value) error {
	n, ok := v.(*big.Int)
	if !ok {
		return nil
	}
	return m.step(5 * len(n.Bits()))
}

// asInt gives an int or bool that fits.
func asInt(v Value) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		return b2i(v), true
	}
	return 0, false
}

func isInt(v Value) bool {
	switch v.(type) {
	case int64, bool, *big.Int:
		return true
	}
	return false
}

func isNumber(v Value) bool {
	if _, ok := v.(float64); ok {
		return true
	}
	return isInt(v)
}

func toBig(v Value) *big.Int {
	if n, ok := v.(*big.Int); ok {
		return n
	}
	n, _ := asInt(v)
	return big.NewInt(n)
}

func toFloat(v Value) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f
	}
	n, _ := asInt(v)
	return float64(n)
}

// arith computes on two numbers.
func arith(op string, a, b Value) (Value, error) {
	if isInt(a) && isInt(b) {
		return intArith(op, a, b)
	}
	x, y := toFloat(a), toFloat(b)
	switch op {
	case "+":
		return x + y, nil
	case "-":
		return x - y, nil
	case "*":
		return x * y, nil
	case "**":
		return floatPow(x, y)
	}
	if y == 0 {
		return nil, failf("ZeroDivisionError", "%s", map[string]string{
			"/": "float division by zero", "//": "float floor division by zero", "%": "float modulo",
		}[op])
	}
	switch op {
	case "/":
		return x / y, nil
	case "//":
		q, _ := floatDivMod(x, y)
		return q, nil
	}
	_, r := floatDivMod(x, y)
	return r, nil
}

func floatPow(x, y float64) (Value, error) {
	switch {
	case x == 0 && y < 0:
		return nil, failf("ZeroDivisionError", "0.0 cannot be raised to a negative power")
	case x < 0 && y != math.Trunc(y) && !math.IsInf(y, 0):
		return nil, unsupported("complex numbers are not supported")
	}
	r := math.Pow(x, y)
	if math.IsInf(r, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		return nil, failf("OverflowError", "(34, 'Numerical result out of range')")
	}
	return r, nil
}

// floatDivMod is Python's: the remainder has the divisor's sign.
func floatDivMod(x, y float64) (q, r float64) {
	r = math.Mod(x, y)
	q = (x - r) / y
	if r != 0 {
		if (y < 0) != (r < 0) {
			r += y
			q--
		}
	} else {
		r = math.Copysign(0, y)
	}
	if q != 0 {
		f := math.Floor(q)
		if q-f > 0.5 {
			f++
		}
		return f, r
	}
	return math.Copysign(0, x/y), r
}

func intArith(op string, a, b Value) (Value, error) {
	x, okX := asInt(a)
	y, okY := asInt(b)
	small := okX && okY
	switch op {
	case "+":
		if s := x + y; small && (s > x) == (y > 0) {
			return s, nil
		}
		return checkedInt(new(big.Int).Add(toBig(a), toBig(b)))
	case "-":
		if s := x - y; small && (s < x) == (y > 0) {
			return s, nil
		}
		return checkedInt(new(big.Int).Sub(toBig(a), toBig(b)))
	case "*":
		if small && x > -1<<31 && x < 1<<31 && y > -1<<31 && y < 1<<31 {
			return x * y, nil
		}
		return checkedInt(new(big.Int).Mul(toBig(a), toBig(b)))
	case "**":
		return intPow(toBig(a), toBig(b))
	}
	if toBig(b).Sign() == 0 {
		return nil, failf("ZeroDivisionError", "%s", map[string]string{
			"/": "division by zero", "//": "integer division or modulo by zero", "%": "integer modulo by zero",
		}[op])
	}
	if op == "/" {
		if small && x > -1<<53 && x < 1<<53 && y > -1<<53 && y < 1<<53 {
			return float64(x) / float64(y), nil
		}
		f, _ := new(big.Rat).SetFrac(toBig(a), toBig(b)).Float64()
		if math.IsInf(f, 0) {
			return nil, failf("OverflowError", "integer division result too large for a float")
		}
		return f, nil
	}
	q, r := new(big.Int).QuoRem(toBig(a), toBig(b), new(big.Int))
	if r.Sign() != 0 && r.Sign() != toBig(b).Sign() {
		q.Sub(q, big.NewInt(1))
		r.Add(r, toBig(b))
	}
	if op == "//" {
		return normInt(q), nil
	}
	return normInt(r), nil
}

func intPow(x, y *big.Int) (Value, error) {
	if y.Sign() < 0 {
		return floatPowInt(toFloat(x), toFloat(y))
	}
	if x.BitLen() <= 1 { // 0, 1, -1
		y = new(big.Int).And(y, big.NewInt(1)).Add(new(big.Int).And(y, big.NewInt(1)), big.NewInt(2*b2i(y.Sign() > 0)))
	}
	if !y.IsInt64() || int64(x.BitLen()-1)*y.Int64() > maxIntBits || y.Int64() > maxIntBits {
		return nil, &LimitError{What: "integer bits", Limit: maxIntBits}
	}
	return checkedInt(new(big.Int).Exp(x, y, nil))
}

func floatPowInt(x, y float64) (Value, error) {
	if x == 0 {
		return nil, failf("ZeroDivisionError", "0.0 cannot be raised to a negative power")
	}
	return math.Pow(x, y), nil
}
