package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export/gguf"
	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
	"github.com/loopserve/loopserve/models/export/torchbin"
)

// ErrUnsupported says that the checkpoint is of a family that is not implemented.
var ErrUnsupported = errors.New("unsupported model type")

// source is an open checkpoint, and the family that understands it.
type source struct {
	dir       *folder
	ckpt      *safetensors.Checkpoint
	modelType string
	family    family
}

func openSource(hf string, opt Options) (_ *source, err error) {
	s := &source{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	isGGUF := gguf.Is(hf)
	switch {
	case isGGUF:
		err = s.openGGUF(hf, opt)
	case opt.Tokenizer != "":
		err = fmt.Errorf("tokenizer is %q: only a GGUF file takes its tokenizer from another folder: put the files into %s", opt.Tokenizer, hf)
	default:
		s.dir, err = openFolder(hf)
	}
	if err != nil {
		return nil, err
	}
	c, err := readConfig(s.dir, opt.IgnoreConfig)
	if err != nil {
		return nil, err
	}
	c.loop, c.opt = opt.Loop, opt
	if isGGUF {
		if err := s.choose(c); err != nil {
			return nil, fmt.Errorf("the file's metadata, as a config.json (model_type is general.architecture): %w", err)
		}
		return s, nil
	}
	if s.ckpt, err = openWeights(s.dir); err != nil {
		return nil, err
	}
	return s, s.choose(c)
}

// openGGUF opens a GGUF file as the checkpoint it stands for: what a folder would have beside the weights is written to one, which
// close removes.
func (s *source) openGGUF(path string, opt Options) error {
	m, err := gguf.Open(path)
	if err != nil {
		return err
	}
	s.ckpt = m.Weights
	temp, err := os.MkdirTemp("", "loopserve-gguf-")
	if err != nil {
		return err
	}
	if s.dir, err = openFolder(temp); err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	s.dir.temp = temp
	files := map[string]any{}
	switch {
	case opt.Tokenizer != "":
		err = s.dir.take(opt.Tokenizer)
	case opt.Check != nil: // a server will want one
		files, err = m.Tokenizer()
	}
	if err != nil {
		return err
	}
	files["config.json"] = m.Config
	for name, v := range files {
		raw, err := json.Marshal(v)
		if err == nil {
			err = writeFile(s.dir.root, name, raw)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// take copies a tokenizer from the folder of another checkpoint.
func (f *folder) take(from string) error {
	other, err := openFolder(from)
	if err != nil {
		return err
	}
	defer other.close()
	found := &bundle.Manifest{Files: map[string]bundle.File{}}
	if err := copyCompanions(other, f.root, found); err != nil {
		return err
	}
	if _, ok := found.Files["tokenizer.json"]; !ok {
		return fmt.Errorf("tokenizer is %q: there is no tokenizer.json in that folder", from)
	}
	return nil
}

// openWeights prefers safetensors; a pytorch_model.bin is read where it stands alone.
func openWeights(dir *folder) (*safetensors.Checkpoint, error) {
	c, err := safetensors.Open(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	if c, binErr := torchbin.Open(dir); !errors.Is(binErr, fs.ErrNotExist) {
		return c, binErr
	}
	return nil, dir.explain(err)
}

func (s *source) close() {
	if s.ckpt != nil {
		_ = s.ckpt.Close() // read only: nothing is lost
	}
	if s.dir != nil {
		_ = s.dir.close()
	}
}

// classNames are the families whose configs have a _class_name or a model_class_name, and no model_type; each family's file adds
// its own.
var classNames = map[string]string{}

func (s *source) choose(c *config) (err error) {
	class := c.names(&s.modelType)
	if len(c.errs) > 0 {
		return errors.Join(c.errs...)
	}
	if s.modelType == "" {
		s.modelType = classNames[class]
	}
	newFamily, ok := families[s.modelType]
	if !ok {
		return unsupported(s.modelType + class)
	}
	s.family, err = newFamily(c, func(tensor string) bool { return s.ckpt.Tensor(tensor) != nil })
	if of, ok := s.family.(interface{ tensorName(stored string) string }); ok && err == nil {
		err = s.ckpt.Rename(of.tensorName)
	}
	return err
}

// names gives what the config says that it is of.
func (c *config) names(modelType *string) (class string) {
	c.name("model_type", modelType)
	c.name("model_class_name", &class)
	c.name("_class_name", &class)
	return class
}

func unsupported(name string) error {
	if why := notYet[name]; why != "" {
		return fmt.Errorf("config.json: %w %q: %s", ErrUnsupported, name, why)
	}
	return fmt.Errorf("config.json: %w %q (this version exports %s)", ErrUnsupported, name, strings.Join(Families(), ", "))
}

func (s *source) builder(ctx context.Context, data *dataFile, opt Options) *builder {
	b := &builder{opt: opt, ckpt: s.ckpt, data: data, ctx: ctx, eps: s.family.epsilon(), used: map[string]bool{}, most: map[string]float32{}}
	b.progress = s.progress(opt)
	b.act = elements[opt.DType]
	b.port = b.act
	if opt.emulate {
		b.port = onnx.Float
	}
	return b
}
