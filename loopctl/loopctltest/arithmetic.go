package loopctltest

import (
	"slices"

	"github.com/loopserve/loopserve/loopctl"
)

// modulus keeps latents readable; it is prime, so that few mistakes cancel out.
const modulus = 10007

func embed(token int32, pos int, seed uint64) int64 {
	return (int64(token)*31 + int64(pos)*7 + int64(seed%modulus)*3 + 1) % modulus
}

func key(h int64, pos int) int64 { return (h*3 + int64(pos)) % modulus }

func sees(k int64, distance int) int64 { return k * int64(distance+1) }

func loop(h, inject int64, depth int) int64 { return (h*5 + inject + int64(depth)*11) % modulus }

func says(h int64, vocab int) int { return int(h % int64(vocab)) }

// Expect works out a request's tokens alone: no pages, no ticks, no other sequences, one token after the other.
// It is the other side of the law: alone = in any mix of depths.
func Expect(l loopctl.Limits, r *loopctl.Request) []int32 {
	loops := r.Loops
	if loops == 0 {
		loops = l.Loops.Default
	}
	planes := make([][]int64, loops+2) // prelude, one for each depth, coda
	attend := func(st loopctl.Stage, plane, pos int, h int64) int64 {
		if l.Pages[st] == 0 {
			return h
		}
		planes[plane] = append(planes[plane], key(h, pos))
		for i, k := range planes[plane] {
			h += sees(k, pos-i)
		}
		return h % modulus
	}
	tokens := slices.Clone(r.Prompt)
	for pos := 0; ; pos++ {
		inject := attend(loopctl.StagePrelude, 0, pos, embed(tokens[pos], pos, r.Seed))
		h := inject
		for d := range loops {
			h = loop(attend(loopctl.StageBlock, 1+d, pos, h), inject, d)
		}
		h = attend(loopctl.StageCoda, 1+loops, pos, h)
		if pos < len(tokens)-1 {
			continue
		}
		id := int32(says(h, l.Vocab))
		tokens = append(tokens, id)
		if len(tokens) == len(r.Prompt)+r.MaxTokens || slices.Contains(r.StopIDs, id) {
			return tokens[len(r.Prompt):]
		}
	}
}

// Greedy is the picker that takes the largest logit.
type Greedy struct{}

// Pick returns the first of the largest.
func (Greedy) Pick(logits []float32) loopctl.Picked {
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	return loopctl.Picked{ID: int32(best)}
}
