package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/models/export"
)

func exportCommand() *cobra.Command {
	var out string
	opt := export.Options{Exporter: "loopserve " + versionText()}
	cmd := &cobra.Command{
		Use:   "export <checkpoint folder>",
		Short: "Turn a Hugging Face checkpoint into a bundle",
		Long: `Export reads config.json and the safetensors files of a checkpoint and writes a bundle: three ONNX graphs, the
tokenizer and a manifest. No Python is needed, and no tensor is held in memory whole.
Families: ` + strings.Join(export.Families(), ", ") + `.`,
		Example: `  loopserve export ./checkpoint -o models/mine
  loopserve export ./checkpoint -o models/mine-int4 --weights int4`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			start := time.Now()
			bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(cmd.ErrOrStderr()), progressbar.OptionShowBytes(true),
				progressbar.OptionSetDescription("writing weights"), progressbar.OptionThrottle(200*time.Millisecond),
				progressbar.OptionClearOnFinish(), progressbar.OptionSetVisibility(isTerminal(os.Stderr)))
			opt.Progress = func(written int64, _ string) { _ = bar.Set64(written) } // a bar that cannot be drawn is no failure
			m, err := export.Export(cmd.Context(), args[0], out, opt)
			_ = bar.Finish()
			if err != nil {
				return err
			}
			size := int64(0)
			for _, f := range m.Files {
				size += f.Size
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: model %s (%s), %d + %d×L + %d layers, loops %d to %d, weights %s, %.1f MB in %d files, %s\n",
				out, m.Name, m.Family, m.Prelude.Layers, m.Block.Layers, m.Coda.Layers, m.Loops.Min, m.Loops.Max, m.Precision.Weights,
				float64(size)/1e6, len(m.Files), time.Since(start).Round(time.Millisecond))
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "folder of the bundle")
	cmd.Flags().StringVar(&opt.Name, "name", "", "the model's name for clients (default: the folder's)")
	cmd.Flags().StringVar(&opt.Weights, "weights", export.WeightsF32, "f32, int8 or int4 (embedding, norms and RoPE stay f32)")
	cmd.Flags().BoolVar(&opt.Force, "force", false, "replace a bundle that is there")
	if err := cmd.MarkFlagRequired("output"); err != nil {
		panic(err) // a typing mistake in the line above
	}
	return cmd
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
