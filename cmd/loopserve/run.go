package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/measure"
)

func runCommand() *cobra.Command {
	var a modelClient
	var loops string
	var chat, asJSON bool
	cmd := &cobra.Command{
		Use:        "run [model] <prompt>",
		SuggestFor: []string{"generate", "complete"},
		Short:      "Answer one prompt, or compare the answers at several loop counts",
		Long: `Run answers a prompt with a model in its own process, or with --url with a model of a server.
The prompt "-" is read from standard input. At one loop count the answer is streamed. At several the output is a table; each request
runs alone, after a warm-up: FIRST is the time in ms from the start to the first token, MS to the last. auto among the loop counts is the
model's recommended exit policy. The settings of the environment (LOOPSERVE_THREADS, LOOPSERVE_KV_MEMORY, …) apply.`,
		Example: `  loopserve run "123+456+789=" --model adder
  loopserve run "123+456+789=" --model adder --loops 1,2,4,8
  loopserve run "123+456+789=" --model adder --loops 4,16,auto --json
  echo -n "123+456=" | loopserve run - --model adder@2
  loopserve run hf:ByteDance/Ouro-1.4B "The capital of France is" --weights int4
  loopserve run "Why is the sky blue?" --chat --url http://127.0.0.1:8080 --model ouro --max-tokens 200`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			depths, err := readDepths(loops)
			if err != nil {
				return err
			}
			if err := a.named(args[:len(args)-1]); err != nil {
				return err
			}
			prompt := args[len(args)-1]
			if prompt == "-" {
				text, err := io.ReadAll(cmd.InOrStdin())
				if err != nil {
					return err
				}
				prompt = string(text)
			}
			closer, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closer()) }()
			r := &runner{cmd: cmd, a: &a, prompt: prompt, chat: chat}
			switch {
			case asJSON:
				return r.json(depths)
			case len(depths) == 1:
				return r.stream(depths[0])
			}
			return r.compare(depths)
		},
	}
	cmd.Flags().StringVar(&loops, "loops", "", "loop counts, like 1,2,4,8, or auto (default: the model's own)")
	cmd.Flags().BoolVar(&chat, "chat", false, "send the prompt as a chat message")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object for each loop count")
	a.flags(cmd.Flags())
	return cmd
}

// readDepths reads 1,2,4,auto; one empty entry stands for the model's default.
func readDepths(text string) ([]string, error) {
	if text == "" {
		return []string{""}, nil
	}
	var out []string
	for s := range strings.SplitSeq(text, ",") {
		s = strings.TrimSpace(s)
		if n, err := strconv.Atoi(s); s != "auto" && (err != nil || n < 1) {
			return nil, usagef("--loops is %q: must be integers from 1, or auto, like 1,2,4,8,auto", text)
		}
		out = append(out, s)
	}
	return out, nil
}

// isDepth says whether text is one depth, or none: the model's default.
func isDepth(text string) bool {
	depths, err := readDepths(text)
	return err == nil && len(depths) == 1
}

type runner struct {
	cmd    *cobra.Command
	a      *modelClient
	prompt string
	chat   bool
}

func (r *runner) ask(loops string, show func(thought, text string)) (*measure.Reply, error) {
	q := measure.Ask{Prompt: r.prompt, Show: show}
	if r.chat {
		q = measure.Ask{Messages: []measure.Message{{Role: "user", Content: r.prompt}}, Show: show}
	}
	return r.a.ask(r.cmd.Context(), loops, q)
}

func (r *runner) stream(loops string) error {
	reply, err := r.ask(loops, show(r.cmd.OutOrStdout()))
	if err != nil {
		return err
	}
	fmt.Fprintln(r.cmd.OutOrStdout())
	tellWarnings(r.cmd.ErrOrStderr(), reply)
	fmt.Fprintf(r.cmd.ErrOrStderr(), "%s: %s\n", r.a.model, summary(reply))
	return nil
}

// tellWarnings says what the server warned of.
func tellWarnings(w io.Writer, r *measure.Reply) {
	for _, text := range r.Warnings {
		fmt.Fprintln(w, paint(w, yellow, "warning:"), text)
	}
}

func summary(r *measure.Reply) string {
	return fmt.Sprintf("%s loops, %d tokens, %.1f ms, %.0f tokens/s", number(r.MeanLoops()), r.Tokens, milliseconds(r.E2E), rate(r))
}

// rate is in tokens per second.
func rate(r *measure.Reply) float64 { return float64(r.Tokens) / max(r.E2E.Seconds(), 1e-9) }

// answer is what one loop count came to.
type answer struct {
	Model     string  `json:"model"`
	Loops     string  `json:"loops"`
	Text      string  `json:"text"`
	Tokens    int     `json:"tokens"`
	MeanLoops float64 `json:"mean_loops"`
	Finish    string  `json:"finish_reason"`
	FirstMS   float64 `json:"first_ms"`
	MS        float64 `json:"ms"`
	Rate      float64 `json:"tokens_per_second"`
}

// each asks at each depth. Before that it asks once for a token, so that loading the model is not in anybody's time.
func (r *runner) each(depths []string, tell func(answer) error) error {
	tokens := r.a.tokens
	r.a.tokens = 1
	first, err := r.ask(depths[0], nil)
	r.a.tokens = tokens
	if err != nil {
		return err
	}
	tellWarnings(r.cmd.ErrOrStderr(), first)
	for _, d := range depths {
		reply, err := r.ask(d, nil)
		if err != nil {
			return err
		}
		if err := tell(answer{
			Model: r.a.model, Loops: d, Text: reply.Text, Tokens: reply.Tokens, MeanLoops: reply.MeanLoops(), Finish: reply.Finish,
			FirstMS: milliseconds(reply.TTFT), MS: milliseconds(reply.E2E), Rate: rate(reply),
		}); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) compare(depths []string) error {
	w := tabwriter.NewWriter(r.cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	room := width(r.cmd.OutOrStdout())
	if room > 0 {
		const others = 50 // characters of the other columns
		room = max(room-others, 20)
	}
	fmt.Fprintln(w, "LOOPS\tANSWER\tTOKENS\tFIRST\tMS\tTOKENS/S")
	err := r.each(depths, func(a answer) error {
		if a.Loops == "auto" {
			a.Loops = "auto (" + number(a.MeanLoops) + ")"
		}
		text := wrap(strconv.Quote(a.Text), room)
		_, err := fmt.Fprintf(w, "%s\t%s\t%d\t%.1f\t%.1f\t%.0f\n", a.Loops, text[0], a.Tokens, a.FirstMS, a.MS, a.Rate)
		for _, more := range text[1:] {
			fmt.Fprintf(w, "\t%s\t\t\t\t\n", more)
		}
		return err
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

func (r *runner) json(depths []string) error {
	e := json.NewEncoder(r.cmd.OutOrStdout())
	e.SetEscapeHTML(false)
	return r.each(depths, func(a answer) error { return e.Encode(a) })
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// number writes 8 as 8 and 5.333 as 5.3.
func number(v float64) string {
	if v == math.Trunc(v) {
		return strconv.Itoa(int(v))
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}
