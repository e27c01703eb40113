package export

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/models/export/safetensors"
)

// folder is a checkpoint's folder. Links in it are followed as long as they stay in root.
type folder struct {
	root *os.Root
	at   string // the checkpoint, in root
	temp string // what close removes; "": nothing
}

// openFolder opens a checkpoint's folder. One of the Hugging Face cache, models--ORG--NAME/snapshots/REVISION, has links to the
// cache's blobs: its root is models--ORG--NAME, or the whole cache where repositories share blobs. That folder itself stands for its revision main.
func openFolder(path string) (*folder, error) {
	abs, err := filepath.Abs(path)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs) // a name of somebody's own for a folder of the cache
	}
	if err != nil {
		return nil, err
	}
	repository, at := abs, "."
	if parent := filepath.Dir(abs); filepath.Base(parent) == "snapshots" && isCached(filepath.Dir(parent)) {
		repository, at = filepath.Dir(parent), filepath.Join("snapshots", filepath.Base(abs))
	} else if isCached(abs) {
		if main, err := os.ReadFile(filepath.Join(abs, "refs", "main")); err == nil {
			at = filepath.Join("snapshots", filepath.Base(strings.TrimSpace(string(main))))
		}
	}
	if info, err := os.Stat(abs); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s is a file: export reads the folder of a Hugging Face checkpoint, or a GGUF file", path)
	}
	if cache := filepath.Dir(repository); isCached(repository) { // which repositories may share blobs of
		if _, err := os.Lstat(filepath.Join(cache, "blobs", ".huggingface-shared-blobs")); err == nil {
			repository, at = cache, filepath.Join(filepath.Base(repository), at)
		}
	}
	root, err := os.OpenRoot(repository)
	if err != nil {
		return nil, err
	}
	return &folder{root: root, at: at}, nil
}

func (f *folder) close() error {
	err := f.root.Close()
	if f.temp != "" {
		err = errors.Join(err, os.RemoveAll(f.temp))
	}
	return err
}

func isCached(repository string) bool {
	return strings.HasPrefix(filepath.Base(repository), "models--")
}

// Open opens a file of the checkpoint.
func (f *folder) Open(name string) (*os.File, error) {
	file, err := f.root.Open(filepath.Join(f.at, name))
	if err != nil && strings.Contains(err.Error(), "escapes") { // the standard library's error has no name
		err = fmt.Errorf("%w: links out of the folder are not followed: copy the checkpoint with cp -rL, or download it with hf download --local-dir", err)
	}
	return file, err
}

// fs is the checkpoint as others read it.
func (f *folder) fs() fs.FS {
	dir, err := fs.Sub(f.root.FS(), filepath.ToSlash(f.at))
	if err != nil {
		panic(err) // the path is one of openFolder's
	}
	return dir
}

// otherFormats are what people have instead of a checkpoint that is read, by a pattern of names, with what to do.
var otherFormats = []struct{ pattern, found string }{
	{"adapter_config.json", "a LoRA adapter: merge it into its base model and export that (peft: PeftModel.from_pretrained(…).merge_and_unload().save_pretrained(FOLDER))"},
	{"pytorch_model-*.bin", "a pytorch_model.bin in shards, of which only a single file is read: save it as safetensors (transformers: AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW))"},
	{"*.gguf", "a GGUF file: give its path instead of the folder's"},
	{"consolidated*", "a checkpoint in Meta's or Mistral's own layout: take the one in the layout of transformers"},
	{"snapshots", "a folder of the Hugging Face cache: give snapshots/REVISION in it"},
	{"checkpoint-*", "a trainer's folder of checkpoints: give one of them"},
	{"model-*.safetensors", "a checkpoint in shards without its model.safetensors.index.json, or without all of them: download what is missing"},
}

// explain adds to a file's absence what the folder has instead.
func (f *folder) explain(err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	names, _ := fs.Glob(f.fs(), "*")
	return instead(err, names)
}

// instead is explain for a list of what there is.
func instead(err error, names []string) error {
	for _, o := range otherFormats {
		if i := slices.IndexFunc(names, func(name string) bool { ok, _ := path.Match(o.pattern, name); return ok }); i >= 0 {
			return fmt.Errorf("%w (%s was found: this is %s)", err, names[i], o.found)
		}
	}
	return fmt.Errorf("%w (export takes a Hugging Face checkpoint folder: config.json, and model.safetensors, shards with an index, or pytorch_model.bin)", err)
}

// Wants lists the files that an export reads, of the names that a checkpoint's repository has, as far as is known from those
// that the folder has already: the index says which shards there are. Weights come last. Without names it is those that the folder
// has, and those that every checkpoint has that can be served. Before config.json is there, whose model_type may not be supported, there are no weights.
func Wants(dir string, names []string) ([]string, error) {
	if names == nil {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		names = []string{"config.json", "tokenizer.json"}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	has := func(name string) bool { return slices.Contains(names, name) }
	absent := func(name string) error {
		return instead(fmt.Errorf("%s: %w", name, fs.ErrNotExist), names)
	}
	if !has("config.json") {
		return nil, absent("config.json")
	}
	out := slices.DeleteFunc(slices.Concat([]string{"config.json", safetensors.Index}, companions), func(name string) bool { return !has(name) })
	if !slices.ContainsFunc([]string{safetensors.Index, "model.safetensors", "pytorch_model.bin"}, has) {
		return nil, absent("model.safetensors")
	}
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer f.root.Close()
	there := func(name string) bool {
		_, err := f.root.Stat(filepath.Join(f.at, name))
		return err == nil
	}
	if !there("config.json") || has(safetensors.Index) && !there(safetensors.Index) {
		return out, nil // the next time
	}
	if err := f.supported(); err != nil {
		return nil, err
	}
	switch {
	case has(safetensors.Index):
		shards, err := safetensors.Files(f)
		if i := slices.IndexFunc(shards, func(name string) bool { return !has(name) }); err == nil && i >= 0 {
			err = absent(shards[i])
		}
		return append(out, shards...), err
	case has("model.safetensors"):
		return append(out, "model.safetensors"), nil
	}
	return append(out, "pytorch_model.bin"), nil
}

// supported refuses a model_type that no family has, before the weights are fetched. The rest of the config is the export's, which
// may be told to ignore keys.
func (f *folder) supported() error {
	c, err := readConfig(f, nil)
	if err != nil {
		return err
	}
	var modelType string
	if class := c.names(&modelType); modelType != "" && families[modelType] == nil && classNames[class] == "" {
		return unsupported(modelType)
	}
	return nil
}
