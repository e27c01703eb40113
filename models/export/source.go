package export

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

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
	if s.dir, err = openFolder(hf); err != nil {
		return nil, err
	}
	c, err := readConfig(s.dir, opt.IgnoreConfig)
	if err != nil {
		return nil, err
	}
	c.loop = opt.Loop
	if s.ckpt, err = openWeights(s.dir); err != nil {
		return nil, err
	}
	return s, s.choose(c)
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
		_ = s.dir.root.Close()
	}
}

// classNames are the families whose configs have a _class_name or a model_class_name, and no model_type.
var classNames = map[string]string{"ParcaeConfig": "parcae", "Parcae": "parcae"}

func (s *source) choose(c *config) (err error) {
	var class string
	c.name("model_type", &s.modelType)
	c.name("model_class_name", &class)
	c.name("_class_name", &class)
	if len(c.errs) > 0 {
		return errors.Join(c.errs...)
	}
	if s.modelType == "" {
		s.modelType = classNames[class]
	}
	newFamily, ok := families[s.modelType]
	if !ok {
		return fmt.Errorf("config.json: %w %q (this version exports %s)", ErrUnsupported, s.modelType+class, strings.Join(Families(), ", "))
	}
	s.family, err = newFamily(c, func(tensor string) bool { return s.ckpt.Tensor(tensor) != nil })
	return err
}

func (s *source) builder(ctx context.Context, data *dataFile, opt Options) *builder {
	b := &builder{opt: opt, ckpt: s.ckpt, data: data, ctx: ctx, eps: s.family.epsilon(), used: map[string]bool{}}
	b.progress = s.progress(opt)
	b.act = elements[opt.DType]
	b.port = b.act
	if opt.emulate {
		b.port = onnx.Float
	}
	return b
}
