package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
)

// ErrFormat says that a file is not what the format allows. The message names the key or the tensor.
var ErrFormat = errors.New("bad GGUF file")

// maxHeader bounds the metadata and the list of tensors. A vocabulary of 256 thousand tokens has 12 MB.
const maxHeader = 128 << 20

// header is what stands before the tensors.
type header struct {
	metadata map[string]any // int64, float64, bool, string, and lists: []int64, []float64, []bool, []string
	tensors  []info
}

// info is a tensor's place in the file.
type info struct {
	name   string
	kind   *kind
	shape  []int64 // rows first, as Hugging Face has it
	offset int64   // in the file
}

// readHeader reads and checks the header of a file of that size.
func readHeader(f io.ReaderAt, size int64) (*header, error) {
	r := &reader{r: bufio.NewReaderSize(io.NewSectionReader(f, 0, size), 1<<16), left: min(size, maxHeader), at: "the header"}
	if magic := r.bytes(4); r.err != nil || string(magic) != "GGUF" {
		return nil, fmt.Errorf("%w: it does not begin with GGUF", ErrFormat)
	}
	if v := r.u32(); r.err == nil && v != 2 && v != 3 {
		return nil, fmt.Errorf("%w: version %d is not read, only 2 and 3 of little-endian files", ErrFormat, v)
	}
	tensors, pairs := r.count("tensors", 24), r.count("metadata keys", 13)
	if r.err != nil {
		return nil, r.err
	}
	h := &header{metadata: map[string]any{}, tensors: make([]info, 0, tensors)}
	for i := range pairs {
		key := r.text()
		if r.at = fmt.Sprintf("metadata key %d, %.100q", i, key); r.err == nil && h.metadata[key] != nil {
			r.fail("is there twice")
		}
		v := r.value(r.u32())
		if r.err != nil {
			return nil, r.err
		}
		h.metadata[key] = v
	}
	alignment := int64(32)
	if v, ok := h.metadata["general.alignment"]; ok {
		if alignment, ok = v.(int64); !ok || alignment < 1 || alignment > 1<<20 {
			return nil, fmt.Errorf("%w: general.alignment is %v", ErrFormat, v)
		}
	}
	seen := map[string]bool{}
	for i := range tensors {
		t := r.info(i)
		if r.err == nil && seen[t.name] {
			r.fail("is there twice")
		}
		if r.err != nil {
			return nil, r.err
		}
		seen[t.name], h.tensors = true, append(h.tensors, t)
	}
	start := (r.done + alignment - 1) / alignment * alignment
	for i := range h.tensors {
		t := &h.tensors[i]
		if t.offset%alignment != 0 || t.offset > size-start || t.bytes() > size-start-t.offset {
			return nil, fmt.Errorf("%w: tensor %q: %d bytes at %d of the data do not lie in the file's %d, or not at a multiple of %d (truncated?)", ErrFormat, t.name, t.bytes(), t.offset, size, alignment)
		}
		t.offset += start
	}
	return h, nil
}

func (t *info) rowBytes() int64 { return t.shape[len(t.shape)-1] / t.kind.values * t.kind.bytes }

func (t *info) bytes() int64 {
	n := t.rowBytes()
	for _, d := range t.shape[:len(t.shape)-1] {
		n *= d
	}
	return n
}

// reader reads a header's parts. After its first error all are zero.
type reader struct {
	r          *bufio.Reader
	done, left int64 // bytes
	at         string
	err        error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s %s", ErrFormat, r.at, fmt.Sprintf(format, args...))
	}
}

func (r *reader) bytes(n int64) []byte {
	if r.err == nil && (n < 0 || n > r.left) {
		r.fail("has %d bytes, but only %d are left of the header (truncated?)", uint64(n), r.left)
	}
	if r.err != nil {
		return make([]byte, 8)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r.r, b); err != nil {
		r.err = err
	}
	r.done, r.left = r.done+n, r.left-n
	return b
}

func (r *reader) u32() uint32 { return binary.LittleEndian.Uint32(r.bytes(4)) }
func (r *reader) u64() uint64 { return binary.LittleEndian.Uint64(r.bytes(8)) }

func (r *reader) text() string {
	b := r.bytes(int64(r.u64()))
	if r.err != nil {
		return ""
	}
	return string(b)
}

