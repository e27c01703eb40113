package safetensors

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// File names of the layout.
const (
	single = "model.safetensors"
	// Index is the file that a checkpoint in shards has beside them.
	Index = "model.safetensors.index.json"
)

// Checkpoint is an open folder of weights. Close it when its tensors are read.
type Checkpoint struct {
	tensors map[string]*Tensor
	files   []*os.File // of weights, in name order
}

// Folder opens files by name: an os.Root, or what follows its own rules about links.
type Folder interface {
	Open(name string) (*os.File, error)
}

// Open reads the headers of every weight file in the folder. An error names the file, and the tensor where it is one.
func Open(root Folder) (_ *Checkpoint, err error) {
	c := &Checkpoint{tensors: map[string]*Tensor{}}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	names, want, err := list(root)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := c.add(root, name, want); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for tensor, file := range want {
		if c.tensors[tensor] == nil {
			return nil, fmt.Errorf("%s: %w: it places tensor %q in %s, which does not hold it", Index, ErrFormat, tensor, file)
		}
	}
	return c, nil
}

// From is a checkpoint whose tensors another format has placed in one file, which it closes. Their names are distinct.
func From(f *os.File, tensors []*Tensor) *Checkpoint {
	c := &Checkpoint{tensors: map[string]*Tensor{}, files: []*os.File{f}}
	for _, t := range tensors {
		c.tensors[t.Name] = t
	}
	return c
}

// Files are the names of the weight files that the folder's index, or the layout without one, asks for. They need not be there.
func Files(root Folder) ([]string, error) {
	names, _, err := list(root)
	return names, err
}

// list gives the names of the weight files, sorted, and where the index, if there is one, places each tensor.
func list(root Folder) (names []string, places map[string]string, err error) {
	raw, err := ReadFile(root, Index, 64<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return []string{single}, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", Index, err)
	}
	var in struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(raw, &in); err != nil || len(in.WeightMap) == 0 {
		return nil, nil, fmt.Errorf("%s: %w: weight_map is missing or empty", Index, ErrFormat)
	}
	files := map[string]bool{}
	for tensor, file := range in.WeightMap {
		if file == "" || strings.ContainsAny(file, `/\`) || file == ".." || file == "." {
			return nil, nil, fmt.Errorf("%s: %w: tensor %q is placed in %q, which is not a file of the folder", Index, ErrFormat, tensor, file)
		}
		files[file] = true
	}
	names = slices.Sorted(maps.Keys(files))
	if slices.Contains(names, single) {
		return names, in.WeightMap, nil
	}
	if f, err := root.Open(single); err == nil {
		f.Close()
		return nil, nil, fmt.Errorf("%s is there, and %s, which places all tensors in %d other files: remove the one that is older (transformers reads the former)", single, Index, len(names))
	}
	return names, in.WeightMap, nil
}

func (c *Checkpoint) add(root Folder, name string, want map[string]string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	c.files = append(c.files, f)
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: not a regular file", ErrFormat)
	}
	entries, start, err := readHeader(f, info.Size())
	if err != nil {
		return err
	}
	for tensor, e := range entries {
		if want != nil && want[tensor] != name {
			return fmt.Errorf("%w: it holds tensor %q, which the index places in %q", ErrFormat, tensor, want[tensor])
		}
		c.tensors[tensor] = At(tensor, e.DType, e.Shape, f, start+e.Offsets[0])
	}
	return nil
}

// Names are those of all tensors, sorted.
func (c *Checkpoint) Names() []string { return slices.Sorted(maps.Keys(c.tensors)) }

// Tensor returns the tensor of that name, or nil.
func (c *Checkpoint) Tensor(name string) *Tensor { return c.tensors[name] }

// Rename gives each tensor the name that its stored one stands for. Two that come to the same name are an error.
func (c *Checkpoint) Rename(name func(stored string) string) error {
	renamed, stored := map[string]*Tensor{}, map[string]string{}
	for _, was := range c.Names() {
		now := name(was)
		if renamed[now] != nil {
			return fmt.Errorf("tensors %q and %q are both %q to the model: keep one of them", stored[now], was, now)
		}
		c.tensors[was].Name = now
		renamed[now], stored[now] = c.tensors[was], was
	}
	c.tensors = renamed
	return nil
}

// SHA256 is the digest of all weight files, in name order. It reads them whole.
func (c *Checkpoint) SHA256() (string, error) {
	h := sha256.New()
	for _, f := range c.files {
		if _, err := io.Copy(h, io.NewSectionReader(f, 0, 1<<62)); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Close closes the files. Tensors can't be read afterwards.
func (c *Checkpoint) Close() error {
	var errs []error
	for _, f := range c.files {
		errs = append(errs, f.Close())
	}
	c.files = nil
	return errors.Join(errs...)
}

// ReadFile reads a file of the folder whole. A larger one than most bytes is refused.
func ReadFile(root Folder, name string, most int64) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = fmt.Errorf("larger than %d bytes", most)
	}
	return raw, err
}

// OpenFile reads one file of the format, whatever its name.
func OpenFile(root Folder, name string) (*Checkpoint, error) {
	c := &Checkpoint{tensors: map[string]*Tensor{}}
	if err := c.add(root, name, nil); err != nil {
		c.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}
