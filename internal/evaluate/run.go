package evaluate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options say what to ask of whom.
type Options struct {
	URL         string // of the server, without /v1
	Key         string // API key; may be empty
	Model       string
	Loops       []int
	Concurrency int // requests at one time while counting answers; default 16
	Timed       int // problems asked one after another for the latency column; default 50
	MaxTokens   int // default: the longest answer's bytes + 4
	Progress    func(done, total int)
}

// Point is the result at one loop count.
type Point struct {
	Loops    int
	Correct  int
	Total    int
	Groups   []Group       // in order of first appearance
	PerToken time.Duration // median over Timed requests, alone on the server: its time divided by its tokens
}

// Group counts the problems of one difficulty.
type Group struct {
	Name           string
	Correct, Total int
}

// Accuracy is in percent.
func (p Point) Accuracy() float64 { return percent(p.Correct, p.Total) }

// Accuracy is in percent.
func (g Group) Accuracy() float64 { return percent(g.Correct, g.Total) }

func percent(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }

// Run asks every problem at each loop count. The first failed request ends it.
func Run(ctx context.Context, o Options, problems []Problem) ([]Point, error) {
	o = o.withDefaults(problems)
	total, done := len(o.Loops)*(len(problems)+o.Timed), 0
	step := func() {
		if done++; o.Progress != nil {
			o.Progress(done, total)
		}
	}
	var points []Point
	for _, loops := range o.Loops {
		answers, err := o.askAll(ctx, loops, problems, step)
		if err != nil {
			return nil, err
		}
		p := count(loops, problems, answers)
		var times []time.Duration
		for _, problem := range problems[:o.Timed] {
			start := time.Now()
			a, err := o.ask(ctx, loops, problem)
			if err != nil {
				return nil, err
			}
			times = append(times, time.Since(start)/time.Duration(max(a.tokens, 1)))
			step()
		}
		slices.Sort(times)
		p.PerToken = times[len(times)/2]
		points = append(points, p)
	}
	return points, nil
}

func (o Options) withDefaults(problems []Problem) Options {
	if o.Concurrency <= 0 {
		o.Concurrency = 16
	}
	if o.Timed <= 0 {
		o.Timed = 50
	}
	o.Timed = min(o.Timed, len(problems))
	if o.MaxTokens <= 0 {
		for _, p := range problems {
			o.MaxTokens = max(o.MaxTokens, len(p.Answer)+4)
		}
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	return o
}

type answer struct {
	text   string
	tokens int
}

func (o Options) askAll(ctx context.Context, loops int, problems []Problem, step func()) ([]answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	answers := make([]answer, len(problems))
	work := make(chan int)
	var wait sync.WaitGroup
	var mu sync.Mutex // guards step
	for range o.Concurrency {
		wait.Go(func() {
			for i := range work {
				a, err := o.ask(ctx, loops, problems[i])
				if err != nil {
					cancel(err)
					continue
				}
				answers[i] = a
				mu.Lock()
				step()
				mu.Unlock()
			}
		})
	}
	for i := range problems {
		if ctx.Err() != nil {
			break
		}
		work <- i
	}
	close(work)
	wait.Wait()
	return answers, context.Cause(ctx)
}

func (o Options) ask(ctx context.Context, loops int, p Problem) (answer, error) {
	body, err := json.Marshal(map[string]any{
		"model": o.Model, "prompt": p.Prompt, "max_tokens": o.MaxTokens, "temperature": 0, "loops": loops,
	})
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.URL+"/v1/completions", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	if o.Key != "" {
		req.Header.Set("Authorization", "Bearer "+o.Key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return answer{}, err
	}
	var out struct {
		Choices []struct{ Text string }
		Usage   struct {
			CompletionTokens int `json:"completion_tokens"`
		}
	}
	if resp.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("%s at %d loops: HTTP %d: %s", o.Model, loops, resp.StatusCode, bytes.TrimSpace(data))
	}
	if err := json.Unmarshal(data, &out); err != nil || len(out.Choices) == 0 {
		return answer{}, fmt.Errorf("%s: not a completion: %.200s", o.URL, data)
	}
	return answer{text: strings.TrimSpace(out.Choices[0].Text), tokens: out.Usage.CompletionTokens}, nil
}

func count(loops int, problems []Problem, answers []answer) Point {
	p := Point{Loops: loops, Total: len(problems)}
	for i, problem := range problems {
		at := slices.IndexFunc(p.Groups, func(g Group) bool { return g.Name == problem.Group })
		if at < 0 {
			at = len(p.Groups)
			p.Groups = append(p.Groups, Group{Name: problem.Group})
		}
		p.Groups[at].Total++
		if answers[i].text == problem.Answer {
			p.Correct++
			p.Groups[at].Correct++
		}
	}
	return p
}