// count is a number of things of which each takes at least so many bytes.
func (r *reader) count(what string, least int64) int64 {
	n := int64(r.u64())
	if r.err == nil && (n < 0 || n > r.left/least) {
		r.fail("%s: %d in %d bytes", what, uint64(n), r.left)
	}
	if r.err != nil {
		return 0
	}
	return n
}

// valueType is a type of metadata values.
type valueType struct {
	least int64 // bytes of a value
	one   func(r *reader) any
	list  func(r *reader, n int64) any
}

func valuesOf[T any](least int64, read func(r *reader) T) valueType {
	return valueType{least, func(r *reader) any { return read(r) }, func(r *reader, n int64) any {
		out := make([]T, 0, n)
		for range n {
			if out = append(out, read(r)); r.err != nil {
				return nil
			}
		}
		return out
	}}
}

func integers(bytes int64, of func(b []byte) int64) valueType {
	return valuesOf(bytes, func(r *reader) int64 { return of(r.bytes(bytes)) })
}

func floats(bytes int64, of func(b []byte) float64) valueType {
	return valuesOf(bytes, func(r *reader) float64 {
		v := of(r.bytes(bytes))
		if r.err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
			r.fail("is %v", v)
		}
		return v
	})
}

const typeArray = 9

// valueTypes are the types by GGUF's number, but for lists.
var valueTypes = map[uint32]valueType{
	0:  integers(1, func(b []byte) int64 { return int64(b[0]) }),
	1:  integers(1, func(b []byte) int64 { return int64(int8(b[0])) }),
	2:  integers(2, func(b []byte) int64 { return int64(binary.LittleEndian.Uint16(b)) }),
	3:  integers(2, func(b []byte) int64 { return int64(int16(binary.LittleEndian.Uint16(b))) }),
	4:  integers(4, func(b []byte) int64 { return int64(binary.LittleEndian.Uint32(b)) }),
	5:  integers(4, func(b []byte) int64 { return int64(int32(binary.LittleEndian.Uint32(b))) }),
	6:  floats(4, func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) }),
	7:  valuesOf(1, func(r *reader) bool { return r.bytes(1)[0] != 0 }),
	8:  valuesOf(8, (*reader).text),
	10: integers(8, func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) }),
	11: integers(8, func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) }),
	12: floats(8, func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }),
}

func (r *reader) value(kind uint32) any {
	isList := kind == typeArray
	if isList {
		if kind = r.u32(); kind == typeArray {
			r.fail("is a list of lists, which is not read")
		}
	}
	of, ok := valueTypes[kind]
	if !ok {
		r.fail("has a value of type %d, which GGUF does not have", kind)
		return nil
	}
	if isList {
		return of.list(r, r.count("list", of.least))
	}
	return of.one(r)
}

func (r *reader) info(i int64) info {
	t := info{name: r.text()}
	r.at = fmt.Sprintf("tensor %d, %.100q", i, t.name)
	dims := r.u32()
	if r.err == nil && (dims < 1 || dims > 4) {
		r.fail("has %d dimensions", dims)
	}
	total := int64(1)
	for range dims {
		if r.err != nil {
			break
		}
		d := int64(r.u64())
		if r.err == nil && (d < 1 || d > 1<<40/total) {
			r.fail("has a dimension of %d", uint64(d))
		}
		t.shape, total = append(t.shape, d), total*max(d, 1)
	}
	of := r.u32()
	t.offset = int64(r.u64())
	if r.err != nil {
		return t
	}
	if t.kind = kinds[of]; t.kind == nil {
		r.fail("has ggml type %d, which is not read (only %s)", of, strings.Join(kindNames(), ", "))
	} else if t.shape[0]%t.kind.values != 0 {
		r.fail("has rows of %d numbers, which are no blocks of %d as type %s has them", t.shape[0], t.kind.values, t.kind.name)
	}
	if t.offset < 0 {
		r.fail("begins at %d", uint64(t.offset))
	}
	slices.Reverse(t.shape)
	return t
}

func open(path string) (*os.File, *header, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	stat, err := f.Stat()
	if err == nil && !stat.Mode().IsRegular() {
		err = fmt.Errorf("%w: not a regular file", ErrFormat)
	}
	var h *header
	if err == nil {
		h, err = readHeader(f, stat.Size())
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, h, nil
}
