package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/loopserve/loopserve/internal/measure"
)

func chatCommand() *cobra.Command {
	var a modelClient
	var loops, system string
	var plain bool
	cmd := &cobra.Command{
		Use:   "chat [model]",
		Short: "Talk to a model line by line, with the loops of your choice",
		Long: `Chat reads lines from standard input, a terminal or a pipe, and streams answers. A model with a chat template gets
the whole conversation each time; one without, or with --plain, gets each line as a separate prompt. A line that
fails does not end the conversation; if the lines come from a pipe or a file, the exit code is then 1.

` + chatHelp,
		Example: `  loopserve chat --model adder --loops 8
  loopserve chat hf:ByteDance/Ouro-1.4B-Thinking --weights int4
  loopserve chat --url http://127.0.0.1:8080 --model ouro --system "Be brief."
  printf '123+456=\n/loops 1\n123+456=\n' | loopserve chat --model adder`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := a.named(args); err != nil {
				return err
			}
			if !isDepth(loops) {
				return usagef("--loops is %q: must be an integer from 1, or auto", loops)
			}
			closer, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closer()) }()
			c := &conversation{a: &a, loops: loops, out: cmd.OutOrStdout(), errs: cmd.ErrOrStderr(), plain: plain || !a.hasTemplate(cmd.Context())}
			c.system(system)
			interrupts := make(chan os.Signal, 1)
			signal.Notify(interrupts, os.Interrupt)
			defer signal.Stop(interrupts)
			c.interrupts = interrupts
			// The command's own context ends at the first ^C, which here may mean one answer only.
			ctx, stop := signal.NotifyContext(context.WithoutCancel(cmd.Context()), syscall.SIGTERM)
			defer stop()
			f, ok := cmd.InOrStdin().(*os.File)
			person := ok && isTerminal(f)
			read := bufio.NewReader(cmd.InOrStdin()).ReadString
			next := func() (string, error) { return read('\n') }
			if person {
				fmt.Fprintf(c.errs, "%s. /help for commands, ^C stops an answer, /exit or ^D ends.\n", a.model)
				if as, err := term.GetState(int(f.Fd())); err == nil {
					defer func() { _ = term.Restore(int(f.Fd()), as) }() // SIGTERM may come while a line is typed
				}
				next = typed(f, c.errs)
			}
			if err := c.run(ctx, next); err != nil {
				return err
			}
			if c.failed && !person {
				return errSaid // a script must see that a line of it failed
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&loops, "loops", "", "loops per token, or auto (default: the model's)")
	cmd.Flags().StringVar(&system, "system", "", "system message")
	cmd.Flags().BoolVar(&plain, "plain", false, "send each line as a separate prompt, without template and history")
	a.flags(cmd.Flags())
	return cmd
}

const chatHelp = `Lines that begin with / are commands:
  /loops N|auto      loops of the following answers; without N, the model's default
  /model NAME        another model
  /system TEXT       a new conversation with this system message
  /reset             a new conversation
  /tokens N          maximum tokens of an answer
  /temperature T     sampling temperature; 0: greedy
  /help              this list
  /exit              the end

^C stops an answer, or at the prompt the conversation; ^D ends it, too.`

// hasTemplate asks whether the model brings a chat template of its own.
func (a *modelClient) hasTemplate(ctx context.Context) bool {
	var info struct {
		Template *string `json:"chat_template"`
	}
	err := a.get(ctx, "/tokenizer_info?model="+url.QueryEscape(base(a.model)), &info)
	return err != nil || info.Template != nil // another server has no such route: then it is one for chats
}

// conversation is a chat, or a row of prompts by themselves.
type conversation struct {
	a         *modelClient
	loops     string
	plain     bool
	out, errs io.Writer
	messages  []measure.Message
	failed    bool // a line was not obeyed or not answered
	// interrupts has each ^C: it stops the answer that is being given, or else the conversation.
	interrupts <-chan os.Signal
}

func (c *conversation) system(text string) {
	c.messages = nil
	if text != "" {
		c.messages = []measure.Message{{Role: "system", Content: text}}
	}
}

