//go:build cgo

package app_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loopserve/loopserve/internal/app"
	"github.com/loopserve/loopserve/runtime/ort"
	"github.com/loopserve/loopserve/server"
)

// garden has the shipped adder under several names.
func garden(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		plant(t, dir, name, "")
	}
	return dir
}

// plant writes a copy of the adder, with a description of its own.
func plant(t *testing.T, dir, name, description string) {
	t.Helper()
	to := filepath.Join(dir, name)
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS("../../models/adder")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(to, "manifest.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	m["name"] = name
	if description != "" {
		m["description"] = description
	}
	if data, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// small are the settings of a garden whose models take little memory.
func small(dir string, flags map[string]string) map[string]string {
	all := map[string]string{"models": dir, "kv_memory": "4MiB", "max_running": "4"}
	maps.Copy(all, flags)
	return all
}

// startMany serves a garden until the test ends.
func startMany(t *testing.T, dir string, flags map[string]string) (url string, p *app.App) {
	t.Helper()
	url, p, terminate := serve(t, small(dir, flags))
	t.Cleanup(func() {
		if err := terminate(); err != nil {
			t.Error(err)
		}
	})
	return url, p
}

func add(t *testing.T, url, model string) string {
	t.Helper()
	status, out := post(t, url, fmt.Sprintf(`{"model":%q,"prompt":"123+456+789=","max_tokens":8,"temperature":0,"loops":8}`, model))
	if status != http.StatusOK {
		t.Errorf("%s: status %d: %v", model, status, out)
		return ""
	}
	return out["choices"].([]any)[0].(map[string]any)["text"].(string)
}

func loadedNames(p *app.App) (names []string, bytes int64) {
	for _, s := range p.ModelStatus() {
		if s.Loaded {
			names = append(names, s.Name)
			bytes += s.Bytes
		}
	}
	return names, bytes
}

// Five models, memory for two: each answers right, from many clients at one time, and never are three in memory.
func TestManyModelsInLittleMemory(t *testing.T) {
	ort.CheckLeaks(t)
	names := []string{"one", "two", "three", "four", "five"}
	url, p := startMany(t, garden(t, names...), map[string]string{"model_memory": "13MiB"})
	if got, _ := loadedNames(p); len(got) != 2 {
		t.Errorf("at the start: %v", got)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 5 {
				if got := add(t, url, names[(i+j)%5]); got != "1368" {
					t.Errorf("%s says %q", names[(i+j)%5], got)
				}
				if got, bytes := loadedNames(p); len(got) > 2 || bytes > 13<<20 {
					t.Errorf("in memory: %v, %d bytes", got, bytes)
				}
			}
		})
	}
	wg.Wait()
}

// What a model would take is told before it is loaded. Where sequences, not kv_memory, decide, that is what it then takes,
// whatever the KV policy and precision.
func TestEstimateIsWhatItTakes(t *testing.T) {
	ort.CheckLeaks(t)
	dir := garden(t, "one")
	told := map[int64]bool{}
	for _, kv := range [][2]string{{"depth", "f32"}, {"latest", "f32"}, {"latest", "int8"}} {
		url, p := startMany(t, dir, map[string]string{"preload": "none", "kv_memory": "1GiB", "kv_policy": kv[0], "kv_precision": kv[1]})
		estimate := p.ModelStatus()[0].Bytes
		if got := add(t, url, "one"); len(got) == 0 {
			t.Errorf("%v: no answer", kv)
		}
		if _, took := loadedNames(p); took != estimate {
			t.Errorf("%v: it takes %d bytes, %d were told", kv, took, estimate)
		}
		told[estimate] = true
	}
	if len(told) != 3 {
		t.Errorf("policy and precision make no difference: %v", told)
	}
}

// A model that was not loaded is listed and loads with the first request; names that nobody has and models that are too
// large for the memory end the start.
func TestPreload(t *testing.T) {
	ort.CheckLeaks(t)
	dir := garden(t, "one", "two")
	url, p := startMany(t, dir, map[string]string{"preload": "two"})
	if got, _ := loadedNames(p); len(got) != 1 || got[0] != "two" {
		t.Errorf("at the start: %v", got)
	}
	if got := add(t, url, "one"); got != "1368" {
		t.Errorf("says %q", got)
	}
	for want, flags := range map[string]map[string]string{
		`preload names "nine"`:  {"preload": "nine"},
		"model_memory is 2.0 M": {"model_memory": "2MiB"},
		"are in use: raise it":  {"model_memory": "7MiB", "preload": "one,two"},
	} {
		refused(t, small(dir, flags), want)
	}
}

