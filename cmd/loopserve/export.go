package main

import (
	"crypto/ed25519"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/store"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
)

func exportCommand() *cobra.Command {
	var out, sign string
	var fused, noTokenizer bool
	opt := export.Options{Exporter: exporter()}
	cmd := &cobra.Command{
		Use:        "export <checkpoint folder or GGUF file>",
		SuggestFor: []string{"convert", "create"},
		Short:      "Turn a Hugging Face checkpoint or a GGUF file into a bundle",
		Long: `Export reads config.json and the safetensors files of a checkpoint, or a GGUF file, and writes a bundle: three ONNX graphs,
the tokenizer and a manifest. hf:ORG/NAME[@REVISION] and hf:ORG/NAME/FILE.gguf are fetched from the Hugging Face hub, or found in its local cache.
A tokenizer that serve would refuse is refused before anything is written. No Python is needed, and no tensor is held in memory whole.
Families: ` + strings.Join(export.Families(), ", ") + `.`,
		Example: `  loopserve export ./checkpoint -o models/mine
  loopserve export hf:ByteDance/Ouro-1.4B -o models/ouro --weights int4
  loopserve export ./checkpoint -o models/mine-int4 --weights int4 --embedding bf16 --head int8
  loopserve export ./checkpoint -o models/mine-cuda --dtype bf16
  loopserve export ./model.gguf -o models/mine --weights int8 --loop 13-16
  loopserve export ./qwen3 -o models/looped --loop 15-18 --loop-steps 3 --loop-beta 0.5`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			start := time.Now()
			if err := opt.Settle(); err != nil { // before anything is downloaded
				return err
			}
			var private ed25519.PrivateKey
			if sign != "" {
				var err error
				if private, err = bundle.PrivateKey(sign); err != nil {
					return err
				}
			}
			from, origin, err := fetched(cmd.Context(), cmd.ErrOrStderr(), args[0], store.Wants)
			if err != nil {
				return err
			}
			bar := newBar(cmd.ErrOrStderr(), "writing weights")
			if !noTokenizer {
				opt.Check = func(checkpoint fs.FS) error {
					if err := servable(checkpoint); err != nil {
						return fmt.Errorf("%w; or export with --no-tokenizer what is to be measured and not served", err)
					}
					return nil
				}
			}
			opt.Progress, opt.Unfused, opt.Origin = exportProgress(bar, sayTo(cmd.ErrOrStderr())), !fused, origin
			m, err := export.Export(cmd.Context(), from, out, opt)
			bar.end()
			if err == nil && sign != "" {
				err = bundle.Sign(out, private)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: model %s (%s), %d + %d×L + %d layers, loops %d to %d, %s, %.1f MB in %d files, %s\n",
				out, m.Name, m.Family, m.Prelude.Layers, m.Block.Layers, m.Coda.Layers, m.Loops.Min, m.Loops.Max, precisionText(m),
				float64(m.FileBytes())/1e6, len(m.Files), time.Since(start).Round(time.Millisecond))
			warn(cmd.ErrOrStderr(), m)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&out, "output", "o", "", "folder of the bundle")
	flags.StringVar(&opt.Name, "name", "", "the model's name for clients (default: the folder's)")
	flags.StringVar(&opt.DType, "dtype", "", "type of activations and KV cache: f32 for the CPU (default), f16 or bf16 for CUDA")
	flags.StringVar(&opt.Weights, "weights", "", "type of the layers' weights, on the CPU: f32 (default), bf16, int8, int4, or keep (what a GGUF file has, all else int8); norms stay f32")
	flags.StringVar(&opt.Embedding, "embedding", "", "type of the token table, on the CPU: f32 (default), f16, bf16, int8, int4 or keep (default with weights keep)")
	flags.StringVar(&opt.Head, "head", "", "type of the head: f32, bf16, int8, int4 or keep on the CPU, the dtype or f32 on CUDA (default: as --weights, int8 with int4)")
	flags.BoolVar(&fused, "fuse", true, "take norms, additions and activations into the quantized products")
	flags.StringVar(&opt.State, "state", "", "state before the first loop, where the model injects: zeros (default) or normal, drawn by (seed, position)")
	flags.StringVar(&opt.Tokenizer, "tokenizer", "", "folder with the tokenizer of a GGUF file (default: the one that the file's metadata describes)")
	flags.StringVar(&opt.Loop, "loop", "", "layers of a plain decoder (llama, qwen2, …) that are looped without training, as 15-18, counted from 0 (default: no loop)")
	flags.IntVar(&opt.LoopSteps, "loop-steps", 0, "with --loop: loops of requests that don't say (default: 1, the model itself)")
	flags.StringVar(&opt.LoopBeta, "loop-beta", "", "with --loop: share of the first loop's output in what the layers after the window read, 0 to 1 (default: 0.5)")
	flags.StringVar(&opt.LoopKV, "loop-kv", "", "with --loop: planes, KV of each loop (default), or first, the first loop's alone")
	flags.BoolVar(&opt.LoopNaive, "loop-naive", false, "with --loop: repeat the layers, and nothing else")
	flags.StringArrayVar(&opt.IgnoreConfig, "ignore-config", nil, "take this key of config.json as absent (may be repeated)")
	flags.BoolVar(&noTokenizer, "no-tokenizer", false, "export although no server could open the checkpoint's tokenizer: to measure and to verify")
	flags.StringVar(&sign, "sign", "", "sign the bundle with this private key (PEM, ed25519), so that serve --trust takes it")
	flags.BoolVar(&opt.Force, "force", false, "replace a bundle that is in the folder")
	if err := cmd.MarkFlagRequired("output"); err != nil {
		panic(err) // a typing mistake in the line above
	}
	return cmd
}

// warn prints what of a bundle is allowed and hardly meant.
func warn(w io.Writer, m *bundle.Manifest) {
	for _, text := range m.Warnings() {
		fmt.Fprintln(w, "warning:", text)
	}
}

// precisionText is what the numbers of a bundle are, and what it runs on.
func precisionText(m *bundle.Manifest) string {
	device := "the CPU"
	if m.Provider == bundle.ProviderCUDA {
		device = "CUDA"
	}
	p := m.Precision
	return fmt.Sprintf("activations %s, weights %s, embedding %s, head %s, for %s", p.Activations, p.Weights, p.Embedding, p.Head, device)
}
