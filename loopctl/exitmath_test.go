package loopctl_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
)

var (
	inf = float32(math.Inf(1))
	nan = float32(math.NaN())
)

func near(got, want float64) bool {
	return got == want || math.Abs(got-want) <= 1e-12*max(1, math.Abs(want)) || math.IsNaN(got) && math.IsNaN(want)
}

func TestHazard(t *testing.T) {
	for _, c := range []struct {
		name    string
		survive float64
		gate    float32
		p, rest float64
	}{
		{"even", 1, 0, 0.5, 0.5},
		{"what is left is shared out", 0.5, 0, 0.25, 0.25},
		{"log 3 is three to one", 1, float32(math.Log(3)), 0.75, 0.25},
		{"sure to go", 1, 200, 1, math.Exp(-200)}, // 1−σ would be 0
		{"sure to stay", 1, -200, math.Exp(-200), 1},
		{"no overflow", 1, -inf, 0, 1},
		{"nor the other way", 1, inf, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, rest := loopctl.Hazard(c.survive, c.gate)
			if math.Abs(p-c.p) > 1e-7*c.p || math.Abs(rest-c.rest) > 1e-7*c.rest {
				t.Errorf("got %v and %v, want %v and %v", p, rest, c.p, c.rest)
			}
		})
	}
	if p, _ := loopctl.Hazard(1, nan); p >= 0 {
		t.Errorf("a NaN gate stops with %v: it must pass no threshold", p)
	}
}

// The p of all loops and the rest after the last are one distribution.
func TestHazardSumsToOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	survive, cdf, p := 1.0, 0.0, 0.0
	for range 64 {
		p, survive = loopctl.Hazard(survive, float32(rng.NormFloat64()-3))
		cdf += p
	}
	if math.Abs(cdf+survive-1) > 1e-14 {
		t.Errorf("cdf %v and rest %v", cdf, survive)
	}
}

func TestKL(t *testing.T) {
	l2, l3 := float32(math.Log(2)), float32(math.Log(3))
	for _, c := range []struct {
		name      string
		prev, now []float32
		want      float64
	}{
		{"itself", []float32{1, 2, 3}, []float32{1, 2, 3}, 0},
		{"logits are only relative", []float32{1, 2, 3}, []float32{1001, 1002, 1003}, 0},
		{"first loop: from uniform to uniform", nil, []float32{7, 7, 7, 7}, 0},
		{"first loop: ½(log ½−log ¼)+½(log ½−log ¾)", nil, []float32{0, l3}, 0.5 * math.Log(4.0/3)},
		{"⅔ log(⅔/½) + ⅓ log(⅓/½)", []float32{l2, 0}, []float32{0, 0}, 2.0/3*math.Log(4.0/3) + 1.0/3*math.Log(2.0/3)},
		{"far apart is large, not NaN", []float32{500, -500}, []float32{-500, 500}, 1000},
		{"impossible before costs nothing", []float32{0, -inf}, []float32{0, 0}, math.Ln2},
		{"impossible now costs everything", []float32{0, 0}, []float32{0, -inf}, math.Inf(1)},
		{"uniform, one of them impossible now", nil, []float32{0, -inf}, math.Inf(1)},
		{"impossible in both", []float32{0, -inf}, []float32{0, -inf}, 0},
		{"NaN stays NaN", []float32{0, 0}, []float32{0, nan}, math.NaN()},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := loopctl.KL(c.prev, c.now); math.Abs(got-c.want) > 1e-7*math.Abs(c.want)+1e-15 && !near(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			} else if math.IsNaN(got) != math.IsNaN(c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestEntropy(t *testing.T) {
	for _, c := range []struct {
		name   string
		logits []float32
		want   float64
	}{
		{"one", []float32{5}, 0},
		{"even", []float32{3, 3, 3, 3}, math.Log(4)},
		{"large ones don't overflow", []float32{3e38, 3e38}, math.Ln2},
		{"small ones don't vanish", []float32{-3e38, -3e38}, math.Ln2},
		{"impossible ones don't count", []float32{0, 0, -inf}, math.Ln2},
		{"sure", []float32{1000, 0, 0}, 0},
		{"NaN stays NaN", []float32{0, nan}, math.NaN()},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := loopctl.Entropy(c.logits); !near(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestArgmax(t *testing.T) {
	for _, c := range []struct {
		name   string
		logits []float32
		want   int
	}{
		{"largest", []float32{1, 3, 2}, 1},
		{"first of equal ones", []float32{1, 3, 3}, 1},
		{"a NaN never wins", []float32{nan, -5}, 1},
		{"negative", []float32{-3, -2, -4}, 1},
		{"none", nil, 0},
		{"only impossible ones", []float32{-inf, -inf}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := loopctl.Argmax(c.logits); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

// Against the definitions, written out, on logits as wide as a model's.
func TestExitNumbersAgainstTheirDefinitions(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	softmax := func(logits []float32) []float64 {
		p, sum := make([]float64, len(logits)), 0.0
		for i, l := range logits {
			p[i] = math.Exp(float64(l))
			sum += p[i]
		}
		for i := range p {
			p[i] /= sum
		}
		return p
	}
	prev, now := make([]float32, 5000), make([]float32, 5000)
	for i := range now {
		prev[i], now[i] = float32(rng.NormFloat64()*3), float32(rng.NormFloat64()*3)
	}
	p, q := softmax(prev), softmax(now)
	kl, first, entropy := 0.0, 0.0, 0.0
	for i := range p {
		kl += p[i] * (math.Log(p[i]) - math.Log(q[i]))
		first += (-math.Log(5000) - math.Log(q[i])) / 5000
		entropy -= q[i] * math.Log(q[i])
	}
	for _, c := range []struct {
		name      string
		got, want float64
	}{{"KL", loopctl.KL(prev, now), kl}, {"KL from uniform", loopctl.KL(nil, now), first}, {"entropy", loopctl.Entropy(now), entropy}} {
		if math.Abs(c.got-c.want) > 1e-10 {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
	if n := testing.AllocsPerRun(10, func() {
		loopctl.KL(prev, now)
		loopctl.KL(nil, now)
		loopctl.Entropy(now)
		loopctl.Argmax(now)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// Of any length, with equal ones, infinities and NaN.
func TestArgmaxOfAnyLength(t *testing.T) {
	values := []float32{-1, 0, 1, 2, -inf, inf, nan}
	for n := range 2000 {
		logits := make([]float32, n%40)
		want, high := 0, -inf
		for i := range logits {
			logits[i] = values[rand.IntN(1+n%len(values))]
			if logits[i] > high {
				want, high = i, logits[i]
			}
		}
		if got := loopctl.Argmax(logits); got != want {
			t.Fatalf("%v: %d, want %d", logits, got, want)
		}
	}
}

func BenchmarkArgmax(b *testing.B) {
	logits := make([]float32, 8*32000) // eight rows, as they follow each other
	for i := range logits {
		logits[i] = float32(rand.NormFloat64())
	}
	for i := 0; b.Loop(); i = (i + 32000) % len(logits) {
		loopctl.Argmax(logits[i : i+32000])
	}
}
