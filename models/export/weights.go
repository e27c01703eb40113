package export

import (
	"bufio"
	"errors"
	"io"
	"os"

	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// dataFile is the external data of all three graphs. A tensor that two graphs use (tied embeddings) is written once.
type dataFile struct {
	name    string
	w       *bufio.Writer
	f       *os.File
	at      int64
	written map[string]onnx.Extent // by what it holds
}

// alignment lets the runtime map large tensors straight from the file: it wants page boundaries.
const alignment = 4096

func newDataFile(root *os.Root, name string) (*dataFile, error) {
	f, err := root.Create(name)
	if err != nil {
		return nil, err
	}
	return &dataFile{name: name, f: f, w: bufio.NewWriterSize(f, 1<<20), written: map[string]onnx.Extent{}}, nil
}

// Write appends bytes.
func (d *dataFile) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	d.at += int64(n)
	return n, err
}

// write adds one tensor with the bytes that fill produces, unless key was written before.
func (d *dataFile) write(key string, fill func(w io.Writer) error) (onnx.Extent, error) {
	if p, ok := d.written[key]; ok {
		return p, nil
	}
	padding := (alignment - d.at%alignment) % alignment
	if _, err := d.Write(make([]byte, padding)); err != nil {
		return onnx.Extent{}, err
	}
	from := d.at
	if err := fill(d); err != nil {
		return onnx.Extent{}, err
	}
	d.written[key] = onnx.Extent{File: d.name, Offset: from, Length: d.at - from}
	return d.written[key], nil
}

func (d *dataFile) close() error {
	err := d.w.Flush()
	if err == nil {
		err = d.f.Sync()
	}
	return errors.Join(err, d.f.Close())
}

// rows streams a matrix [n, k] made of stored ones stacked on each other, a row at a time. The slice is reused.
func (b *builder) rows(parts []*safetensors.Tensor, each func(row []float32) error) error {
	_, n := stacked(parts)
	row := column{values: make([]float32, parts[0].Shape[1])}
	for r := range n {
		if err := b.stackedRow(parts, r, &row); err != nil {
			return err
		}
		if err := each(row.values); err != nil {
			return err
		}
	}
	return nil
}

// Progress is how far an export is.
type Progress struct {
	Doing       string // "writing" or "hashing"
	Done, Total int64  // numbers of the checkpoint
	Written     int64  // bytes
	Tensor      string // that is being read
}

// progress counts what is read. A tied table may be read twice, and a table that is recomputed not at all: the total
// is only near the truth.
type progress struct {
	tell        func(Progress)
	done, total int64
	told        int64
}

// between two calls are so many numbers, about a tenth of a second's work.
const between = 1 << 22

func (s *source) progress(opt Options) progress {
	p := progress{tell: opt.Progress}
	for _, name := range s.ckpt.Names() {
		p.total += s.ckpt.Tensor(name).Len()
	}
	return p
}

// advance counts n more numbers of a tensor. It ends an export that nobody wants any more.
func (b *builder) advance(n int64, tensor string) error {
	p := &b.progress
	if p.done += n; p.done-p.told < between && p.told > 0 {
		return nil
	}
	p.told = p.done
	if p.tell != nil {
		p.tell(Progress{Doing: "writing", Done: min(p.done, p.total), Total: p.total, Written: b.data.at, Tensor: tensor})
	}
	return b.ctx.Err()
}
