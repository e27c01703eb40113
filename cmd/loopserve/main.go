// Loopserve serves pretrained looped transformers: the number of loops is chosen by each request.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker for releases: -ldflags "-X main.version=v1.2.3".
var version = "devel"

// errSaid ends the command with exit code 1 where the output has said why.
var errSaid = errors.New("said already")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		if !errors.Is(err, errSaid) {
			fmt.Fprintln(os.Stderr, "loopserve:", err)
		}
		os.Exit(1)
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "loopserve",
		Short: "Serves looped transformers: each request chooses how often the block is applied",
		Long: `Loopserve serves pretrained looped transformers over an OpenAI-compatible API.
The number of loops, the model's thinking time, is a field of each request.`,
		Version:       versionText(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(serveCommand(), exportCommand(), verifyCommand(), evalCommand(), benchCommand(), modelsCommand(),
		tokenizeCommand(), detokenizeCommand(), configCommand())
	return cmd
}

func versionText() string {
	if version == "devel" {
		if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
			return info.Main.Version
		}
	}
	return version
}
