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
A tokenizer that serve would refuse is refused before anything is written. No Python is needed; tensors are streamed, not held in memory.
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
						return fmt.Errorf("%w; or use --no-tokenizer, to measure without serving", err)
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
	flags.StringVar(&opt.Weights, "weights", "", "weight type of the layers on the CPU: f32 (default), bf16, int8, int4, or keep (a GGUF file's own, everything else int8); norms stay f32")
	flags.StringVar(&opt.Embedding, "embedding", "", "type of the token embeddings on the CPU: f32 (default), f16, bf16, int8, int4 or keep (default with weights keep)")
	flags.StringVar(&opt.Head, "head", "", "type of the LM head: f32, bf16, int8, int4 or keep on the CPU, the dtype or f32 on CUDA (default: as --weights, int8 with int4)")
	flags.BoolVar(&fused, "fuse", true, "fuse norms, additions and activations into the quantized matrix products")
	flags.StringVar(&opt.State, "state", "", "initial state of models that inject their input: zeros (default) or normal, drawn by (seed, position)")
	flags.StringVar(&opt.Tokenizer, "tokenizer", "", "folder with the tokenizer of a GGUF file (default: the one in the file's metadata)")
	flags.StringVar(&opt.Loop, "loop", "", "layers of a plain decoder (llama, qwen2, …) to loop without training, for example 15-18, counted from 0 (default: none)")
	flags.IntVar(&opt.LoopSteps, "loop-steps", 0, "with --loop: default loops (default: 1, the model itself)")
	flags.StringVar(&opt.LoopBeta, "loop-beta", "", "with --loop: weight of the first loop's output in the input of the layers after the loop, 0 to 1 (default: 0.5)")
	flags.StringVar(&opt.LoopKV, "loop-kv", "", "with --loop: depth, a KV cache per loop (default), or first, only the first loop's")
	flags.BoolVar(&opt.LoopNaive, "loop-naive", false, "with --loop: only repeat the layers, without mixing")
	flags.StringArrayVar(&opt.IgnoreConfig, "ignore-config", nil, "treat this key of config.json as absent (may be repeated)")
	flags.BoolVar(&noTokenizer, "no-tokenizer", false, "export even if no server can open the checkpoint's tokenizer, for measurements and verification")
	flags.StringVar(&sign, "sign", "", "sign the bundle with this private key (PEM, ed25519), so that serve --trust takes it")
	flags.BoolVar(&opt.Force, "force", false, "replace an existing bundle")
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