// run takes lines from next to the end, or until ctx ends: a line that is being typed then is lost.
func (c *conversation) run(ctx context.Context, next func() (string, error)) error {
	type input struct {
		line string
		err  error
	}
	lines := make(chan input, 1) // room for one that nobody waits for any more
	for {
		go func() {
			line, err := next()
			lines <- input{strings.TrimRight(line, "\r\n"), err}
		}()
		select {
		case in := <-lines:
			if in.line != "" {
				if over, err := c.line(ctx, in.line); over || err != nil {
					return err
				}
			}
			if errors.Is(in.err, io.EOF) {
				return nil
			} else if in.err != nil {
				return in.err
			}
		case <-c.interrupts:
			return context.Canceled
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// typed reads lines that a person types into f, with editing and a history of the conversation. Only while it reads, the
// terminal gives each key as it is: while an answer comes, ^C is a signal.
func typed(f *os.File, echo io.Writer) func() (string, error) {
	interrupted := false
	keys := readerFunc(func(p []byte) (int, error) {
		n, err := f.Read(p)
		interrupted = interrupted || bytes.IndexByte(p[:n], 3) >= 0 // ^C, which term takes for ^D
		return n, err
	})
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{keys, echo}, "> ")
	return func() (string, error) {
		before, err := term.MakeRaw(int(f.Fd()))
		if err != nil {
			return "", err
		}
		if columns, lines, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			_ = t.SetSize(columns, lines) // it fails only where it cannot draw the line again
		}
		line, err := t.ReadLine()
		err = errors.Join(err, term.Restore(int(f.Fd()), before))
		if errors.Is(err, io.EOF) {
			fmt.Fprintln(echo)
			if interrupted {
				return "", errInterrupted
			}
		}
		return line, err
	}
}

type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// line obeys a command, or answers. An answer that fails does not end the conversation.
func (c *conversation) line(ctx context.Context, line string) (over bool, err error) {
	if strings.TrimSpace(line) == "" {
		return false, nil
	}
	if strings.HasPrefix(line, "/") {
		return c.command(ctx, line), nil
	}
	if !c.plain {
		c.messages = append(c.messages, measure.Message{Role: "user", Content: line})
	}
	r, err := c.answer(ctx, line)
	stopped := errors.Is(err, errStopped)
	switch {
	case ctx.Err() != nil:
		return true, ctx.Err()
	case err != nil && !stopped:
		c.failed = true
		fmt.Fprintln(c.errs, paint(c.errs, red, "loopserve:"), err)
	case stopped:
		fmt.Fprintln(c.out)
		fmt.Fprintln(c.errs, "(stopped)")
	default:
		fmt.Fprintln(c.out)
		tellWarnings(c.errs, r)
		fmt.Fprintf(c.errs, "(%s)\n", summary(r))
	}
	switch {
	case c.plain:
	case err == nil || stopped && r != nil && r.Text != "": // what was read of a stopped answer is part of the conversation
		c.messages = append(c.messages, measure.Message{Role: "assistant", Content: r.Text})
	default:
		c.messages = c.messages[:len(c.messages)-1]
	}
	return false, nil
}

// errStopped ends an answer at ^C.
var errStopped = errors.New("stopped")

// answer asks for one and shows it. ^C stops it: errStopped. r is what came until then, nil where nothing did.
func (c *conversation) answer(ctx context.Context, line string) (r *measure.Reply, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-c.interrupts:
			cancel(errStopped)
		case <-ctx.Done():
		}
	})
	q := measure.Ask{Messages: c.messages, Show: show(c.out)}
	if c.plain {
		q = measure.Ask{Prompt: line, Show: show(c.out)}
	}
	r, err = c.a.ask(ctx, c.loops, q)
	if cause := context.Cause(ctx); cause != nil { // whatever it did to the connection
		err = cause
	}
	cancel(nil)
	watch.Wait()
	return r, err
}

func (c *conversation) command(ctx context.Context, line string) (over bool) {
	name, arg, _ := strings.Cut(line, " ")
	arg = strings.TrimSpace(arg)
	say := func(text string) { fmt.Fprintln(c.errs, text) }
	refuse := func(text string) {
		c.failed = true
		say(text)
	}
	switch name {
	case "/exit", "/quit":
		return true
	case "/help":
		say(chatHelp)
	case "/loops":
		least, most := 1, math.MaxInt
		if low, high, err := c.a.within(ctx); err == nil { // another server may not tell
			least, most = low, high
		}
		n, err := strconv.Atoi(arg)
		switch {
		case arg == "" || arg == "auto" || err == nil && n >= least && n <= most:
			c.loops = arg
		case most == math.MaxInt:
			refuse("/loops takes an integer from 1, or auto")
		default:
			refuse(fmt.Sprintf("/loops takes an integer from %d to %d, or auto: %s has no other", least, most, base(c.a.model)))
		}
	case "/model":
		if c.a.model = cmp.Or(arg, c.a.model); arg == "" {
			say(c.a.model)
		}
	case "/system", "/reset":
		c.system(arg)
	case "/tokens":
		if n, err := strconv.Atoi(arg); err == nil && n >= 1 {
			c.a.tokens = n
		} else {
			refuse("/tokens takes an integer from 1")
		}
	case "/temperature":
		if v, err := strconv.ParseFloat(arg, 64); err == nil && !(v < 0) {
			c.a.temperature = v
		} else {
			refuse("/temperature takes a number from 0")
		}
	default:
		refuse(name + " is not a command: /help lists them")
	}
	return false
}
