package tokenizer_test

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/tokenizer"
)

const suffix = ".tokenizer.json.gz"

// vectorNames lists the tokenizers found among the vectors.
func vectorNames(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil || len(files) == 0 {
		t.Fatalf("no *%s in %s (%v)", suffix, dir, err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), suffix)
	}
	return files
}

// lines calls visit with each line of a gzipped file.
func lines(t testing.TB, path string, visit func(line []byte)) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	scanner := bufio.NewScanner(z)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		visit(scanner.Bytes())
	}
	if err := scanner.Err(); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func unmarshal(t testing.TB, data []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

func loadVector(t testing.TB, dir, name string) tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Parse(tokenizerJSON(t, dir, name), nil)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return tok
}

func tokenizerJSON(t testing.TB, dir, name string) []byte {
	t.Helper()
	var data []byte
	lines(t, filepath.Join(dir, name+suffix), func(line []byte) { data = append(append(data, line...), '\n') })
	return data
}

// texts are the strings of the vectors: given is what the caller passes,
// valid the same with bad bytes replaced.
type text struct{ given, valid string }

func texts(t testing.TB, dir string) []text {
	t.Helper()
	var out []text
	lines(t, filepath.Join(dir, "strings.jsonl.gz"), func(line []byte) {
		var v struct {
			Text  *string
			Bytes []byte `json:"bytes_b64"`
			After string `json:"text_after_replacement"`
		}
		unmarshal(t, line, &v)
		if v.Text != nil {
			out = append(out, text{*v.Text, *v.Text})
		} else {
			out = append(out, text{string(v.Bytes), v.After})
		}
	})
	return out
}

func TestSums(t *testing.T) {
	dir := goldentest.Dir(t, "tokenizers")
	sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(sums)) {
		want, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		data, err := os.ReadFile(filepath.Join(dir, strings.TrimLeft(name, " *")))
		if err != nil {
			t.Fatal(err)
		}
		if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != want {
			t.Errorf("%s: sha256 %x, want %s", name, got, want)
		}
	}
}

// TestIDs compares ids and decoded texts with Hugging Face's, string by
// string, for every tokenizer of the vectors.
func TestIDs(t *testing.T) { checkIDs(t, goldentest.Dir(t, "tokenizers")) }

// TestSmallIDs does the same with the small set that ships with the package.
func TestSmallIDs(t *testing.T) { checkIDs(t, "testdata") }

func checkIDs(t *testing.T, dir string) {
	list := texts(t, dir)
	for _, name := range vectorNames(t, dir) {
		t.Run(name, func(t *testing.T) {
			tok := loadVector(t, dir, name)
			bad, total := 0, 0
			lines(t, filepath.Join(dir, name+".ids.jsonl.gz"), func(line []byte) {
				total++
				if !sameIDs(t, tok, list, line) {
					bad++
				}
				if bad > 10 {
					t.FailNow()
				}
			})
			if total == 0 {
				t.Error("no ids in the vectors")
			}
			t.Logf("%d strings", total)
		})
	}
}

type idsVector struct {
	I           int
	IDs         []int32
	WithSpecial *struct {
		Prefix, Suffix, IDs []int32
	} `json:"with_special"`
	Decode     *string
	DecodeSkip *string `json:"decode_skip"`
}

func sameIDs(t *testing.T, tok tokenizer.Tokenizer, list []text, line []byte) bool {
	t.Helper()
	var v idsVector
	unmarshal(t, line, &v)
	in := list[v.I]
	special := v.IDs
	if w := v.WithSpecial; w != nil && w.IDs != nil {
		special = w.IDs
	} else if w != nil {
		special = slices.Concat(w.Prefix, v.IDs, w.Suffix)
	}
	ok := true
	for _, c := range []struct {
		add  bool
		want []int32
	}{{false, v.IDs}, {true, special}} {
		got, err := tok.Encode(in.given, c.add)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("string %d %q, special %t:\n got %v (%v)\nwant %v", v.I, in.given, c.add, got, err, c.want)
			ok = false
		}
	}
	decode := in.valid
	if v.Decode != nil {
		decode = *v.Decode
	}
	skipped := decode
	if v.DecodeSkip != nil {
		skipped = *v.DecodeSkip
	}
	if got, err := tok.Decode(v.IDs, false); err != nil || got != decode {
		t.Errorf("string %d: decoded\n got %q (%v)\nwant %q", v.I, got, err, decode)
		ok = false
	}
	if got, err := tok.Decode(special, true); err != nil || got != skipped {
		t.Errorf("string %d: decoded without special\n got %q (%v)\nwant %q", v.I, got, err, skipped)
		ok = false
	}
	return ok
}

