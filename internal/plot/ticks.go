package plot

import (
	"math"
	"strconv"
)

// niceStep is the distance of ticks, 1, 2 or 5 times a power of ten, that gives five to ten of them.
func niceStep(width float64) float64 {
	rough := width / 6
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, m := range []float64{1, 2, 5} {
		if rough <= m*power*1.0000001 {
			return m * power
		}
	}
	return 10 * power
}

// logTicks are powers of the base inside the range; of ten, with 2 and 5 between them where the range is short.
func logTicks(lo, hi float64, s Scale) []float64 {
	var out []float64
	add := func(v float64) {
		if v >= lo*(1-1e-9) && v <= hi*(1+1e-9) {
			out = append(out, v)
		}
	}
	if s == Log2 {
		for e := math.Floor(math.Log2(lo)); e <= math.Ceil(math.Log2(hi)); e++ {
			add(math.Exp2(e))
		}
		return out
	}
	short := math.Log10(hi/lo) < 2.5
	for e := math.Floor(math.Log10(lo)); e <= math.Ceil(math.Log10(hi)); e++ {
		add(math.Pow(10, e))
		if short {
			add(2 * math.Pow(10, e))
			add(5 * math.Pow(10, e))
		}
	}
	return out
}

// niceBelow is the largest of 1, 2 and 5 times a power of ten that is not above v.
func niceBelow(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)+1e-9))
	for _, m := range []float64{5, 2} {
		if m*power <= v*(1+1e-9) {
			return m * power
		}
	}
	return power
}

// label writes a tick as short as it stays exact among its neighbours.
func label(v float64) string {
	if math.Abs(v) < 1e-12 {
		return "0"
	}
	if a := math.Abs(v); a >= 1e6 || a < 1e-4 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64)
}
