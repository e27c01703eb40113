package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
)

func chatCommand() *cobra.Command {
	var a asking
	var loops, system string
	var plain bool
	cmd := &cobra.Command{
		Use:   "chat",
		Short: "Talk to a model line by line, changing the loops on the way",
		Long: `Chat reads lines from standard input, from a person or a pipe, and streams answers. A model with a chat template
is told the whole conversation each time; one without, or with --plain, gets each line as a prompt by itself. A line that
fails does not end the conversation; when the lines come from a pipe or a file, the exit code is then 1.

` + chatHelp,
		Example: `  loopserve chat --model adder --loops 8
  loopserve chat --url http://127.0.0.1:8080 --model ouro --system "Be brief."
  printf '123+456=\n/loops 1\n123+456=\n' | loopserve chat --model adder`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if !isDepth(loops) {
				return usagef("--loops is %q: must be an integer from 1, or auto", loops)
			}
			closer, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closer()) }()
			t := &talk{a: &a, loops: loops, out: cmd.OutOrStdout(), errs: cmd.ErrOrStderr(), plain: plain || !a.hasTemplate(cmd.Context())}
			t.system(system)
			interrupts := make(chan os.Signal, 1)
			signal.Notify(interrupts, os.Interrupt)
			defer signal.Stop(interrupts)
			t.interrupts = interrupts
			// The command's own context ends at the first ^C, which here may mean one answer only.
			ctx, stop := signal.NotifyContext(context.WithoutCancel(cmd.Context()), syscall.SIGTERM)
			defer stop()
			f, ok := cmd.InOrStdin().(*os.File)
			person := ok && isTerminal(f)
			if person {
				t.prompt = "> "
				fmt.Fprintf(t.errs, "%s. /help for commands, ^C stops an answer, /exit or ^D ends.\n", a.model)
			}
			if err := t.run(ctx, cmd.InOrStdin()); err != nil {
				return err
			}
			if t.failed && !person {
				return errSaid // a script must see that a line of it failed
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&loops, "loops", "", "loops for each token, or auto (default: the model's own)")
	cmd.Flags().StringVar(&system, "system", "", "system message")
	cmd.Flags().BoolVar(&plain, "plain", false, "each line is a prompt by itself, without a template and without memory")
	a.flags(cmd.Flags())
	return cmd
}

const chatHelp = `Lines that begin with / are commands:
  /loops N|auto      loops of the answers that follow; without N, the model's own
  /model NAME        another model
  /system TEXT       a new conversation with this system message
  /reset             a new conversation
  /tokens N          tokens of an answer, at most
  /temperature T     0: always the most likely token
  /help              this list
  /exit              the end

^C stops an answer; where none is being given, it ends the conversation.`

// hasTemplate asks whether the model brings a chat template of its own.
func (a *asking) hasTemplate(ctx context.Context) bool {
	var info struct {
		Template *string `json:"chat_template"`
	}
	err := a.get(ctx, "/tokenizer_info?model="+url.QueryEscape(base(a.model)), &info)
	return err != nil || info.Template != nil // another server has no such route: then it is one for chats
}