// TestStreams decodes the sequences of the vectors whole and token by token:
// pieces are valid UTF-8 and together are the whole.
func TestStreams(t *testing.T) { checkStreams(t, goldentest.Dir(t, "tokenizers")) }

func TestSmallStreams(t *testing.T) { checkStreams(t, "testdata") }

func checkStreams(t *testing.T, dir string) {
	for _, name := range vectorNames(t, dir) {
		t.Run(name, func(t *testing.T) {
			tok := loadVector(t, dir, name)
			lines(t, filepath.Join(dir, name+".decode.jsonl.gz"), func(line []byte) {
				var v struct {
					IDs    []int32
					Skip   bool `json:"skip_special"`
					Decode string
				}
				unmarshal(t, line, &v)
				if got, err := tok.Decode(v.IDs, v.Skip); err != nil || got != v.Decode {
					t.Errorf("%v: decoded\n got %q (%v)\nwant %q", v.IDs, got, err, v.Decode)
				}
				checkStream(t, tok, v.IDs, v.Skip, v.Decode)
				if t.Failed() {
					t.FailNow()
				}
			})
		})
	}
}

// checkStream: the pieces of a stream are what Decode gives. But a character that was whole before its run of byte tokens
// went bad has been said by then, where Decode has a U+FFFD, of three bytes, for each of its bytes; and a first space among
// them was cut by then, where a Strip cuts one.
func checkStream(t testing.TB, tok tokenizer.Tokenizer, ids []int32, skip bool, want string) {
	t.Helper()
	if got := stream(t, tokenizer.NewPatientDecoder(tok, skip), ids); got != want {
		t.Errorf("%v: streamed patiently\n got %q\nwant %q", ids, got, want)
	}
	for _, cut := range []int{1, len(ids) / 2} {
		checkPrimed(t, tok, ids, min(cut, len(ids)), skip)
	}
	got := stream(t, tok.NewDecoder(skip), ids)
	said := strings.Count(want, "\ufffd") - strings.Count(got, "\ufffd")
	cut := len(want) - len(got) - 2*said
	if said < 0 || said == 0 && got != want || cut < 0 || cut > 1 || !utf8.ValidString(got) {
		t.Errorf("%v: streamed\n got %q\nwant %q", ids, got, want)
	}
}

// checkPrimed: a stream behind a context says what its ids add to the context's text.
func checkPrimed(t testing.TB, tok tokenizer.Tokenizer, ids []int32, cut int, skip bool) {
	t.Helper()
	before, err := tok.Decode(ids[:cut], skip)
	if err != nil || strings.Contains(before, "\ufffd") { // half a character: the stream completes it
		return
	}
	all, err := tok.Decode(ids, skip)
	after, ok := strings.CutPrefix(all, before)
	if err != nil || !ok || strings.Contains(all, "\ufffd") {
		return
	}
	d := tok.NewDecoder(skip)
	d.Prime(ids[:cut])
	if got := stream(t, d, ids[cut:]); got != after {
		t.Errorf("%v behind %v: streamed\n got %q\nwant %q", ids[cut:], ids[:cut], got, after)
	}
}

func stream(t testing.TB, d tokenizer.Decoder, ids []int32) string {
	t.Helper()
	var out strings.Builder
	for _, id := range ids {
		piece := d.Push(id)
		if !utf8.ValidString(piece) {
			t.Errorf("piece %q is not valid UTF-8", piece)
		}
		out.WriteString(piece)
	}
	out.WriteString(d.Flush())
	return out.String()
}
