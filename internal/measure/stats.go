package measure

import (
	"math"
	"slices"
	"time"
)

// z95 is how many standard deviations hold 95 % of a normal distribution.
const z95 = 1.96

// Spread is how a number was distributed. Percentiles are nearest-rank: each is a value that was measured.
type Spread struct {
	N    int     `json:"n"`
	Min  float64 `json:"min"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
	// Low and High are where the true median lies with a probability of 95 %, by the values' ranks alone: values that were
	// measured, too, and Min and Max where six are not reached.
	Low  float64 `json:"p50_low"`
	High float64 `json:"p50_high"`
}

func spreadOf(values []float64) Spread {
	n := len(values)
	if n == 0 {
		return Spread{}
	}
	v := slices.Sorted(slices.Values(values))
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	half := z95 / 2 * math.Sqrt(float64(n)) // of the rank of a median: binomial with probability ½
	low := max(int(math.Floor(float64(n)/2-half))-1, 0)
	return Spread{
		N: n, Min: v[0], P50: quantile(v, .5), P90: quantile(v, .9), P99: quantile(v, .99), Max: v[n-1], Mean: sum / float64(n),
		Low: v[low], High: v[n-1-low],
	}
}

// narrow says that the median is known to within a share of itself.
func (s Spread) narrow(share float64) bool { return s.N > 1 && s.High-s.Low <= 2*share*s.P50 }

// quantile is the nearest-rank p-quantile of sorted values, of which there must be one at least.
func quantile(sorted []float64, p float64) float64 {
	return sorted[max(0, int(math.Ceil(p*float64(len(sorted))))-1)]
}

// wilson is where the true share of right answers lies with a probability of 95 %, in percent, by Wilson's score: what so
// few problems can tell.
func wilson(correct, total int) (low, high float64) {
	if total == 0 {
		return 0, 100
	}
	n, p := float64(total), float64(correct)/float64(total)
	middle := (p + z95*z95/(2*n)) / (1 + z95*z95/n)
	half := z95 / (1 + z95*z95/n) * math.Sqrt(p*(1-p)/n+z95*z95/(4*n*n))
	return 100 * max(middle-half, 0), 100 * min(middle+half, 1)
}

// student is the 97.5 % quantile of Student's t: a table for few degrees of freedom, beyond it within 0.2 %.
func student(freedom int) float64 {
	table := [...]float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228}
	if freedom <= len(table) {
		return table[freedom-1]
	}
	return z95 + 2.4/float64(freedom) + 3/float64(freedom*freedom)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
