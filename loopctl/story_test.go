package loopctl_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/kv"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

var update = flag.Bool("update", false, "rewrite the stories in testdata")

// storyMark divides a file in txtar's format; two parts need no parser.
const storyMark = "-- story --\n"

// TestStories plays each testdata/*.txtar: its setup says what the engine can hold and who comes when, its story is
// what ran. Read them: they are the scheduler's documentation.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, want, _ := strings.Cut(string(data), storyMark)
			_, setup, _ := strings.Cut(head, "-- setup --\n")
			got := play(t, setup)
			if *update {
				if err := os.WriteFile(file, []byte(head+storyMark+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want != got {
				t.Errorf("the story is another one now (go test -run Stories -update):\n%s", got)
			}
		})
	}
}

// play obeys the lines of a setup: limits, config, cost, fail, and "at TICK NAME prompt=N max=N loops=N …" or
// "at TICK cancel NAME".
func play(t *testing.T, setup string) string {
	t.Helper()
	l := loopctl.Capacity{MaxRows: 16, Latents: 32, PageSize: 4, Context: 64, Vocab: 50, Loops: loopctl.LoopRange{Min: 1, Default: 2, Trained: 4, Max: 8}}
	l.Pages[loopctl.StageBlock] = 100
	told := &story{}
	cfg := loopctl.Config{Observer: told, Logger: quiet, Now: func() time.Time { return time.Unix(0, 0).Add(told.clock) }}
	var fault func(loopctl.Stage, int) error
	events := map[int][]string{}
	lastEvent := 0
	for line := range strings.Lines(setup) {
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		v := values(t, rest)
		switch word {
		case "limits":
			over(&l.MaxRows, v["rows"])
			over(&l.Latents, v["latents"])
			over(&l.Beyond, v["beyond"])
			over(&l.PageSize, v["pagesize"])
			over(&l.Vocab, v["vocab"])
			over(&l.KV.Planes, v["planes"])
			l.KV.Keep = kv.Keep(v["keep"])
			for st, name := range []string{"prelude", "block", "coda"} {
				over(&l.Pages[st], v[name])
			}
		case "config":
			over(&cfg.RowBudget, v["budget"])
			over(&cfg.ChunkRows, v["chunk"])
			over(&cfg.MaxRunning, v["running"])
			over(&cfg.StreamBuffer, v["buffer"])
			over(&cfg.ReserveTokens, v["reserve"])
			over(&cfg.WrapRows, v["wrap"])
			cfg.Scheduling = loopctl.Scheduling(v["lockstep"])
		case "cost": // of a call, in milliseconds
			told.cost = map[loopctl.Stage]int{loopctl.StageBlock: v["block"], loopctl.StageCoda: v["coda"]}
		case "fail":
			fault = failAt(loopctl.StageBlock, v["block"])
		case "at":
			when, what, _ := strings.Cut(rest, " ")
			tick := number(t, when)
			events[tick] = append(events[tick], what)
			lastEvent = max(lastEvent, tick)
		}
	}
	e := loopctltest.New(l)
	e.Fault, e.Teller = fault, told
	c := loopctl.New(e, cfg)
	streams := map[string]*loopctl.Stream{}
	for tick, idle := 1, 0; idle == 0 || tick <= lastEvent; tick++ {
		for _, what := range events[tick] {
			name, rest, _ := strings.Cut(what, " ")
			switch v := values(t, rest); name {
			case "cancel":
				streams[rest].Cancel()
			case "read":
				for range 2 {
					tryNext(streams[rest])
				}
			default:
				r := &loopctl.Request{
					ID: name, Seed: uint64(name[0]), Prompt: make([]int32, v["prompt"]), MaxTokens: v["max"], Loops: v["loops"],
					Sampler: loopctltest.Greedy{}, Priority: v["prio"], Draft: v["draft"], Client: fmt.Sprint(v["client"]),
				}
				if v["cut"] > 0 {
					r.Cut = []int{v["cut"]}
				}
				if v["delta"] > 0 { // in hundredths
					r.Exit = loopctl.ExitPolicy{Kind: loopctl.ExitDelta, Threshold: float64(v["delta"]) / 100}
				}
				if v["argmax"] > 0 {
					r.Exit = loopctl.ExitPolicy{Kind: loopctl.ExitArgmax, Threshold: float64(v["argmax"])}
				}
				s, err := c.Submit(r)
				if err != nil {
					t.Fatal(err)
				}
				streams[name] = s[0]
			}
		}
		idle = 0
		if !c.Turn() {
			idle = 1
		}
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
	}
	return told.String()
}

func values(t *testing.T, s string) map[string]int {
	v := map[string]int{}
	for word := range strings.FieldsSeq(s) {
		if name, val, ok := strings.Cut(word, "="); ok {
			v[name] = number(t, val)
		}
	}
	return v
}

func over(to *int, v int) {
	if v != 0 {
		*to = v
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
