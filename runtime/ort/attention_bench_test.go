//go:build cgo

package ort

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// One layer of 16 heads × 64 (hidden 1024): GFLOP/s counts 4 operations for each (query, key, number); GB/s the K and
// V that must be read once. Threads beyond one are plain threads, started for each call. unkept: a loop that does not write its
// plane, and the copy of one row for each sequence that comes before it.
func BenchmarkAttention(b *testing.B) {
	for _, c := range []struct {
		name    string
		kvHeads int
		spans   []span
	}{
		{"decode/1x128", 16, []span{{127, 1}}},
		{"decode/1x512", 16, []span{{511, 1}}},
		{"decode/1x2048", 16, []span{{2047, 1}}},
		{"decode/8x128", 16, repeat(8, span{127, 1})},
		{"decode/8x512", 16, repeat(8, span{511, 1})},
		{"decode/8x2048", 16, repeat(8, span{2047, 1})},
		{"decode-unkept/8x512", 16, repeat(8, span{511, 1})},
		{"decode-unkept/8x2048", 16, repeat(8, span{2047, 1})},
		{"decode-gqa4/8x2048", 4, repeat(8, span{2047, 1})},
		{"prefill/128", 16, []span{{0, 128}}},
		{"prefill/1024", 16, []span{{0, 1024}}},
		{"prefill-gqa4/1024", 4, []span{{0, 1024}}},
	} {
		for _, isa := range []int{isaPortable, isaAVX2, isaAVX512} {
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("%s/isa=%d/threads=%d", c.name, isa, threads), func(b *testing.B) {
					if !forceISA(isa) {
						b.Skip("not on this processor")
					}
					defer forceISA(-1)
					a := newCase(rand.New(rand.NewPCG(1, 2)), shape{
						qHeads: 16, kvHeads: c.kvHeads, headDim: 64, pageSize: 16, layers: 1, rotary: 64, spans: c.spans,
					})
					refresh := func(bool) {}
					if strings.Contains(c.name, "unkept") {
						a, refresh = a.unkept()
					}
					a.threads = threads
					pairs, keys := 0.0, 0.0
					for _, s := range c.spans {
						pairs += float64(s.rows) * (float64(s.past) + float64(s.rows+1)/2)
						keys += float64(s.past + s.rows)
					}
					for b.Loop() {
						refresh(false)
						if err := a.run(); err != nil {
							b.Fatal(err)
						}
					}
					seconds := b.Elapsed().Seconds() / float64(b.N)
					b.ReportMetric(pairs*16*64*4/seconds/1e9, "GFLOP/s")
					b.ReportMetric(keys*float64(c.kvHeads)*64*2*4/seconds/1e9, "GB/s")
				})
			}
		}
	}
}

func repeat(n int, s span) (all []span) {
	for range n {
		all = append(all, s)
	}
	return all
}
