package parity

import (
	"math"
	"strconv"
	"strings"

	"github.com/loopserve/loopserve/loopctl"
)

// greedy continues prompt_1 with a cache of so many planes, as the reference did, following the reference's tokens:
// after one token that differs everything would. The prompt goes in whole: with planes that loops share, chunks are
// another function.
func (k *checker) greedy(at, label string, loops, planes int) {
	input, tokens := k.ids("prompt_1/ids"), k.ids(at+"tokens")
	want, shape := k.floats(at + "logits")
	margin, _ := k.floats(at + "margin")
	if k.err != nil {
		return
	}
	vocab := int(shape[1])
	line := Line{What: at + "tokens", Kind: label, Tolerance: k.c.Within("logits"), Compared: len(tokens)}
	seq := newSequence(k.e, planes)
	if strings.HasPrefix(at, prefix) {
		seq.visible = len(input)
	}
	for i, token := range tokens {
		logits, _, err := seq.feed(input, loops, watch{})
		if err != nil {
			k.fail(err)
			return
		}
		last := logits[len(logits)-1]
		line.MaxDiff = max(line.MaxDiff, far(last, want[i*vocab:(i+1)*vocab]))
		if loopctl.Argmax(last) != int(token) && float64(margin[i]) > 2*line.Tolerance {
			line.Differ++
		}
		input = tokens[i : i+1]
	}
	k.r.Lines = append(k.r.Lines, line)
}

// compressed is a greedy continuation with Huginn's shared slots: compress-sN has N of them, which is N/layers planes.
func (k *checker) compressed(folder string) {
	n, err := strconv.Atoi(strings.TrimPrefix(folder, "cache_compress-s"))
	k.fail(err)
	layers := k.e.Manifest().Block.Layers
	if layers == 0 || n < layers || n%layers != 0 {
		return // its slots do not fall on loops: listed as left
	}
	k.eachLoops(folder, func(at string, loops int) {
		k.greedy(at, "greedy logits and tokens, "+policy(n/layers), loops, n/layers)
	})
}

func policy(planes int) string {
	if planes == 1 {
		return "kv policy latest"
	}
	return "kv policy modulo:" + strconv.Itoa(planes)
}

// adaptive is a greedy continuation in which each call stops at the first loop whose latent-diff, the mean over its
// rows, is below the threshold: the prompt makes one decision. Rows that leave are copied to the planes that they did not
// reach, which is what the reference's cache latest-mN looks up.
func (k *checker) adaptive(at string, theta float64) {
	input, tokens, steps := k.ids("prompt_1/ids"), k.ids(at+"tokens"), k.ids(at+"steps")
	values, shape := k.floats(at + "values")
	if k.err != nil {
		return
	}
	most := int(shape[1])
	chosen := Line{What: at + "tokens", Kind: "early exit: tokens", Compared: len(tokens)}
	loops := Line{What: at + "steps", Kind: "early exit: loops", Compared: len(steps)}
	worst := 0.0
	seq := newSequence(k.e, most)
	for i, token := range tokens {
		seen := make([]float64, most)
		for j := range seen {
			seen[j] = math.NaN() // not run
		}
		logits, done, err := seq.feed(input, most, watch{
			info: func(loop int, delta, _ []float32) {
				sum := 0.0
				for _, d := range delta {
					sum += float64(d)
				}
				seen[loop-1] = sum / float64(len(delta))
			},
			stop: func(loop int) bool { return seen[loop-1] < theta },
		})
		if err == nil {
			err = seq.fill(len(input), done)
		}
		if err != nil {
			k.fail(err)
			return
		}
		for j, v := range seen {
			worst = max(worst, apart(v, float64(values[i*most+j])))
		}
		if done != int(steps[i]) {
			loops.Differ++
		}
		if loopctl.Argmax(logits[len(logits)-1]) != int(token) {
			chosen.Differ++
		}
		input = tokens[i : i+1]
	}
	k.r.Lines = append(k.r.Lines, chosen, loops)
	k.add(at+"values", "adaptive_values", "early exit: latent-diff of each loop", worst)
}
