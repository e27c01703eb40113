package configs_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/docs"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every field of the struct stands in default.yaml, with a comment, in the same order, and nothing else does.
func TestEveryFieldStandsInTheFile(t *testing.T) {
	var inFile []string
	for line := range strings.Lines(configs.DefaultYAML()) {
		if key, _, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") {
			inFile = append(inFile, key)
		}
	}
	var inStruct []string
	for f := range reflect.TypeFor[configs.Config]().Fields() {
		inStruct = append(inStruct, f.Tag.Get("yaml"))
	}
	if !reflect.DeepEqual(inFile, inStruct) {
		t.Errorf("file   %v\nstruct %v", inFile, inStruct)
	}
	for _, f := range configs.Fields() {
		if f.Usage() == "" {
			t.Errorf("%s has no comment in default.yaml", f.Name)
		}
	}
}

var update = flag.Bool("update", false, "write the table of settings in docs/operations.md instead of comparing it")

// docs/operations.md has each setting with its spellings, as default.yaml has it.
func TestDocsListTheSettings(t *testing.T) {
	table := "| flag | environment | default | meaning |\n|---|---|---|---|\n"
	for line := range strings.Lines(configs.DefaultYAML()) {
		if title, ok := strings.CutPrefix(line, "# --- "); ok {
			table += "| **" + strings.TrimSuffix(title, " ---\n") + "** | | | |\n"
			continue
		}
		key, _, _ := strings.Cut(line, ":")
		for _, f := range configs.Fields() {
			if f.Name == key {
				table += fmt.Sprintf("| `--%s` | `%s` | %s | %s |\n", f.Flag(), f.Env(), f, f.Usage())
			}
		}
	}
	docs.Hold(t, "../docs/operations.md", *update, "go test ./configs -run DocsList -update", docs.Part{Begin: "<!-- settings -->\n", End: "<!-- end -->", Text: table})
}