// A reload while a stream is open: the stream goes on to its end, and the next request has the new bundle. A broken
// bundle changes nothing.
func TestReloadUnderAStream(t *testing.T) {
	ort.CheckLeaks(t)
	dir := garden(t, "one", "two")
	url, p := startMany(t, dir, nil)
	resp, err := http.Post(url+"/v1/completions", "application/json", strings.NewReader(
		`{"model":"one","prompt":"12","max_tokens":60,"ignore_eos":true,"temperature":1,"seed":1,"loops":16,"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	plant(t, dir, "one", "the new one")
	if err := p.Reload(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if got := add(t, url, "one"); got != "1368" {
		t.Errorf("says %q", got)
	}
	card := get(t, url+"/v1/models/one")
	if !strings.Contains(card, "the new one") {
		t.Errorf("card %s", card)
	}
	rest, err := io.ReadAll(lines)
	if err != nil || !bytes.HasSuffix(rest, []byte("data: [DONE]\n\n")) || bytes.Count(rest, []byte(`"finish_reason":"length"`)) != 1 {
		t.Errorf("%v: the stream ended with %q", err, rest[max(0, len(rest)-80):])
	}
	// Another file, not another content: weights are mapped, and a mapped file that is cut short ends the process.
	weights := filepath.Join(dir, "two", "weights.data")
	if err := errors.Join(os.Remove(weights), os.WriteFile(weights, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(t.Context(), "two"); err == nil || !strings.Contains(err.Error(), "weights.data") {
		t.Errorf("a damaged bundle was taken: %v", err)
	}
	if got := add(t, url, "two"); got != "1368" {
		t.Errorf("after a refused reload it says %q", got)
	}
	// What SIGHUP does: bundles that changed and bundles that are new.
	plant(t, dir, "two", "mended")
	plant(t, dir, "three", "")
	if err := p.Rescan(t.Context()); err != nil {
		t.Error(err)
	}
	if got := add(t, url, "three"); got != "1368" {
		t.Errorf("says %q", got)
	}
	if card := get(t, url+"/v1/models/two"); !strings.Contains(card, "mended") {
		t.Errorf("card %s", card)
	}
}

// The admin listener: models in and out, metrics, profiles; and nothing for a web page that an operator looks at.
func TestAdmin(t *testing.T) {
	ort.CheckLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // a free port
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	url, _ := startMany(t, garden(t, "one", "two"), map[string]string{"admin_listen": address, "metrics_vllm_aliases": "true"})
	admin := "http://" + address
	add(t, url, "one")
	do := func(method, path string, want int, header ...string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, admin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want {
			t.Errorf("%s %s: %v, status %d, want %d: %.300s", method, path, err, resp.StatusCode, want, body)
		}
		return string(body)
	}
	var list struct{ Models []server.ModelStatus }
	if err := json.Unmarshal([]byte(do("GET", "/admin/models", 200)), &list); err != nil || len(list.Models) != 2 || !list.Models[0].Loaded {
		t.Errorf("%v %+v", err, list)
	}
	unload := func() int { // a model is in use until a moment after its last answer
		resp, err := http.Post(admin+"/admin/models/one/unload", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	status := unload()
	for end := time.Now().Add(10 * time.Second); status == http.StatusConflict && time.Now().Before(end); status = unload() {
		time.Sleep(time.Millisecond)
	}
	if status != http.StatusOK {
		t.Errorf("unload: status %d", status)
	}
	if body := do("GET", "/metrics", 200); !strings.Contains(body, `loopserve_model_loaded{model_name="one"} 0`) ||
		!strings.Contains(body, `loopserve_model_events_total{event="unloaded",model_name="one"} 1`) ||
		!strings.Contains(body, `vllm:time_to_first_token_seconds_count{engine="0",model_name="one"} 1`) {
		t.Errorf("metrics %s", body)
	}
	do("POST", "/admin/models/one/load", 200)
	do("POST", "/admin/models/one/reload", 200)
	do("POST", "/admin/models/nine/reload", 404)
	if body := do("POST", "/admin/models/one/reload", 403, "Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site"); !strings.Contains(body, `"code":"cross_origin"`) {
		t.Errorf("another site's page: %s", body)
	}
	do("POST", "/admin/rescan", 200)
	do("GET", "/admin/models/one/reload", 405)
	do("GET", "/v1/models", 404)
	if body := do("GET", "/debug/pprof/goroutine?debug=1", 200); !strings.Contains(body, "loopctl") {
		t.Error("no profile")
	}
	if got := add(t, url, "one"); got != "1368" {
		t.Errorf("says %q", got)
	}
	if resp, err := http.Get(url + "/admin/models"); err != nil || resp.StatusCode != 404 {
		t.Errorf("the API's listener answers for the admin: %v %v", resp.StatusCode, err)
	} else {
		resp.Body.Close()
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
