package random

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Kind says how a tensor's values are drawn.
type Kind int

// The kinds.
const (
	Matrix Kind = iota // normal, variance 1/columns
	Gain               // exp of a small normal: a norm's gain, around 1
	Vector             // normal of standard deviation 0.5: biases and the like
	Buffer             // a Vector that is F32 in every file: a table that upstream keeps beside the weights
)

// Tensor is one tensor of a random checkpoint.
type Tensor struct {
	Name  string
	Kind  Kind
	Shape []int64
}

// Elements is how many values the tensor has.
func (t Tensor) Elements() int64 {
	n := int64(1)
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Write makes dir and puts config.json and model.safetensors there. dtype is F32 or BF16. It holds no tensor in
// memory.
func Write(dir string, config map[string]any, tensors []Tensor, dtype string, seed uint64) error {
	if err := WriteJSON(dir, "config.json", config); err != nil {
		return err
	}
	return WriteTensors(filepath.Join(dir, "model.safetensors"), tensors, dtype, seed)
}

// WriteJSON writes v to a file of dir, which it makes.
func WriteJSON(dir, name string, v any) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), raw, 0o644)
}

// WriteTensors writes one safetensors file.
func WriteTensors(path string, tensors []Tensor, dtype string, seed uint64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	err = writeTensors(w, tensors, dtype, seed)
	return errors.Join(err, w.Flush(), f.Close())
}

// ElementSize is the bytes of one value in a file of that dtype, 0 for a dtype that is not written.
func (t Tensor) ElementSize(dtype string) int64 {
	return map[string]int64{"F32": 4, "BF16": 2}[t.dtype(dtype)]
}

func (t Tensor) dtype(dtype string) string {
	if t.Kind == Buffer {
		return "F32"
	}
	return dtype
}

func writeTensors(w *bufio.Writer, tensors []Tensor, dtype string, seed uint64) error {
	header, at := map[string]any{}, int64(0)
	for _, t := range tensors {
		n := t.Elements() * t.ElementSize(dtype)
		if n == 0 {
			return fmt.Errorf("tensor %s of dtype %q and shape %v: want F32 or BF16 and something in it", t.Name, t.dtype(dtype), t.Shape)
		}
		header[t.Name] = map[string]any{"dtype": t.dtype(dtype), "shape": t.Shape, "data_offsets": [2]int64{at, at + n}}
		at += n
	}
	raw, err := json.Marshal(header)
	if err != nil {
		return err
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(raw)))); err != nil {
		return err
	}
	if _, err := w.Write(raw); err != nil {
		return err
	}
	for _, t := range tensors {
		if err := t.write(w, t.ElementSize(dtype), seed); err != nil {
			return err
		}
	}
	return nil
}

// write draws the values from a stream of the tensor's own, so that one more tensor changes no other.
func (t Tensor) write(w *bufio.Writer, size int64, seed uint64) error {
	h := fnv.New64a()
	h.Write([]byte(t.Name))
	r := rand.New(rand.NewPCG(seed, h.Sum64()))
	std := 1 / math.Sqrt(float64(t.Shape[len(t.Shape)-1]))
	var b [4]byte
	for range t.Elements() {
		v := r.NormFloat64()
		switch t.Kind {
		case Matrix:
			v *= std
		case Gain:
			v = math.Exp(0.3 * v)
		case Vector, Buffer:
			v *= 0.5
		}
		binary.LittleEndian.PutUint32(b[:], math.Float32bits(float32(v)))
		if _, err := w.Write(b[4-size:]); err != nil { // BF16 is the upper half
			return err
		}
	}
	return nil
}
