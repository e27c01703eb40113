package configs

import (
	_ "embed"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed default.yaml
var defaultYAML string

// DefaultYAML returns the annotated defaults, as `loopserve config --default` prints them.
func DefaultYAML() string { return defaultYAML }

// Config is the whole configuration. default.yaml says what each field means; its order is the same. oneof and least are
// rules of Validate; times must all be above 0.
type Config struct {
	Listen     string   `yaml:"listen"`
	TLSCert    string   `yaml:"tls_cert"`
	TLSKey     string   `yaml:"tls_key"`
	RootPath   string   `yaml:"root_path"`
	APIKeys    []string `yaml:"api_keys"`
	APIKeyFile string   `yaml:"api_key_file"`
	Insecure   bool     `yaml:"insecure"`

	AllowedHosts   []string `yaml:"allowed_hosts"`
	CORSOrigins    []string `yaml:"cors_origins"`
	MaxConnections int      `yaml:"max_connections" least:"1"`

	Models          []string      `yaml:"models"`
	ServedModelName []string      `yaml:"served_model_name"`
	Strict          bool          `yaml:"strict"`
	Trust           []string      `yaml:"trust"`
	Verify          string        `yaml:"verify" oneof:"lazy start off"`
	Preload         []string      `yaml:"preload"`
	ModelMemory     Bytes         `yaml:"model_memory"`
	ModelWait       time.Duration `yaml:"model_wait"`
	Tokenizer       string        `yaml:"tokenizer" oneof:"native sugarme"`
	Generation      string        `yaml:"generation_config" oneof:"auto off"`
	Provider        string        `yaml:"provider" oneof:"cpu cuda auto"`
	DeviceID        int           `yaml:"device_id" least:"0"`
	Threads         int           `yaml:"threads" least:"0"`
	ORTLib          string        `yaml:"ort_lib"`

	Cache        string   `yaml:"cache"`
	Weights      string   `yaml:"weights"`
	Embedding    string   `yaml:"embedding"`
	Head         string   `yaml:"head"`
	DType        string   `yaml:"dtype"`
	IgnoreConfig []string `yaml:"ignore_config"`

	KVMemory      Bytes         `yaml:"kv_memory" least:"0"`
	KVPrecision   string        `yaml:"kv_precision" oneof:"auto f32 f16 int8"`
	KVPolicy      string        `yaml:"kv_policy"`
	PageSize      int           `yaml:"page_size" least:"1"`
	MaxRows       int           `yaml:"max_rows" least:"1"`
	MaxRunning    int           `yaml:"max_running" least:"1"`
	QueueLimit    int           `yaml:"queue_limit" least:"1"`
	ReserveTokens int           `yaml:"reserve_tokens" least:"-1"`
	RowBudget     int           `yaml:"row_budget" least:"0"`
	Scheduling    string        `yaml:"scheduling" oneof:"depth lockstep"`
	Draft         string        `yaml:"draft" oneof:"off auto"`
	PrefixCache   bool          `yaml:"prefix_cache"`
	SharePrefixes bool          `yaml:"share_prefixes"`
	ElasticAfter  time.Duration `yaml:"elastic_after"`
	ElasticSteps  []float64     `yaml:"elastic_steps"`
	MaxContext    int           `yaml:"max_context" least:"0"`

	BodyLimit    Bytes    `yaml:"body_limit" least:"1KiB"`
	BodyBudget   Bytes    `yaml:"body_budget" least:"1MiB"`
	MaxPrompts   int      `yaml:"max_prompts" least:"1"`
	MaxChoices   int      `yaml:"max_choices" least:"1"`
	MaxSequences int      `yaml:"max_sequences" least:"1"`
	MaxLoopSteps int      `yaml:"max_loop_steps" least:"1"`
	TemplateArgs []string `yaml:"template_args"`

	HeaderTimeout time.Duration `yaml:"header_timeout"`
	BodyTimeout   time.Duration `yaml:"body_timeout"`
	WriteTimeout  time.Duration `yaml:"write_timeout"`
	IdleTimeout   time.Duration `yaml:"idle_timeout"`
	DrainDelay    time.Duration `yaml:"drain_delay" least:"0s"`
	DrainTimeout  time.Duration `yaml:"drain_timeout"`
	CallTimeout   time.Duration `yaml:"call_timeout"`
	LoadTimeout   time.Duration `yaml:"load_timeout"`

	LogLevel      string  `yaml:"log_level" oneof:"debug info warn error"`
	LogFormat     string  `yaml:"log_format" oneof:"text json"`
	AdminListen   string  `yaml:"admin_listen"`
	VLLMAliases   bool    `yaml:"metrics_vllm_aliases"`
	TraceEndpoint string  `yaml:"trace_endpoint"`
	TraceRatio    float64 `yaml:"trace_ratio"`
}

var kvPolicy = regexp.MustCompile(`^(auto|depth|latest|first|last_loop|modulo:[1-9][0-9]{0,3})$`)

// Validate returns every mistake at once, each with field, value and remedy.
func (c *Config) Validate() error {
	var errs []error
	bad := func(field string, value any, remedy string) {
		errs = append(errs, fmt.Errorf("%s is %v: %s", field, value, remedy))
	}
	for _, f := range fields(c) {
		if allowed := strings.Fields(f.tag.Get("oneof")); len(allowed) > 0 && !slices.Contains(allowed, f.String()) {
			bad(f.Name, fmt.Sprintf("%q", f), "use one of "+strings.Join(allowed, ", "))
		}
		text, bounded := f.tag.Lookup("least")
		if bounded {
			least := Field{value: reflect.New(f.value.Type()).Elem()}
			if err := least.Set(text); err != nil || f.value.Int() < least.value.Int() {
				bad(f.Name, f, "must be at least "+text)
			}
		}
		if f.Type() == "duration" && !bounded && f.value.Int() <= 0 {
			bad(f.Name, f, "must be more than 0, for example 30s")
		}
	}
	if !isAddress(c.Listen) {
		bad("listen", fmt.Sprintf("%q", c.Listen), "write it as 127.0.0.1:8080, or unix:/path")
	}
	if c.AdminListen != "" && !isAddress(c.AdminListen) {
		bad("admin_listen", fmt.Sprintf("%q", c.AdminListen), "write it as 127.0.0.1:8081, or unix:/path")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		bad("tls_cert", fmt.Sprintf("%q and tls_key %q", c.TLSCert, c.TLSKey), "HTTPS needs both")
	}
	if p := c.RootPath; p != "" && (p[0] != '/' || strings.HasSuffix(p, "/") || strings.ContainsAny(p, "?#%")) {
		bad("root_path", fmt.Sprintf("%q", p), "write it as /llm")
	}
	for _, h := range c.AllowedHosts {
		if h != strings.ToLower(h) || strings.ContainsAny(h, "/: ") {
			bad("allowed_hosts", fmt.Sprintf("%q", h), "give names in small letters, without scheme and port, like example.org, or *")
		}
	}
	for _, o := range c.CORSOrigins {
		if u, err := url.Parse(o); o != "*" && o != "null" && (err != nil || u.Scheme+"://"+u.Host != o) {
			bad("cors_origins", fmt.Sprintf("%q", o), "give scheme, host and port alone, like http://localhost:3000, or *")
		}
	}
	if u, err := url.Parse(c.TraceEndpoint); c.TraceEndpoint != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		bad("trace_endpoint", fmt.Sprintf("%q", c.TraceEndpoint), "write it as http://127.0.0.1:4318")
	}
	if !(c.TraceRatio >= 0 && c.TraceRatio <= 1) {
		bad("trace_ratio", c.TraceRatio, "must be from 0 to 1")
	}
	for i, f := range c.ElasticSteps {
		if !(f > 0 && f <= 1) || i > 0 && f > c.ElasticSteps[i-1] {
			bad("elastic_steps", c.ElasticSteps, "each must be above 0, at most 1, and not above the one before")
			break
		}
	}
	if len(c.ElasticSteps) == 0 {
		bad("elastic_steps", "empty", "give 1 to leave the loops as they are")
	}
	if len(c.Trust) > 0 && c.Verify == "off" {
		bad("verify", "off", "with trust it must be start or lazy, which compares before as start does: a signature is that of the hashes")
	}
	if n := len(c.Preload); n > 1 && (slices.Contains(c.Preload, "all") || slices.Contains(c.Preload, "none")) {
		bad("preload", c.Preload, "all and none stand alone")
	}
	if len(c.Models) == 0 {
		bad("models", "empty", "name at least one bundle, or a folder of bundles")
	}
	for _, k := range c.APIKeys {
		if len(k) < 8 || strings.TrimSpace(k) != k {
			// the key itself must not get into a log
			errs = append(errs, errors.New("api_keys: a key is shorter than 8 characters or has space around it: use a longer one, for example from openssl rand -hex 24"))
		}
	}
	if c.PageSize > 0 && c.PageSize&(c.PageSize-1) != 0 {
		bad("page_size", c.PageSize, "must be a power of two, for example 16")
	}
	if !kvPolicy.MatchString(c.KVPolicy) {
		bad("kv_policy", fmt.Sprintf("%q", c.KVPolicy), "use one of auto, depth, latest, first, last_loop, modulo:m (modulo:4)")
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// isAddress says whether text is host:port, or unix:/path.
func isAddress(text string) bool {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		return path != ""
	}
	_, _, err := net.SplitHostPort(text)
	return err == nil
}

// Key is an API key with its limits, of which 0 is none.
type Key struct {
	Text      string
	LoopSteps int64 // in a minute
	Sequences int   // under way at one time
	Weight    float64
	Operator  bool
}

// readKey reads a line of api_key_file: the key, and its limits. What is no limit may be a part of the key: no error has it.
func readKey(line string) (Key, error) {
	words := strings.Fields(line)
	k := Key{Text: words[0]}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		n, err := strconv.ParseFloat(value, 64)
		whole := err == nil && n >= 1 && n < 1<<53 && n == math.Trunc(n)
		switch {
		case name == "loop_steps_per_minute" && whole:
			k.LoopSteps = int64(n)
		case name == "sequences" && whole:
			k.Sequences = int(n)
		case name == "weight" && n >= 0.001 && n <= 1000:
			k.Weight = n
		case w == "operator":
			k.Operator = true
		case name == "loop_steps_per_minute" || name == "sequences" || name == "weight":
			return k, fmt.Errorf("%s is %q: give a whole number above 0, or as weight a number from 0.001 to 1000", name, value)
		default:
			return k, errors.New("a word behind the key is no limit: use loop_steps_per_minute=N, sequences=N, weight=X or operator")
		}
	}
	return k, nil
}

// Keys returns api_keys and the lines of api_key_file. A file that is named and has no key is an error: the server
// would be open although somebody meant it to be closed.
func (c *Config) Keys() ([]Key, error) {
	keys := make([]Key, 0, len(c.APIKeys))
	for _, k := range c.APIKeys {
		keys = append(keys, Key{Text: k})
	}
	if c.APIKeyFile == "" {
		return keys, nil
	}
	data, err := os.ReadFile(c.APIKeyFile)
	if err != nil {
		return nil, fmt.Errorf("api_key_file: %w", err)
	}
	n, at := len(keys), 0
	for line := range strings.Lines(string(data)) {
		at++
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			k, err := readKey(line)
			if err != nil {
				return nil, fmt.Errorf("api_key_file %s, line %d: %w", c.APIKeyFile, at, err)
			}
			keys = append(keys, k)
		}
	}
	if len(keys) == n {
		return nil, fmt.Errorf("api_key_file %s has no key: put one on a line", c.APIKeyFile)
	}
	return keys, nil
}
