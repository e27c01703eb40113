// Loopserve serves pretrained looped transformers: the number of loops is chosen by each request.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/loopserve/loopserve/internal/app"
	"github.com/loopserve/loopserve/internal/hub"
	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/internal/spelling"
	"github.com/loopserve/loopserve/loopctl"
)

// version is set by the linker for releases: -ldflags "-X main.version=v1.2.3".
var version = "devel"

// errSaid ends the command with exit code 1 where the output has said why.
var errSaid = errors.New("said already")

// errInterrupted is a ^C that a terminal gave as a key.
var errInterrupted = errors.New("interrupted")

// The exit codes, as docs/operations.md has them.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2   // the command line or the configuration is wrong: nothing was done
	exitInterrupted = 130 // by ^C, as a shell counts it
)

func main() { os.Exit(execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// execute runs the command line and says how it went.
func execute(args []string, in io.Reader, out, errs io.Writer) int {
	// Until the process has ended: a second signal, which supervisors send to the whole group, would else kill one that is done.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	cmd := root()
	running := false
	cmd.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := cmd.ValidateRequiredFlags(); err != nil {
			return err // what fails before a command runs is a mistake in the command line
		}
		running = true
		return nil
	}
	cmd.SetArgs(args)
	cmd.SetIn(in)
	cmd.SetOut(out)
	cmd.SetErr(errs)
	err := cmd.ExecuteContext(ctx)
	code := exitCode(ctx, err)
	if code == exitFailure && !running {
		code = exitUsage
	}
	if err != nil && code != exitInterrupted && !errors.Is(err, errSaid) {
		fmt.Fprintln(errs, paint(errs, red, "loopserve:"), err)
	}
	return code
}

// exitCode is the code for what a command returned; ctx ends at the first signal.
func exitCode(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return exitOK
	case interrupted(ctx, err) || errors.Is(err, errInterrupted):
		return exitInterrupted
	case mistake(err):
		return exitUsage
	}
	return exitFailure
}

// interrupted says whether a signal ended ctx, and the command with it. The cause of ctx is asked for, too: it is what
// net/http returns, and in Go 1.26.0 it is not context.Canceled.
func interrupted(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx)))
}

// usageError is a mistake in the command line that cobra did not see.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// mistake says whether what was asked for is wrong: a command found out, a server, or the engine in this process.
func mistake(err error) bool {
	if refused, ok := errors.AsType[*measure.StatusError](err); ok {
		return refused.Status == http.StatusBadRequest || refused.Status == http.StatusNotFound
	}
	_, usage := errors.AsType[*usageError](err)
	_, config := errors.AsType[*app.ConfigError](err)
	return usage || config || errors.Is(err, hub.ErrRef) || errors.Is(err, loopctl.ErrBadRequest) || errors.Is(err, loopctl.ErrPromptTooLong)
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "loopserve",
		Short: "Serves looped transformers: each request chooses its number of loops",
		Long: `Loopserve serves pretrained looped transformers over an OpenAI-compatible API.
The number of loops is a field of each request.

Exit codes: 0 done, 1 failed, 2 the command line or the configuration is wrong, 130 interrupted.`,
		Example: `  loopserve run "123+456+789=" --model adder --loops 1,2,4,8
  loopserve serve --models models
  loopserve export ./checkpoint -o models/mine`,
		Version:       versionText(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(commands()...)
	cmd.SetFlagErrorFunc(suggestFlag)
	completeModels(cmd)
	return cmd
}

// foreignFlags are other servers' names of ours.
var foreignFlags = map[string]string{
	"host": "listen", "port": "listen", "uds": "listen", "api-key": "api-keys", "model": "models", "model-path": "models",
	"max-model-len": "max-context", "ctx-size": "max-context", "context-length": "max-context", "max-num-seqs": "max-running",
	"parallel": "max-running", "max-running-requests": "max-running", "kv-cache-dtype": "kv-precision", "cache-type-k": "kv-precision",
	"ssl-certfile": "tls-cert", "ssl-keyfile": "tls-key", "allowed-origins": "cors-origins", "alias": "served-model-name",
	"gpu-memory-utilization": "model-memory", "kv-cache-memory-bytes": "kv-memory", "block-size": "page-size", "max-num-batched-tokens": "max-rows",
	"enable-prefix-caching": "prefix-cache", "no-enable-prefix-caching": "prefix-cache", "otlp-traces-endpoint": "trace-endpoint", "download-dir": "cache",
	"n-predict": "max-tokens", "num-loops": "loops", "temp": "temperature", "device": "provider",
}

// suggestFlag says which flag was probably meant by one that there is not.
func suggestFlag(cmd *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err
	}
	var known, longer []string
	name := strings.ReplaceAll(unknown.GetSpecifiedName(), "_", "-")
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if known = append(known, f.Name); strings.HasPrefix(f.Name, name) {
			longer = append(longer, f.Name)
		}
	})
	near, ok := spelling.Near(name, known)
	switch {
	case slices.Contains(known, foreignFlags[name]):
		near = foreignFlags[name]
	case !ok && len(longer) == 1:
		near = longer[0]
	case !ok:
		return fmt.Errorf("%w: `%s --help` lists the flags", err, cmd.CommandPath())
	}
	return fmt.Errorf("%w: did you mean --%s?", err, near)
}

func commands() []*cobra.Command {
	return []*cobra.Command{
		serveCommand(), runCommand(), chatCommand(), exportCommand(), signCommand(), verifyCommand(), inspectCommand(), evalCommand(), benchCommand(),
		batchCommand(), modelsCommand(), listCommand(), rmCommand(), tokenizeCommand(), detokenizeCommand(), configCommand(), healthCommand(), versionCommand(), manCommand(),
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "  loopserve version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "loopserve %s, %s, %s/%s\n", versionText(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

func versionText() string {
	if version == "devel" {
		if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
			return info.Main.Version
		}
	}
	return version
}
