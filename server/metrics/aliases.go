package metrics

import (
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// AliasVLLM makes /metrics give the metrics that mean the same in vLLM under its names, too: dashboards, AIPerf and
// autoscalers that know only those then work. It is called before the server serves.
func (m *Registry) AliasVLLM() { m.aliases = true }

// vllmNames are those that vLLM 0.33 has under "vllm:" and we under "loopserve_".
var vllmNames = []string{
	"cache_config_info", "e2e_request_latency_seconds", "generation_tokens_total", "inter_token_latency_seconds", "kv_cache_usage_perc",
	"lora_requests_info", "num_requests_waiting_by_reason", "request_params_max_tokens",
	"num_preemptions_total", "num_requests_running", "num_requests_waiting", "prefix_cache_hits_total",
	"prefix_cache_queries_total", "prompt_tokens_cached_total", "prompt_tokens_total", "request_decode_time_seconds",
	"request_generation_tokens", "request_inference_time_seconds", "request_prefill_time_seconds", "request_prompt_tokens",
	"request_queue_time_seconds", "request_success_total", "request_time_per_output_token_seconds",
	"time_to_first_token_seconds", "iteration_tokens",
}

// gather is the registry's, with the aliases. vLLM's series have a label engine, of which there is one.
func (m *Registry) gather() ([]*dto.MetricFamily, error) {
	families, err := m.registry.Gather()
	if !m.aliases {
		return families, err
	}
	engine := &dto.LabelPair{Name: proto.String("engine"), Value: proto.String("0")}
	for _, f := range families {
		name, ours := strings.CutPrefix(f.GetName(), namespace+"_")
		if !ours || !slices.Contains(vllmNames, name) {
			continue
		}
		alias := proto.CloneOf(f)
		if name == "iteration_tokens" { // a histogram there, too
			name += "_total"
		}
		alias.Name = proto.String("vllm:" + name)
		for _, metric := range alias.GetMetric() {
			metric.Label = append([]*dto.LabelPair{engine}, metric.GetLabel()...) // in order of name, as Prometheus wants it
		}
		families = append(families, alias)
	}
	slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return families, err
}
