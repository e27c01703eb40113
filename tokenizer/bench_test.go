package tokenizer_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/tokenizer"
)

// BenchmarkEncode encodes the strings of the vectors, one call each. The
// backends stand side by side; sugarme runs over the first of them only.
func BenchmarkEncode(b *testing.B) {
	dir := goldentest.Dir(b, "tokenizers")
	list := texts(b, dir)
	for _, name := range vectorNames(b, dir) {
		b.Run(name+"/native", func(b *testing.B) { benchNative(b, loadVector(b, dir, name), list) })
		b.Run(name+"/sugarme", func(b *testing.B) {
			folder := b.TempDir()
			if err := os.WriteFile(filepath.Join(folder, "tokenizer.json"), tokenizerJSON(b, dir, name), 0o600); err != nil {
				b.Fatal(err)
			}
			tok, err := tokenizer.OpenDir(folder, tokenizer.Sugarme)
			if err != nil {
				b.Skipf("does not load: %v", err)
			}
			benchEncode(b, list[:200], func(text string) { _, _ = tok.Encode(text, false) })
		})
	}
}

func benchNative(b *testing.B, tok tokenizer.Tokenizer, list []text) {
	var ids []int32
	benchEncode(b, list, func(text string) { ids, _ = tokenizer.AppendEncode(tok, ids[:0], text, false) })
}

func benchEncode(b *testing.B, list []text, encode func(text string)) {
	size := 0
	for _, t := range list {
		size += len(t.given)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	start, rounds := cpuTime(), 0
	for b.Loop() {
		rounds++
		for _, t := range list {
			encode(t.given)
		}
	}
	b.ReportMetric(float64(size*rounds)/1e6/(cpuTime()-start).Seconds(), "MB/cpu-s")
}

// BenchmarkProse is English prose without much repetition, as prompts are.
func BenchmarkProse(b *testing.B) {
	dir := goldentest.Dir(b, "tokenizers")
	prose, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range vectorNames(b, dir) {
		b.Run(name, func(b *testing.B) {
			benchNative(b, loadVector(b, dir, name), []text{{given: string(prose)}})
		})
	}
}

// BenchmarkDecode decodes token by token, as a server streams.
func BenchmarkDecode(b *testing.B) {
	dir := goldentest.Dir(b, "tokenizers")
	for _, name := range vectorNames(b, dir) {
		b.Run(name, func(b *testing.B) {
			tok := loadVector(b, dir, name)
			ids, err := tok.Encode(strings.Repeat("The quick brown fox jumps over 13 lazy dogs. ", 50), false)
			if err != nil {
				b.Fatal(err)
			}
			d := tok.NewDecoder(false)
			b.ReportAllocs()
			for b.Loop() {
				for _, id := range ids {
					d.Push(id)
				}
				d.Flush()
			}
		})
	}
}

// TestLongStrings holds the promise that no string of a megabyte takes over a
// second, whatever it holds: it logs the slowest. It counts processor time and
// fails at ten times the promise, which a slow machine does not reach and merges
// that are quadratic do.
func TestLongStrings(t *testing.T) {
	dir := goldentest.Dir(t, "tokenizers")
	size, limit := 1<<20, 10*time.Second
	if raceEnabled { // ten times slower, and looking for something else
		size = 1 << 17
	}
	for _, name := range vectorNames(t, dir) {
		t.Run(name, func(t *testing.T) {
			tok := loadVector(t, dir, name)
			worst, of := time.Duration(0), ""
			for what, text := range longStrings(size) {
				start := cpuTime()
				if _, err := tok.Encode(text, true); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				took := cpuTime() - start
				if took > worst {
					worst, of = took, what
				}
				if took > limit {
					t.Errorf("%s: %v, over %v", what, took, limit)
				}
			}
			t.Logf("the slowest is %q with %v", of, worst.Round(time.Millisecond))
		})
	}
}

func longStrings(size int) map[string]string {
	rng := rand.New(rand.NewPCG(3, 4))
	random := func(alphabet string) string {
		runes := []rune(alphabet)
		var b strings.Builder
		for b.Len() < size {
			b.WriteRune(runes[rng.IntN(len(runes))])
		}
		return b.String()
	}
	return map[string]string{
		"one letter":       strings.Repeat("a", size),
		"random letters":   random("abcdefghijklmnopqrstuvwxyz"),
		"two letters":      random("ab"),
		"spaces":           strings.Repeat(" ", size),
		"newlines":         strings.Repeat("\n", size),
		"spaces and lines": random(" \n\t"),
		"digits":           random("0123456789"),
		"punctuation":      random("!?=-<>|/\\'\"(){}[]"),
		"apostrophes":      strings.Repeat("'s", size/2),
		"CJK":              random("漢字仮名交文日本語中国"),
		"combining marks":  "a" + strings.Repeat("\u0301\u0316", size/4),
		"accented":         random("éàüñçåøßæœ"),
		"capitals":         random("ABCabc"),
		"emoji":            random("😀👩‍🚀🇩🇪👍🏽"),
		"angle brackets":   strings.Repeat("<|", size/2),
		"special tokens":   strings.Repeat("<s></s><|im_start|>[MASK] ", size/26),
		"controls":         random("\x00\x01\u200b\ufeff"),
		"invalid bytes":    strings.Repeat("\xff\xe2\x82", size/3),
		"space and digits": " " + random("0123456789"),
		"space and ʼ":      " " + random("aʼ"),
	}
}
