package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/inspect"
	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/models/bundle"
)

// capacityPlan is a load that replicas of this machine are to serve.
type capacityPlan struct {
	RPS, Price            float64 // requests a second; cost of a replica for an hour, in any currency
	Prompt, Tokens, Loops int
}

// utilisation is the share of what a replica can do that it is planned for: beyond it queues grow.
const utilisation = 0.7

// readPlan reads rps=5,prompt=200,tokens=100,loops=8,price=0.1.
func readPlan(text string, m *bundle.Manifest) (p capacityPlan, err error) {
	p.Loops = m.Loops.Default
	whole := map[string]*int{"prompt": &p.Prompt, "tokens": &p.Tokens, "loops": &p.Loops}
	parts := map[string]*float64{"rps": &p.RPS, "price": &p.Price}
	for pair := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		switch {
		case whole[name] != nil:
			*whole[name], err = strconv.Atoi(value)
		case parts[name] != nil:
			*parts[name], err = strconv.ParseFloat(value, 64)
		default:
			err = errors.New("is not one of rps, prompt, tokens, loops and price")
		}
		if err != nil {
			return p, usagef("--plan has %q: %w", pair, err)
		}
	}
	switch {
	case !(p.RPS > 0) || math.IsInf(p.RPS, 0) || !(p.Price >= 0) || math.IsInf(p.Price, 0): // also what is no number
		return p, usagef("--plan is %q: rps must be above 0 and price at least 0", text)
	case p.Prompt < 1 || p.Tokens < 1 || p.Prompt+p.Tokens > m.Context:
		return p, usagef("--plan is %q: prompt and tokens must be at least 1 and fit the model's context of %d", text, m.Context)
	case p.Loops < m.Loops.Min || p.Loops > m.Loops.Max:
		return p, usagef("--plan is %q: loops must be %d to %d", text, m.Loops.Min, m.Loops.Max)
	}
	return p, nil
}

// run measures what this machine does of such requests at several loop counts, and says how many replicas the load wants.
func (p capacityPlan) run(cmd *cobra.Command, b *bundle.Bundle, load inspect.Load) (err error) {
	on := &benchTarget{}
	defer func() { err = errors.Join(err, on.close()) }()
	if err := on.openFromEnvironment(cmd, b.Dir); err != nil {
		return err
	}
	const clients = 32
	client, stop := on.start(0)
	defer func() { err = errors.Join(err, stop()) }()
	loops := []int{p.Loops}
	for _, l := range []int{p.Loops / 4, p.Loops / 2, 2 * p.Loops} {
		if l >= max(b.Manifest.Loops.Min, 1) && l <= b.Manifest.Loops.Max {
			loops = append(loops, l)
		}
	}
	slices.Sort(loops)
	bar := newBar(cmd.ErrOrStderr(), "measuring")
	result, err := measure.Sweep(cmd.Context(), client, measure.Plan{
		Loops: slices.Compact(loops), Concurrency: []int{1, clients}, PromptTokens: []int{p.Prompt}, MaxTokens: []int{p.Tokens},
		Runs: 2, WarmUp: 1, Seed: 1, Vocab: on.vocab, Progress: func(done, total int, now measure.Shape) { bar.step(done, total, fmt.Sprintf("%d loops", now.Loops)) },
	})
	bar.end()
	if err != nil {
		return err
	}
	return p.write(cmd.OutOrStdout(), result, func(loops, requests int) (int64, error) {
		load.Loops, load.Requests, load.Length = loops, requests, p.Prompt+p.Tokens
		facts, err := inspect.Bundle(b, load)
		if err != nil {
			return 0, err
		}
		return facts.Memory.Resident, nil
	})
}

// write prints a line for each loop count. memory is what a replica holds with so many requests at one time.
func (p capacityPlan) write(out io.Writer, r *measure.SweepResult, memory func(loops, requests int) (int64, error)) error {
	fmt.Fprintf(out, "%g requests/s of %d prompt and %d completion tokens, on replicas like this machine at %.0f %% utilization:\n\n", p.RPS, p.Prompt, p.Tokens, 100*utilisation)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "loops\tms alone\trequests/s per replica\ttokens/s\treplicas\tconcurrency\tmemory per replica\t")
	if p.Price > 0 {
		fmt.Fprint(w, "cost per 1M tokens\t")
	}
	fmt.Fprintln(w)
	alone := map[int]float64{}
	for _, point := range r.Points {
		if point.Concurrency == 1 {
			alone[point.Loops] = point.E2E.P50
			continue
		}
		tokens := point.TokensPerSecond.P50
		requests := utilisation * tokens / float64(p.Tokens)
		replicas := math.Ceil(p.RPS / requests)
		// Little's law: what arrives in the time that a request takes among others.
		together := int(math.Ceil(p.RPS / replicas * point.E2E.P50 / 1000))
		bytes, err := memory(point.Loops, max(together, 1))
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%d\t%.0f\t%.2f\t%.0f\t%.0f\t%d\t%s\t", point.Loops, alone[point.Loops], requests, utilisation*tokens, replicas, together, configs.Bytes(bytes).About())
		if p.Price > 0 {
			fmt.Fprintf(w, "%.2f\t", p.Price*replicas/(p.RPS*float64(p.Tokens)*3600)*1e6)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}
