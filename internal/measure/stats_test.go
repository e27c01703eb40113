package measure

import (
	"math"
	"testing"
)

func near(a, b, within float64) bool { return math.Abs(a-b) <= within }

func upTo(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[n-1-i] = float64(i + 1)
	}
	return out
}

// The median's interval goes by ranks: for 100 values the 40th and the 61st, as tables of the sign test have it.
func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []float64
		want   Spread
	}{
		{"nothing", nil, Spread{}},
		{"one", []float64{3}, Spread{N: 1, Min: 3, P50: 3, P90: 3, P99: 3, Max: 3, Mean: 3, Low: 3, High: 3}},
		{"even: the lower of the two in the middle", []float64{4, 1, 3, 2}, Spread{N: 4, Min: 1, P50: 2, P90: 4, P99: 4, Max: 4, Mean: 2.5, Low: 1, High: 4}},
		{"hundred", upTo(100), Spread{N: 100, Min: 1, P50: 50, P90: 90, P99: 99, Max: 100, Mean: 50.5, Low: 40, High: 61}},
	} {
		if got := spreadOf(tt.values); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	for _, tt := range []struct {
		s    Spread
		want bool
	}{
		{Spread{N: 1, P50: 10, Low: 10, High: 10}, false}, // one value says nothing of the next
		{Spread{N: 9, P50: 10, Low: 9.8, High: 10.2}, true},
		{Spread{N: 9, P50: 10, Low: 9.8, High: 10.3}, false},
	} {
		if got := tt.s.narrow(0.02); got != tt.want {
			t.Errorf("%+v is narrow: %v", tt.s, got)
		}
	}
}

// Values of Wilson's interval as Newcombe's paper (Statistics in Medicine 17, 1998, table I) has them, method 3.
func TestWilson(t *testing.T) {
	for _, tt := range []struct {
		correct, total int
		low, high      float64
	}{
		{81, 263, 25.53, 36.62}, {15, 148, 6.24, 16.05}, {0, 20, 0, 16.11}, {1, 29, 0.61, 17.18}, {29, 29, 88.30, 100}, {0, 0, 0, 100},
	} {
		low, high := wilson(tt.correct, tt.total)
		if !near(low, tt.low, 0.01) || !near(high, tt.high, 0.01) {
			t.Errorf("%d of %d: %.2f to %.2f, want %.2f to %.2f", tt.correct, tt.total, low, high, tt.low, tt.high)
		}
	}
}

func TestLine(t *testing.T) {
	for _, tt := range []struct {
		name    string
		x, y    []float64
		a, b    float64
		r2      float64
		half    float64 // of the slope's interval; NaN: there is none
		nothing bool
	}{
		{name: "one place", x: []float64{2, 2}, y: []float64{1, 3}, nothing: true},
		{name: "two places have no interval", x: []float64{1, 3}, y: []float64{2, 8}, a: -1, b: 3, r2: 1, half: math.NaN()},
		{name: "exact", x: []float64{1, 2, 4, 8}, y: []float64{5, 7, 11, 19}, a: 3, b: 2, r2: 1},
		{name: "level", x: []float64{1, 2, 3}, y: []float64{4, 4, 4}, a: 4, r2: 1},
		// By hand: x̄ 2.5, ȳ 2.5, Sxx 5, Sxy 4, residuals −0.3, 0.9, −0.9, 0.3; t is 4.303 with two degrees of freedom.
		{name: "scattered", x: []float64{1, 2, 3, 4}, y: []float64{1, 3, 2, 4}, a: 0.5, b: 0.8, r2: 0.64, half: 4.303 * math.Sqrt(0.9/5)},
	} {
		f := leastSquares(tt.x, tt.y)
		if tt.nothing || f == nil {
			if f != nil || !tt.nothing {
				t.Errorf("%s: %+v", tt.name, f)
			}
			continue
		}
		interval := f.BLow == nil && f.BHigh == nil
		if !math.IsNaN(tt.half) {
			interval = f.BLow != nil && near(*f.BLow, tt.b-tt.half, 1e-9) && near(*f.BHigh, tt.b+tt.half, 1e-9)
		}
		if !near(f.A, tt.a, 1e-9) || !near(f.B, tt.b, 1e-9) || !near(f.R2, tt.r2, 1e-9) || !interval {
			t.Errorf("%s: %+v, want %+v", tt.name, f, tt)
		}
	}
}

func TestStudent(t *testing.T) {
	for freedom, want := range map[int]float64{1: 12.706, 2: 4.303, 10: 2.228, 11: 2.201, 20: 2.086, 60: 2.000, 120: 1.980} {
		if got := student(freedom); math.Abs(got/want-1) > 0.002 {
			t.Errorf("%d degrees of freedom: %.4f, want %.3f", freedom, got, want)
		}
	}
}

func TestPrompts(t *testing.T) {
	a, b := prompt(1, 64, 1000), prompt(2, 64, 1000)
	same := 0
	for i := range a {
		if a[i] < 256 || a[i] >= 1000 {
			t.Errorf("id %d: special tokens live below 256, and there are 1000", a[i])
		}
		if a[i] == b[i] {
			same++
		}
	}
	if same > 8 {
		t.Errorf("%d of 64 ids are the same in two prompts", same)
	}
	for _, id := range prompt(1, 64, 16) {
		if id < 0 || id >= 16 {
			t.Errorf("id %d of a vocabulary of 16", id)
		}
	}
}
