package configs

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

//go:embed default.yaml
var defaultYAML []byte

// DefaultYAML returns the annotated defaults, as `loopserve config --default` prints them.
func DefaultYAML() string { return string(defaultYAML) }

// Config is the whole configuration. default.yaml says what each field means; its order is the same.
type Config struct {
	Listen     string   `yaml:"listen"`
	APIKeys    []string `yaml:"api_keys"`
	APIKeyFile string   `yaml:"api_key_file"`
	Insecure   bool     `yaml:"insecure"`

	Models      []string      `yaml:"models"`
	Preload     []string      `yaml:"preload"`
	ModelMemory Bytes         `yaml:"model_memory"`
	ModelWait   time.Duration `yaml:"model_wait"`
	Tokenizer   string        `yaml:"tokenizer"`
	Provider    string        `yaml:"provider"`
	DeviceID    int           `yaml:"device_id"`
	Threads     int           `yaml:"threads"`
	ORTLib      string        `yaml:"ort_lib"`

	KVMemory      Bytes         `yaml:"kv_memory"`
	KVPrecision   string        `yaml:"kv_precision"`
	KVPolicy      string        `yaml:"kv_policy"`
	PageSize      int           `yaml:"page_size"`
	MaxRows       int           `yaml:"max_rows"`
	MaxRunning    int           `yaml:"max_running"`
	QueueLimit    int           `yaml:"queue_limit"`
	ReserveTokens int           `yaml:"reserve_tokens"`
	RowBudget     int           `yaml:"row_budget"`
	Scheduling    string        `yaml:"scheduling"`
	PrefixCache   bool          `yaml:"prefix_cache"`
	SharePrefixes bool          `yaml:"share_prefixes"`
	ElasticAfter  time.Duration `yaml:"elastic_after"`
	ElasticSteps  []float64     `yaml:"elastic_steps"`
	Context       int           `yaml:"context"`

	BodyLimit    Bytes    `yaml:"body_limit"`
	MaxPrompts   int      `yaml:"max_prompts"`
	MaxChoices   int      `yaml:"max_choices"`
	MaxSequences int      `yaml:"max_sequences"`
	MaxLoopSteps int      `yaml:"max_loop_steps"`
	TemplateArgs []string `yaml:"template_args"`

	HeaderTimeout time.Duration `yaml:"header_timeout"`
	BodyTimeout   time.Duration `yaml:"body_timeout"`
	WriteTimeout  time.Duration `yaml:"write_timeout"`
	IdleTimeout   time.Duration `yaml:"idle_timeout"`
	DrainTimeout  time.Duration `yaml:"drain_timeout"`

	LogLevel      string  `yaml:"log_level"`
	LogFormat     string  `yaml:"log_format"`
	AdminListen   string  `yaml:"admin_listen"`
	VLLMAliases   bool    `yaml:"metrics_vllm_aliases"`
	TraceEndpoint string  `yaml:"trace_endpoint"`
	TraceRatio    float64 `yaml:"trace_ratio"`
}

var kvPolicy = regexp.MustCompile(`^(depth|latest|modulo:[1-9][0-9]{0,3})$`)

// Validate returns every mistake at once, each with field, value and remedy.
func (c *Config) Validate() error {
	var errs []error
	bad := func(field string, value any, remedy string) {
		errs = append(errs, fmt.Errorf("%s is %v: %s", field, value, remedy))
	}
	oneOf := func(field, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			bad(field, fmt.Sprintf("%q", value), "use one of "+strings.Join(allowed, ", "))
		}
	}
	atLeast := func(field string, value, least int) {
		if value < least {
			bad(field, value, fmt.Sprintf("must be at least %d", least))
		}
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		bad("listen", fmt.Sprintf("%q", c.Listen), "write it as 127.0.0.1:8080")
	}
	if _, _, err := net.SplitHostPort(c.AdminListen); err != nil && c.AdminListen != "" {
		bad("admin_listen", fmt.Sprintf("%q", c.AdminListen), "write it as 127.0.0.1:8081")
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
	oneOf("tokenizer", c.Tokenizer, "native", "sugarme")
	oneOf("provider", c.Provider, "cpu", "cuda", "auto")
	oneOf("scheduling", c.Scheduling, "depth", "lockstep")
	oneOf("log_level", c.LogLevel, "debug", "info", "warn", "error")
	oneOf("log_format", c.LogFormat, "text", "json")
	atLeast("device_id", c.DeviceID, 0)
	atLeast("threads", c.Threads, 0)
	atLeast("page_size", c.PageSize, 1)
	atLeast("max_rows", c.MaxRows, 1)
	atLeast("max_running", c.MaxRunning, 1)
	atLeast("queue_limit", c.QueueLimit, 1)
	atLeast("reserve_tokens", c.ReserveTokens, -1)
	atLeast("row_budget", c.RowBudget, 0)
	atLeast("context", c.Context, 0)
	atLeast("max_prompts", c.MaxPrompts, 1)
	atLeast("max_choices", c.MaxChoices, 1)
	atLeast("max_sequences", c.MaxSequences, 1)
	atLeast("max_loop_steps", c.MaxLoopSteps, 1)
	if c.PageSize > 0 && c.PageSize&(c.PageSize-1) != 0 {
		bad("page_size", c.PageSize, "must be a power of two, for example 16")
	}
	oneOf("kv_precision", c.KVPrecision, "f32", "f16", "int8")
	if !kvPolicy.MatchString(c.KVPolicy) {
		bad("kv_policy", fmt.Sprintf("%q", c.KVPolicy), "use one of depth, latest, modulo:m (modulo:4)")
	}
	if c.KVMemory < 1<<20 {
		bad("kv_memory", c.KVMemory, "must be at least 1MiB")
	}
	if c.BodyLimit < 1<<10 {
		bad("body_limit", c.BodyLimit, "must be at least 1KiB")
	}
	for field, d := range map[string]time.Duration{
		"header_timeout": c.HeaderTimeout, "body_timeout": c.BodyTimeout, "write_timeout": c.WriteTimeout,
		"idle_timeout": c.IdleTimeout, "drain_timeout": c.DrainTimeout, "model_wait": c.ModelWait, "elastic_after": c.ElasticAfter,
	} {
		if d <= 0 {
			bad(field, d, "must be more than 0, for example 30s")
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// Keys returns api_keys and the lines of api_key_file. A file that is named and has no key is an error: the server
// would be open although somebody meant it to be closed.
func (c *Config) Keys() ([]string, error) {
	keys := slices.Clone(c.APIKeys)
	if c.APIKeyFile == "" {
		return keys, nil
	}
	data, err := os.ReadFile(c.APIKeyFile)
	if err != nil {
		return nil, fmt.Errorf("api_key_file: %w", err)
	}
	n := len(keys)
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			keys = append(keys, line)
		}
	}
	if len(keys) == n {
		return nil, fmt.Errorf("api_key_file %s has no key: put one on a line", c.APIKeyFile)
	}
	return keys, nil
}
