package torchbin

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/loopserve/loopserve/models/export/safetensors"
)

// FileName is what such a checkpoint is called.
const FileName = "pytorch_model.bin"

const (
	maxPickle  = 32 << 20
	maxEntries = 1 << 17
)

// dtypes by the storages' class names.
var dtypes = map[string]safetensors.DType{
	"FloatStorage": safetensors.F32, "HalfStorage": safetensors.F16, "BFloat16Storage": safetensors.BF16, "LongStorage": safetensors.I64,
}

// Open reads the folder's pytorch_model.bin. An error names the tensor where it is one.
func Open(root safetensors.Folder) (*safetensors.Checkpoint, error) {
	f, err := root.Open(FileName)
	if err != nil {
		return nil, err
	}
	tensors, err := read(f)
	if err != nil {
		_ = f.Close() // the error that matters is the other one
		return nil, fmt.Errorf("%s: %w", FileName, err)
	}
	return safetensors.From(f, tensors), nil
}

func read(f *os.File) ([]*safetensors.Tensor, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: not a regular file", ErrFormat)
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%w: not a zip archive (truncated, or of PyTorch before 1.6): %w", ErrFormat, err)
	}
	a, err := index(z)
	if err != nil {
		return nil, err
	}
	program, err := a.small("data.pkl", maxPickle)
	if err != nil {
		return nil, err
	}
	if order, err := a.small("byteorder", 16); err == nil && string(order) != "little" {
		return nil, fmt.Errorf("%w: byte order is %q, only little is supported", ErrFormat, order)
	}
	d, err := unpickle(program)
	if err != nil {
		return nil, err
	}
	var out []*safetensors.Tensor
	seen := map[string]bool{}
	for _, p := range d.pairs {
		t, ok := p.value.(tensor)
		if !ok {
			return nil, fmt.Errorf("%w: %q is not a tensor: only a plain dictionary of tensors is read", ErrFormat, p.key)
		}
		if seen[p.key] {
			return nil, fmt.Errorf("%w: tensor %q appears twice", ErrFormat, p.key)
		}
		seen[p.key] = true
		placed, err := a.locate(p.key, t, f, info.Size())
		if err != nil {
			return nil, fmt.Errorf("%w: tensor %q: %w", ErrFormat, p.key, err)
		}
		out = append(out, placed)
	}
	return out, nil
}

// archive has the entries by their name below the archive's one folder.
type archive map[string]*zip.File

func index(z *zip.Reader) (archive, error) {
	if len(z.File) > maxEntries {
		return nil, fmt.Errorf("%w: %d entries, at most %d are read", ErrFormat, len(z.File), maxEntries)
	}
	a, folder := archive{}, ""
	for _, f := range z.File {
		top, rest, ok := strings.Cut(f.Name, "/")
		if !ok || folder != "" && top != folder {
			return nil, fmt.Errorf("%w: entry %q is outside the archive's one folder", ErrFormat, f.Name)
		}
		folder = top
		if a[rest] != nil {
			return nil, fmt.Errorf("%w: entry %q appears twice", ErrFormat, f.Name)
		}
		a[rest] = f
	}
	return a, nil
}

func (a archive) small(name string, most uint64) ([]byte, error) {
	f := a[name]
	if f == nil {
		return nil, fmt.Errorf("%w: %s is missing", ErrFormat, name)
	}
	if f.UncompressedSize64 > most {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d are read", ErrFormat, name, f.UncompressedSize64, most)
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, int64(most)))
}

// locate finds a tensor's bytes in the file.
func (a archive) locate(name string, t tensor, f *os.File, size int64) (*safetensors.Tensor, error) {
	dtype, ok := dtypes[t.stored.kind]
	if !ok {
		return nil, fmt.Errorf("storage type %s is not supported", t.stored.kind)
	}
	if !t.contiguous() {
		return nil, fmt.Errorf("strides %v are not the row-major strides of shape %v", t.stride, t.shape)
	}
	e := a["data/"+t.stored.key]
	if e == nil {
		return nil, fmt.Errorf("data/%s is missing from the archive", t.stored.key)
	}
	if e.Method != zip.Store {
		return nil, fmt.Errorf("data/%s is compressed", t.stored.key)
	}
	start, err := e.DataOffset()
	if err != nil {
		return nil, err
	}
	n, ok := safetensors.Elements(t.shape)
	if !ok {
		return nil, fmt.Errorf("shape %v", t.shape)
	}
	stored := int64(e.UncompressedSize64)
	if stored < 0 || stored > size || start > size-stored || t.offset > stored || (t.offset+n)*dtype.Size() > stored {
		return nil, fmt.Errorf("elements %d to %d are outside data/%s of %d bytes", t.offset, t.offset+n, t.stored.key, e.UncompressedSize64)
	}
	return safetensors.At(name, dtype, t.shape, f, start+t.offset*dtype.Size()), nil
}
