package metrics

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	inQuery  = regexp.MustCompile(`\b(loopserve_\w+|process_\w+|go_\w+)`)
	byLabels = regexp.MustCompile(`by \(([^)]*)\)`)
	matchers = regexp.MustCompile(`\{([^{}]*)\}`)
)

// described are the labels of all metrics that there are.
func described(t *testing.T) map[string][]string {
	out := map[string][]string{}
	for _, f := range everything(t, New()) {
		labels := []string{"le", "job", "instance"}
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		out[f.GetName()] = labels
	}
	return out
}

// Every query of the dashboard and of the alerts asks for metrics that exist, by labels that they have.
func TestDashboards(t *testing.T) {
	known := described(t)
	check := func(where, query string) {
		names := inQuery.FindAllString(query, -1)
		if len(names) == 0 {
			t.Errorf("%s: no metric in %s", where, query)
		}
		var labels []string
		for _, name := range names {
			base := name
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if cut := strings.TrimSuffix(name, suffix); known[cut] != nil {
					base = cut
				}
			}
			if known[base] == nil {
				t.Errorf("%s: no metric is called %s", where, name)
			}
			labels = append(labels, known[base]...)
		}
		var used []string
		for _, group := range byLabels.FindAllStringSubmatch(query, -1) {
			used = append(used, strings.Split(group[1], ",")...)
		}
		for _, group := range matchers.FindAllStringSubmatch(query, -1) {
			for part := range strings.SplitSeq(group[1], ",") {
				name, _, _ := strings.Cut(part, "=")
				used = append(used, name)
			}
		}
		for _, name := range used {
			if name = strings.TrimSpace(name); !slices.Contains(labels, name) {
				t.Errorf("%s: no label %q in %s", where, name, query)
			}
		}
	}
	var dashboard struct {
		Title  string
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	data, err := os.ReadFile("../../deploy/grafana/loopserve.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	queries := 0
	seen := map[int]bool{}
	for _, p := range dashboard.Panels {
		if seen[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		seen[p.ID] = true
		for _, target := range p.Targets {
			check(p.Title, target.Expr)
			queries++
		}
	}
	if queries < 30 {
		t.Errorf("only %d queries", queries)
	}
	rules, err := os.ReadFile("../../deploy/prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(rules)) {
		if _, query, ok := strings.Cut(line, "expr: "); ok {
			check("rules.yml", strings.TrimSpace(query))
		}
	}
}

// An alias has the values of what it stands for, and a label that tells of one engine.
func TestAliases(t *testing.T) {
	m := New()
	m.Observer("adder")
	m.counters["prompt_tokens_total"].WithLabelValues("adder").Add(3)
	before, err := m.gather()
	if err != nil {
		t.Fatal(err)
	}
	m.AliasVLLM()
	after, err := m.gather()
	if err != nil {
		t.Fatal(err)
	}
	aliases := 0
	for _, f := range after {
		if !strings.HasPrefix(f.GetName(), "vllm:") {
			continue
		}
		aliases++
		if f.GetName() == "vllm:prompt_tokens_total" && (f.GetMetric()[0].GetCounter().GetValue() != 3 || f.GetMetric()[0].GetLabel()[0].GetValue() != "0") {
			t.Errorf("%v", f)
		}
	}
	if aliases == 0 || len(after) != len(before)+aliases {
		t.Errorf("%d families, %d with %d aliases", len(before), len(after), aliases)
	}
	for _, name := range vllmNames {
		if described(t)[namespace+"_"+name] == nil {
			t.Errorf("vllm:%s stands for nothing", name)
		}
	}
}
