package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/internal/parity"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/kvcache"
	"github.com/loopserve/loopserve/runtime/ort"
)

func verifyCommand() *cobra.Command {
	var vectors, library string
	var threads int
	cmd := &cobra.Command{
		Use:   "verify <bundle>",
		Short: "Check a bundle's files and graphs and, given golden vectors, its numbers",
		Long: `Verify checks the manifest, the size and sha256 of each file, and that the graphs keep the bundle contract.
With --golden it runs the vectors of a reference and prints, for each prompt and loop count, the largest absolute
difference of logits and hidden states, and whether greedy tokens agree. The exit code is 1 where anything fails.`,
		Example: `  loopserve verify models/adder
  loopserve verify ./tiny --golden ../shared/golden/looped-llama/tiny-2x4`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			b, err := bundle.Open(args[0], bundle.Options{})
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			m := &b.Manifest
			fmt.Fprintf(w, "%s: model %s, family %s: %d files, sizes, hashes and graphs are as the manifest says\n", args[0], m.Name, m.Family, len(m.Files))
			fmt.Fprintln(w, precisionText(m))
			shape := kvcache.Shape{PageSize: 16, KVHeads: m.Attention.KVHeads, HeadDim: m.Attention.HeadDim, ElementSize: 4}
			if m.Precision.Activations != export.F32 {
				shape.ElementSize = 2
			}
			kv := func(layers int) int64 { s := shape; s.Layers = layers; return s.TokenBytes() }
			fmt.Fprintf(w, "KV memory of a token: %d bytes for each loop, and %d beside the loops (policies: %v)\n",
				kv(m.Block.Layers), kv(m.Prelude.Layers)+kv(m.Coda.Layers), m.KVPolicies)
			if vectors == "" {
				return nil
			}
			c, err := golden.Open(vectors)
			if err != nil {
				return err
			}
			defer c.Close()
			env, err := ort.Open(ort.Options{Library: library, Threads: threads})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, env.Close()) }()
			e, err := engine.New(env, b, engine.Options{Sequence: 1})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, e.Close()) }()
			report, err := parity.Check(e, c, parity.Options{})
			if err != nil {
				return err
			}
			report.Write(w)
			fmt.Fprintln(w)
			report.WriteSummary(w)
			if !report.OK() {
				fmt.Fprintln(w, "the bundle does not give the reference's numbers")
				return errSaid
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&vectors, "golden", "", "folder with golden.json and golden.safetensors")
	cmd.Flags().StringVar(&library, "ort-lib", "", "ONNX Runtime's shared library (default: the pinned one)")
	cmd.Flags().IntVar(&threads, "threads", 0, "of the pool; 0: one for each core")
	return cmd
}
