package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// Options of an export.
type Options struct {
	Name string // of the model; default: the output folder's
	// DType is what activations and the KV cache are: f32 (default), for the CPU; f16 or bf16, for CUDA.
	DType     string
	Weights   string // of the layers: f32 (default), bf16, int8, int4 or keep on the CPU; the dtype on CUDA. Norms stay f32
	Embedding string // f32 (default), f16, bf16, int8, int4 or keep (default with weights keep) on the CPU; the dtype on CUDA
	Head      string // default: as Weights; on CUDA f32 too
	State     string // of the families that inject: zeros (default) or normal
	Tokenizer string // folder with the tokenizer of a GGUF file; "": the one in its metadata
	Loop      string // of plain decoders: the layers of the block, FIRST-LAST, counted from 0; "": all, which are passed once
	LoopSteps int    // loops of a request that doesn't say; 0: 1, the model itself
	LoopBeta  string // share of the first loop's output in what the layers after the window read, 0 to 1; default 0.5
	LoopKV    string // depth (default) or first
	LoopNaive bool   // the window is repeated, and that is all
	Unfused   bool   // keep norms, additions and activations out of the products, and float32 ones ONNX's own, to compare with
	Force     bool   // replace an existing bundle
	// IgnoreConfig are keys of config.json that are taken as absent, because somebody knows that they say nothing.
	IgnoreConfig []string
	Exporter     string // "loopserve <version>"
	Origin       string // what the manifest says that it was made from; default: the checkpoint's folder
	// Check looks at the checkpoint's folder before any weight is written; nil: nobody looks.
	Check func(checkpoint fs.FS) error `json:"-"`
	// Progress is called now and then; nil: nobody looks.
	Progress func(Progress) `json:"-"`

	beta    float64 // of LoopBeta
	emulate bool    // 16-bit graphs with the CPU's attention and float32 ports, for tests
}

// companions are copied beside the graphs where the checkpoint has them, under the last part of their names: a bundle has no
// folders.
var companions = []string{
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "generation_config.json",
	"chat_template.jinja", "additional_chat_templates/tool_use.jinja", "README.md", "eval.jsonl",
}

// Export reads the checkpoint hf, a folder or a GGUF file, and writes a bundle to out. It writes beside out and renames at the end: out is
// either whole or not there, and a bundle that is replaced is either the old or the new one. An error names the file,
// key or tensor at fault.
func Export(ctx context.Context, hf, out string, opt Options) (m *bundle.Manifest, err error) {
	if err := opt.Settle(); err != nil {
		return nil, err
	}
	out = filepath.Clean(out)
	if opt.Name == "" {
		opt.Name = filepath.Base(out)
	}
	p, err := newOutputFolder(out, opt.Force)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if m, err = write(ctx, hf, p.temp, opt); err != nil {
		return nil, fmt.Errorf("export %s: %w", hf, err)
	}
	return m, p.finish(opt.Force)
}

func write(ctx context.Context, hf, to string, opt Options) (*bundle.Manifest, error) {
	s, err := openSource(hf, opt)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if opt.Check != nil {
		if err := opt.Check(s.dir.fs()); err != nil {
			return nil, err
		}
	}
	target, err := os.OpenRoot(to)
	if err != nil {
		return nil, err
	}
	defer target.Close()
	m := &bundle.Manifest{
		ManifestVersion: bundle.Version, Name: opt.Name, Kind: bundle.KindPaged, Family: s.modelType,
		Source:    bundle.Source{ModelType: s.modelType, Checkpoint: cmp.Or(opt.Origin, filepath.Base(filepath.Clean(hf))), Exporter: opt.Exporter},
		Prelude:   bundle.Graph{File: "prelude.onnx"},
		Block:     bundle.Graph{File: "block.onnx"},
		Coda:      bundle.Graph{File: "coda.onnx"},
		Precision: opt.precision(s.ckpt),
	}
	switch {
	case opt.emulate:
		m.Precision.Activations = F32
	case opt.DType != F32:
		m.Provider = bundle.ProviderCUDA
	}
	s.family.describe(m)
	if m.State, err = s.family.initial(opt.State); err != nil {
		return nil, err
	}
	if err := writeGraphs(ctx, s, target, m, opt); err != nil {
		return nil, err
	}
	if opt.Progress != nil {
		opt.Progress(Progress{Doing: "hashing", Done: 1, Total: 1})
	}
	if m.Source.SHA256, err = s.ckpt.SHA256(); err != nil {
		return nil, err
	}
	if err := copyCompanions(s.dir, target, m); err != nil {
		return nil, err
	}
	if text := s.family.chatTemplate(); text != "" {
		const file = "chat_template.jinja"
		m.Files[file] = bundle.File{}
		if err := writeFile(target, file, []byte(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return m, bundle.Save(to, m)
}

func writeGraphs(ctx context.Context, s *source, target *os.Root, m *bundle.Manifest, opt Options) error {
	data, err := newDataFile(target, "weights.data")
	if err != nil {
		return err
	}
	b := s.builder(ctx, data, opt)
	prelude, block, coda := s.family.build(b)
	for _, g := range []*onnx.Graph{prelude, block, coda} {
		if !opt.Unfused && slices.ContainsFunc(g.Nodes, func(n onnx.Node) bool { return n.Op == packedLinear }) {
			fuse(g)
		}
		trim(g)
	}
	if err := errors.Join(b.err, data.close()); err != nil {
		return err
	}
	for _, g := range []struct {
		file  string
		graph *onnx.Graph
	}{{m.Prelude.File, prelude}, {m.Block.File, block}, {m.Coda.File, coda}} {
		if err := writeFile(target, g.file, g.graph.Encode(opt.Exporter)); err != nil {
			return err
		}
	}
	m.Files = map[string]bundle.File{m.Prelude.File: {}, m.Block.File: {}, m.Coda.File: {}, data.name: {}}
	return nil
}

func writeFile(target *os.Root, name string, content []byte) error {
	f, err := target.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

func copyCompanions(source *folder, target *os.Root, m *bundle.Manifest) error {
	for _, file := range companions {
		content, err := safetensors.ReadFile(source, file, 256<<20)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		name := path.Base(file)
		if err == nil {
			err = writeFile(target, name, content)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		m.Files[name] = bundle.File{}
	}
	return nil
}
