package export_test

import "math"

type vector = []float64

// product is W·x for each row x, W being stored as [len(W)/len(x), len(x)].
func product(w vector, rows []vector) []vector {
	out := make([]vector, len(rows))
	for r, x := range rows {
		out[r] = make(vector, len(w)/len(x))
		for i := range out[r] {
			for j, v := range x {
				out[r][i] += w[i*len(x)+j] * v
			}
		}
	}
	return out
}

// rms is x / sqrt(mean x² + eps), times the gain where there is one.
func rms(rows []vector, gain vector, eps float64) []vector {
	return eachOf(rows, func(x vector) vector {
		mean := 0.0
		for _, v := range x {
			mean += v * v / float64(len(x))
		}
		out := make(vector, len(x))
		for i, v := range x {
			out[i] = v / math.Sqrt(mean+eps)
			if gain != nil {
				out[i] *= gain[i]
			}
		}
		return out
	})
}

func eachOf(rows []vector, f func(x vector) vector) []vector {
	out := make([]vector, len(rows))
	for i, x := range rows {
		out[i] = f(x)
	}
	return out
}

func plus(a, b []vector) []vector {
	out := make([]vector, len(a))
	for r := range a {
		out[r] = make(vector, len(a[r]))
		for i := range a[r] {
			out[r][i] = a[r][i] + b[r][i]
		}
	}
	return out
}

func silu(v float64) float64 { return v / (1 + math.Exp(-v)) }

// gated is silu(first half) ⊙ second half.
func gated(rows []vector) []vector {
	return eachOf(rows, func(x vector) vector {
		half := len(x) / 2
		out := make(vector, half)
		for i := range out {
			out[i] = silu(x[i]) * x[half+i]
		}
		return out
	})
}

// rope says how positions turn queries and keys.
type rope struct {
	theta       float64
	interleaved bool
	// Llama 3's scaling; none where factor is 0.
	factor, low, high, original float64
}

func (r rope) turn(head vector, position int) vector {
	half := len(head) / 2
	out := make(vector, len(head))
	for i := range half {
		f := math.Pow(r.theta, -float64(i)/float64(half))
		if r.factor > 0 {
			turns := r.original * f / (2 * math.Pi) // of this pair over the original context
			switch {
			case turns < r.low:
				f /= r.factor
			case turns <= r.high:
				smooth := (turns - r.low) / (r.high - r.low)
				f = (1-smooth)*f/r.factor + smooth*f
			}
		}
		s, c := math.Sincos(float64(position) * f)
		a, b := i, half+i
		if r.interleaved {
			a, b = 2*i, 2*i+1
		}
		out[a], out[b] = head[a]*c-head[b]*s, head[a]*s+head[b]*c
	}
	return out
}

// attend is causal attention; heads of query share the key-value heads in order.
func attend(q, k, v []vector, heads, kvHeads int) []vector {
	return attendWithin(len(q), q, k, v, heads, kvHeads)
}

// attendWithin is attend with a window: a row sees itself and those right before it.
func attendWithin(window int, q, k, v []vector, heads, kvHeads int) []vector {
	dim := len(q[0]) / heads
	out := make([]vector, len(q))
	for row := range q {
		out[row] = make(vector, heads*dim)
		for h := range heads {
			at := h / (heads / kvHeads) * dim
			weights, total := make(vector, row+1), 0.0
			for past := max(0, row-window+1); past <= row; past++ {
				score := 0.0
				for i := range dim {
					score += q[row][h*dim+i] * k[past][at+i]
				}
				weights[past] = math.Exp(score / math.Sqrt(float64(dim)))
				total += weights[past]
			}
			for past, w := range weights {
				for i := range dim {
					out[row][h*dim+i] += w / total * v[past][at+i]
				}
			}
		}
	}
	return out
}