// talk is one conversation.
type talk struct {
	a         *asking
	loops     string
	plain     bool
	prompt    string
	out, errs io.Writer
	messages  []message
	failed    bool // a line was not obeyed or not answered
	// interrupts has each ^C: it stops the answer that is being given, or else the conversation.
	interrupts <-chan os.Signal
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

func (t *talk) system(text string) {
	t.messages = nil
	if text != "" {
		t.messages = []message{{"system", text}}
	}
}

// run reads lines to the end, or until ctx ends: a line that is being typed then is lost.
func (t *talk) run(ctx context.Context, in io.Reader) error {
	lines, failed := make(chan string), make(chan error, 1)
	next := make(chan struct{}) // a line is read when the last one is answered
	go func() {
		r := bufio.NewReader(in)
		for range next {
			line, err := r.ReadString('\n')
			if line != "" {
				lines <- strings.TrimRight(line, "\r\n")
			}
			if err != nil {
				failed <- err
				return
			}
		}
	}()
	defer close(next)
	for {
		fmt.Fprint(t.errs, t.prompt)
		select {
		case next <- struct{}{}:
		case err := <-failed:
			return endOf(err)
		}
		select {
		case line := <-lines:
			over, err := t.line(ctx, line)
			if over || err != nil {
				return err
			}
		case err := <-failed:
			return endOf(err)
		case <-t.interrupts:
			return context.Canceled
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func endOf(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// line obeys a command, or answers. An answer that fails does not end the conversation.
func (t *talk) line(ctx context.Context, line string) (over bool, err error) {
	if strings.TrimSpace(line) == "" {
		return false, nil
	}
	if strings.HasPrefix(line, "/") {
		return t.command(line), nil
	}
	if !t.plain {
		t.messages = append(t.messages, message{"user", line})
	}
	s, err := t.answer(ctx, line)
	stopped := errors.Is(err, errStopped)
	switch {
	case ctx.Err() != nil:
		return true, ctx.Err()
	case err != nil && !stopped:
		t.failed = true
		fmt.Fprintln(t.errs, "loopserve:", err)
	case stopped:
		fmt.Fprintln(t.out)
		fmt.Fprintln(t.errs, "(stopped)")
	default:
		fmt.Fprintln(t.out)
		fmt.Fprintf(t.errs, "(%s)\n", summary(s))
	}
	switch {
	case t.plain:
	case err == nil || stopped && s != nil && s.Text != "": // what was read of a stopped answer is part of the conversation
		t.messages = append(t.messages, message{"assistant", s.Text})
	default:
		t.messages = t.messages[:len(t.messages)-1]
	}
	return false, nil
}

// errStopped ends an answer at ^C.
var errStopped = errors.New("stopped")

// answer asks for one and shows it. ^C stops it: errStopped. s is what came until then, nil where nothing did.
func (t *talk) answer(ctx context.Context, line string) (s *said, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-t.interrupts:
			cancel(errStopped)
		case <-ctx.Done():
		}
	})
	show := func(text string) { fmt.Fprint(t.out, text) }
	if t.plain {
		s, err = t.a.ask(ctx, "/v1/completions", t.loops, map[string]any{"prompt": line}, show)
	} else {
		s, err = t.a.ask(ctx, "/v1/chat/completions", t.loops, map[string]any{"messages": t.messages}, show)
	}
	if cause := context.Cause(ctx); cause != nil { // whatever it did to the connection
		err = cause
	}
	cancel(nil)
	watch.Wait()
	return s, err
}

func (t *talk) command(line string) (over bool) {
	name, arg, _ := strings.Cut(line, " ")
	arg = strings.TrimSpace(arg)
	say := func(text string) { fmt.Fprintln(t.errs, text) }
	refuse := func(text string) {
		t.failed = true
		say(text)
	}
	switch name {
	case "/exit", "/quit":
		return true
	case "/help":
		say(chatHelp)
	case "/loops":
		if !isDepth(arg) {
			refuse("/loops takes an integer from 1, or auto")
			break
		}
		t.loops = arg
	case "/model":
		if arg == "" {
			say(t.a.model)
			break
		}
		t.a.model = arg
	case "/system", "/reset":
		t.system(arg)
	case "/tokens":
		n, err := strconv.Atoi(arg)
		if err != nil || n < 1 {
			refuse("/tokens takes an integer from 1")
			break
		}
		t.a.tokens = n
	case "/temperature":
		v, err := strconv.ParseFloat(arg, 64)
		if err != nil || v < 0 {
			refuse("/temperature takes a number from 0")
			break
		}
		t.a.temperature = v
	default:
		refuse(name + " is not a command: /help lists them")
	}
	return false
}
