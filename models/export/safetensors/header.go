package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxHeader bounds a file's header. The format's own library refuses more than 100 MB; a 3.5 B model has 30 KB.
const maxHeader = 32 << 20

// ErrFormat says that a file is not what the format allows. The message names the file and the tensor.
var ErrFormat = errors.New("bad safetensors file")

// DType is a stored element type.
type DType string

// The types that weights come in.
const (
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
)

// Size is the bytes of an element, 0 for a type that is not read.
func (d DType) Size() int64 {
	switch d {
	case F32:
		return 4
	case F16, BF16:
		return 2
	case I64:
		return 8
	}
	return 0
}

// entry is a tensor's place in a file.
type entry struct {
	DType   DType    `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// readHeader reads and checks a file's header: sizes that agree with the shapes, ranges inside the file, none
// overlapping, no name twice. It returns where the data begin.
func readHeader(r io.ReaderAt, size int64) (map[string]entry, int64, error) {
	var prefix [8]byte
	if size < 8 {
		return nil, 0, fmt.Errorf("%w: %d bytes, too short for a header", ErrFormat, size)
	}
	if _, err := r.ReadAt(prefix[:], 0); err != nil {
		return nil, 0, err
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	if n > maxHeader || int64(n) > size-8 {
		return nil, 0, fmt.Errorf("%w: header of %d bytes in a file of %d (truncated?)", ErrFormat, n, size)
	}
	raw := make([]byte, n)
	if _, err := r.ReadAt(raw, 8); err != nil {
		return nil, 0, err
	}
	entries, err := parseHeader(raw)
	if err != nil {
		return nil, 0, err
	}
	start := 8 + int64(n)
	return entries, start, checkRanges(entries, size-start)
}

func parseHeader(raw []byte) (map[string]entry, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("%w: the header is not a JSON object", ErrFormat)
	}
	entries := map[string]entry{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: header: %w", ErrFormat, err)
		}
		name, _ := key.(string)
		if name == "__metadata__" {
			var ignored map[string]string
			if err := dec.Decode(&ignored); err != nil {
				return nil, fmt.Errorf("%w: __metadata__: %w", ErrFormat, err)
			}
			continue
		}
		if _, twice := entries[name]; twice {
			return nil, fmt.Errorf("%w: tensor %q appears twice in the header", ErrFormat, name)
		}
		var e entry
		if err := dec.Decode(&e); err != nil {
			return nil, fmt.Errorf("%w: tensor %q: %w", ErrFormat, name, err)
		}
		entries[name] = e
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrFormat, err)
	}
	return entries, nil
}

func checkRanges(entries map[string]entry, data int64) error {
	type used struct {
		from, to int64
		name     string
	}
	var ranges []used
	for name, e := range entries {
		from, to := e.Offsets[0], e.Offsets[1]
		if from < 0 || to < from || to > data {
			return fmt.Errorf("%w: tensor %q has bytes %d to %d, but the file's data end at %d (truncated?)", ErrFormat, name, from, to, data)
		}
		if e.DType.Size() == 0 {
			continue // a type that is not read: its tensor is refused when it is asked for
		}
		n, ok := Elements(e.Shape)
		if !ok {
			return fmt.Errorf("%w: tensor %q has shape %v", ErrFormat, name, e.Shape)
		}
		if n*e.DType.Size() != to-from {
			return fmt.Errorf("%w: tensor %q of shape %v and type %s takes %d bytes, but its range has %d", ErrFormat, name, e.Shape, e.DType, n*e.DType.Size(), to-from)
		}
		if to > from {
			ranges = append(ranges, used{from, to, name})
		}
	}
	slices.SortFunc(ranges, func(a, b used) int { return int(max(-1, min(1, a.from-b.from))) })
	for i := 1; i < len(ranges); i++ {
		if ranges[i].from < ranges[i-1].to {
			return fmt.Errorf("%w: tensors %q and %q overlap", ErrFormat, ranges[i-1].name, ranges[i].name)
		}
	}
	return nil
}

// Elements is the number of elements of a shape; false where a dimension is negative, or all are more than 2^56.
func Elements(shape []int64) (int64, bool) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 || d > 0 && n > (1<<56)/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}
