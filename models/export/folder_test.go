package export_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/models/export"
)

// cached makes a checkpoint of the golden Ouro in the layout of the Hugging Face cache: the folder of the repository, with links
// from the revision to the blobs.
func cached(t *testing.T) (repository, snapshot string) {
	t.Helper()
	from := edited(t, "ouro/tiny-mha", nil)
	repository = filepath.Join(t.TempDir(), "models--x--ouro")
	snapshot = filepath.Join(repository, "snapshots", "abc123")
	for _, dir := range []string{"blobs", "refs", "snapshots/abc123"} {
		if err := os.MkdirAll(filepath.Join(repository, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put(t, repository, "refs/main", "abc123")
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(repository, "blobs", "sha-"+e.Name()))
		if err := errors.Join(err, os.Symlink("../../blobs/sha-"+e.Name(), filepath.Join(snapshot, e.Name()))); err != nil {
			t.Fatal(err)
		}
	}
	return repository, snapshot
}

// The links of the Hugging Face cache are followed, inside the repository's folder and nowhere else.
func TestHuggingFaceCache(t *testing.T) {
	repository, snapshot := cached(t)
	want := manifestOf(t, edited(t, "ouro/tiny-mha", nil), export.Options{}).Files
	named := filepath.Join(t.TempDir(), "ouro")
	if err := os.Symlink(snapshot, named); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{snapshot, repository, named} {
		got := manifestOf(t, from, export.Options{}).Files
		if len(got) != len(want) || got["weights.data"] != want["weights.data"] {
			t.Errorf("%s: %d files, want %d", from, len(got), len(want))
		}
	}
	// Newer ones keep some blobs once for all repositories; without their mark, a link out of the repository is one.
	shared := filepath.Join(filepath.Dir(repository), "blobs", "ab")
	mark := filepath.Join(filepath.Dir(shared), ".huggingface-shared-blobs")
	blob := filepath.Join(repository, "blobs", "sha-model.safetensors")
	if err := errors.Join(os.MkdirAll(shared, 0o755), os.WriteFile(mark, []byte("1\n"), 0o644), os.Rename(blob, shared+"/xet"), os.Symlink("../../blobs/ab/xet", blob)); err != nil {
		t.Fatal(err)
	}
	if got := manifestOf(t, snapshot, export.Options{}).Files; got["weights.data"] != want["weights.data"] {
		t.Error("a shared blob gives other weights")
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	_, err := export.Export(t.Context(), snapshot, filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
	mentions(t, err, "model.safetensors", "escapes")
	for link, to := range map[string]string{"config.json": filepath.Join(t.TempDir(), "config.json"), "tokenizer.json": "../../../elsewhere"} {
		_, snapshot := cached(t)
		path := filepath.Join(snapshot, link)
		if err := errors.Join(os.Remove(path), os.WriteFile(filepath.Join(snapshot, "../../../elsewhere"), []byte("{}"), 0o644), os.Symlink(to, path)); err != nil {
			t.Fatal(err)
		}
		_, err := export.Export(t.Context(), snapshot, filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
		mentions(t, err, link, "escapes", "cp -rL")
	}
}

// Folders as people have them, of which none is a checkpoint that can be read: the message says what was found and what to do.
func TestOtherFolders(t *testing.T) {
	type files map[string]any
	for _, c := range []struct {
		name   string
		gone   []string
		files  files
		at     string // in the folder
		expect []string
	}{
		{"a whole file beside an index", nil, files{"model.safetensors.index.json": `{"weight_map":{"lm_head.weight":"model-00001-of-00002.safetensors"}}`}, "", []string{"model.safetensors.index.json", "remove the one that is older"}},
		{"shards of pytorch_model.bin", []string{"model.safetensors"}, files{"pytorch_model-00001-of-00002.bin": "x", "pytorch_model.bin.index.json": "{}"}, "", []string{"pytorch_model-00001-of-00002.bin", "save_pretrained"}},
		{"LoRA", []string{"model.safetensors", "config.json"}, files{"adapter_config.json": "{}", "adapter_model.safetensors": "x"}, "", []string{"config.json", "LoRA", "merge_and_unload"}},
		{"LoRA with the base's config", []string{"model.safetensors"}, files{"adapter_config.json": "{}"}, "", []string{"LoRA", "merge_and_unload"}},
		{"GGUF", []string{"model.safetensors", "config.json"}, files{"ouro-q4_k_m.gguf": "GGUF"}, "", []string{"ouro-q4_k_m.gguf", "give its path"}},
		{"a GGUF file", nil, files{"ouro.gguf": "GGUF"}, "ouro.gguf", []string{"bad GGUF file", "truncated"}},
		{"the file of weights", nil, nil, "model.safetensors", []string{"is a file", "folder", "GGUF"}},
		{"a trainer's folder", []string{"model.safetensors", "config.json"}, files{"checkpoint-500/config.json": "{}"}, "", []string{"checkpoint-500", "give one of them"}},
		{"nothing", []string{"model.safetensors"}, nil, "", []string{"model.safetensors", "shards with an index"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := edited(t, "ouro/tiny-mha", nil)
			for _, name := range c.gone {
				if err := os.Remove(filepath.Join(from, name)); err != nil {
					t.Fatal(err)
				}
			}
			for name, content := range c.files {
				put(t, from, name, content)
			}
			_, err := export.Export(t.Context(), filepath.Join(from, c.at), filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
			mentions(t, err, c.expect...)
			if err != nil && strings.Count(err.Error(), "\n") > 0 {
				t.Errorf("several lines: %v", err)
			}
		})
	}
}

// Of a repository's files those are fetched that an export reads, and the shards when the index has told of them.
func TestWants(t *testing.T) {
	const index = "model.safetensors.index.json"
	both := []string{"README.md", ".gitattributes", "config.json", "tokenizer.json", "tokenizer.model", "pytorch_model.bin", "figure.png", "modeling_ouro.py", "original/consolidated.safetensors"}
	sharded := append(both, index, "model-1.safetensors", "model-2.safetensors", "model.safetensors")
	for _, c := range []struct {
		name       string
		has, names []string
		want       string
	}{
		{"whole, before its config", nil, append(both, "model.safetensors"), "config.json tokenizer.json README.md"},
		{"whole", []string{"config.json"}, append(both, "model.safetensors", "added_tokens.json", "additional_chat_templates/tool_use.jinja"), "config.json tokenizer.json added_tokens.json additional_chat_templates/tool_use.jinja README.md model.safetensors"},
		{"only .bin", []string{"config.json"}, both, "config.json tokenizer.json README.md pytorch_model.bin"},
		{"shards, at first", nil, sharded, "config.json " + index + " tokenizer.json README.md"},
		{"shards, with the index", []string{"config.json", index}, sharded, "config.json " + index + " tokenizer.json README.md model-1.safetensors model-2.safetensors"},
		{"what is here, without a list", []string{"config.json", "model.safetensors"}, nil, "config.json tokenizer.json model.safetensors"},
		{"a part of it, without a list", []string{"config.json", index}, nil, "error: model-1.safetensors: file does not exist"},
		{"a shard that there is not", []string{"config.json", index}, sharded[:len(sharded)-2], "error: model-2.safetensors: file does not exist"},
		{"LoRA", nil, []string{"adapter_config.json", "adapter_model.safetensors"}, "error: config.json: file does not exist (adapter_config.json was found: this is a LoRA adapter"},
		{"no weights", nil, []string{"config.json"}, "error: model.safetensors: file does not exist"},
	} {
		dir := t.TempDir()
		for _, name := range c.has {
			put(t, dir, name, `{"weight_map":{"b":"model-2.safetensors","a":"model-1.safetensors"}}`)
		}
		list, err := export.Wants(dir, c.names)
		got := strings.Join(list, " ")
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != c.want && (err == nil || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	// A model that is not supported is refused before its weights are fetched.
	for config, refused := range map[string]bool{
		`{"model_type":"gpt2"}`: true, `{"model_type":"ouro"}`: false, `{"_class_name":"Parcae"}`: false, `{"model_type":"x","model_class_name":"ParcaeConfig"}`: false,
	} {
		dir := t.TempDir()
		put(t, dir, "config.json", config)
		if _, err := export.Wants(dir, append(both, "model.safetensors")); errors.Is(err, export.ErrUnsupported) != refused || !refused && err != nil {
			t.Errorf("%s: %v", config, err)
		}
	}
}