func TestDefaults(t *testing.T) {
	c, err := configs.Load(configs.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:8080" || c.KVMemory != 0 || c.ModelMemory != 0 || c.Verify != "lazy" || c.Strict || c.BodyLimit != 4<<20 || c.DrainTimeout != 30*time.Second ||
		len(c.Models) != 1 || len(c.APIKeys) != 0 || c.Provider != "cpu" {
		t.Errorf("%+v", c)
	}
}

func TestPrecedence(t *testing.T) {
	file := write(t, "# mine\nqueue_limit: 201\nmax_running: 21\nthreads: 1\nmodels: [a, b]\nkv_memory: 64MiB\nidle_timeout: 5s\n")
	env := []string{"LOOPSERVE_MAX_RUNNING=22", "LOOPSERVE_THREADS=2", "LOOPSERVE_API_KEYS=first-key, second-key", "OTHER=x"}
	c, err := configs.Load(configs.Sources{
		File:    file,
		Environ: env,
		Flags:   map[string]string{"threads": "3", "insecure": "true", "body_limit": "2MB", "write_timeout": "1m"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.QueueLimit != 201 || c.MaxRunning != 22 || c.Threads != 3 || len(c.Models) != 2 || c.KVMemory != 64<<20 ||
		!c.Insecure || c.BodyLimit != 2e6 || c.WriteTimeout != time.Minute || c.IdleTimeout != 5*time.Second ||
		len(c.APIKeys) != 2 || c.APIKeys[1] != "second-key" || c.PageSize != 16 {
		t.Errorf("%+v", c)
	}
	shown, err := c.YAML()
	if err != nil || strings.Contains(shown, "second-key") || !strings.Contains(shown, "kv_memory: 64MiB") {
		t.Errorf("%v\n%s", err, shown)
	}
}

func TestMistakes(t *testing.T) {
	tests := []struct {
		name, yaml string
		flags      map[string]string
		want       []string
	}{
		{"unknown key", "queue_limt: 3\n", nil, []string{"unknown field", "queue_limt"}},
		{"key twice", "threads: 3\nthreads: 4\n", nil, []string{"already defined", "threads"}},
		{"wrong type", "threads: many\n", nil, []string{"many"}},
		{"bad size", "kv_memory: 3 apples\n", nil, []string{"3 apples", "512MiB"}},
		{"negative", "threads: -1\n", nil, []string{"threads is -1: must be at least 0"}},
		{"all at once", "provider: tpu\nlog_level: loud\n", nil, []string{`provider is "tpu": use one of cpu, cuda, auto`, `log_level is "loud"`}},
		{"no port", "listen: localhost\n", nil, []string{`listen is "localhost": write it as 127.0.0.1:8080`}},
		{"short key", "api_keys: [abc]\n", nil, []string{"shorter than 8"}},
		{"page size", "page_size: 12\n", nil, []string{"power of two"}},
		{"kv precision", "kv_precision: int4\n", nil, []string{`kv_precision is "int4": use one of auto, f32, f16, int8`}},
		{"kv policy", "kv_policy: modulo\n", nil, []string{"kv_policy", "modulo:4"}},
		{"no models", "models: []\n", nil, []string{"models is empty"}},
		{"flag", "", map[string]string{"threads": "x"}, []string{`flag --threads: "x" is not an integer`}},
		{"time", "idle_timeout: 0s\n", nil, []string{"idle_timeout is 0s: must be more than 0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := configs.Load(configs.Sources{File: write(t, tt.yaml), Flags: tt.flags})
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
	if _, err := configs.Load(configs.Sources{File: filepath.Join(t.TempDir(), "none.yaml")}); err == nil {
		t.Error("a missing file was taken")
	}
}

// LOOPSERVE_MAX_ROW=3 used to be read by nobody, without a word.
func TestEnvironment(t *testing.T) {
	for _, tt := range []struct{ entry, want string }{
		{"LOOPSERVE_MAX_ROW=3", "LOOPSERVE_MAX_ROW: there is no such setting: did you mean LOOPSERVE_MAX_ROWS?"},
		{"LOOPSERVE_LISTEM=127.0.0.1:1", "did you mean LOOPSERVE_LISTEN?"},
		{"LOOPSERVE_COLOUR=red", "LOOPSERVE_COLOUR: there is no such setting: unset it"},
		{"LOOPSERVE_THREADS=x", `LOOPSERVE_THREADS: "x" is not an integer`},
		{"LOOPSERVE_KV_MEMORY=much", `LOOPSERVE_KV_MEMORY: "much" is not a size`},
		{"LOOPSERVE_IDLE_TIMEOUT=5", `LOOPSERVE_IDLE_TIMEOUT: "5" is not a duration`},
		{"LOOPSERVE_TRACE_RATIO=half", `"half" is not a number`},
		{"LOOPSERVE_ELASTIC_STEPS=1,x", `"1,x" is not a list of numbers`},
		{"LOOPSERVE_INSECURE=maybe", `"maybe" is neither true nor false`},
		{"LOOPSERVE_PORT=8080", "LOOPSERVE_PORT: there is no such setting"},
		// Not settings, and rightly there: a client's key, the tests' vectors, a Service of the same name in Kubernetes.
		{"LOOPSERVE_API_KEY=a-client-key", ""},
		{"LOOPSERVE_ORT_LIB=/some/lib.so", ""},
		{"LOOPSERVE_VECTORS=/v", ""},
		{"LOOPSERVE_PORT=tcp://10.0.0.1:8080", ""},
		{"LOOPSERVE_PORT_8080_TCP_ADDR=10.0.0.1", ""},
		{"LOOPSERVE_SERVICE_HOST=10.0.0.1", ""},
		{"LOOPSERVE_BIG_SERVICE_PORT_HTTP=8080", ""},
		{"LOOPSERVEX=1", ""},
	} {
		_, err := configs.Load(configs.Sources{Environ: []string{tt.entry}})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.entry, err, tt.want)
		}
	}
}

// What a flag or a variable is told to hold is checked by its type before anything is loaded.
func TestTypes(t *testing.T) {
	for _, f := range configs.Fields() {
		wrong := map[string]string{"bool": "perhaps", "int": "1.5", "float": "x", "duration": "3", "size": "3 apples"}[f.Type()]
		if err := f.Set(f.String()); err != nil {
			t.Errorf("%s (%s) refuses its default %q: %v", f.Name, f.Type(), f, err)
		}
		if err := f.Set(wrong); wrong != "" && err == nil {
			t.Errorf("%s (%s) takes %q", f.Name, f.Type(), wrong)
		}
	}
}

func TestKeys(t *testing.T) {
	c := &configs.Config{APIKeys: []string{"one-long-key"}, APIKeyFile: write(t, "# keys\n\n  two-long-key \n")}
	keys, err := c.Keys()
	if err != nil || !reflect.DeepEqual(keys, []configs.Key{{Text: "one-long-key"}, {Text: "two-long-key"}}) {
		t.Errorf("%v %v", keys, err)
	}
	c.APIKeyFile = write(t, "three-long-key  loop_steps_per_minute=1000 sequences=4\tweight=0.5 operator\n")
	want := configs.Key{Text: "three-long-key", LoopSteps: 1000, Sequences: 4, Weight: 0.5, Operator: true}
	if keys, err := c.Keys(); err != nil || keys[1] != want {
		t.Errorf("%v %v", keys, err)
	}
	for line, says := range map[string]string{
		"sequences=0":              `line 2: sequences is "0": give a whole number above 0, or as weight a number from 0.001 to 1000`,
		"loop_steps_per_minute=1k": `line 2: loop_steps_per_minute is "1k": give a whole number above 0, or as weight a number from 0.001 to 1000`,
		"weight=NaN":               `line 2: weight is "NaN": give a whole number above 0, or as weight a number from 0.001 to 1000`,
		"my secret":                "line 2: a word behind the key is no limit: use loop_steps_per_minute=N, sequences=N, weight=X or operator",
	} {
		c.APIKeyFile = write(t, "\nfour-long-key "+line)
		if _, err := c.Keys(); err == nil || !strings.HasSuffix(err.Error(), says) {
			t.Errorf("%s: %v", line, err)
		}
	}
	c.APIKeyFile = write(t, "# none\n")
	if _, err := c.Keys(); err == nil {
		t.Error("a key file without keys was taken")
	}
	c.APIKeyFile = "/does/not/exist"
	if _, err := c.Keys(); err == nil {
		t.Error("a missing key file was taken")
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]configs.Bytes{
		"0": 0, "4096": 4096, "1KiB": 1024, "1.5MiB": 3 << 19, "2GB": 2e9, " 3 kB ": 3000, "7B": 7, "1TiB": 1 << 40,
	} {
		if got, err := configs.ParseBytes(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-1", "MiB", "1 MiBs", "1e30GB", "NaN", "0x"} {
		if _, err := configs.ParseBytes(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	for want, b := range map[string]configs.Bytes{"1GiB": 1 << 30, "1536KiB": 3 << 19, "1000": 1000} {
		if b.String() != want {
			t.Errorf("%d is written as %s", b, b)
		}
	}
}
