package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/internal/host"
	"github.com/loopserve/loopserve/internal/parity"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/spec"
	"github.com/loopserve/loopserve/runtime/kvcache"
	"github.com/loopserve/loopserve/runtime/ort"
	"github.com/loopserve/loopserve/tokenizer"
)

func verifyCommand() *cobra.Command {
	var v verification
	cmd := &cobra.Command{
		Use:   "verify <bundle>",
		Short: "Check a bundle's files and graphs and, with --golden, its logits and hidden states",
		Long: `Verify checks the manifest, the size and sha256 of each file, that serve can open the tokenizer, and that the graphs keep
the bundle contract; an error names the remedy. A bundle of the kind dense also runs, whole and token by token, because its graphs
could let a row see later ones.
With --golden it compares with reference tests (recorded logits and hidden states) and prints, for each prompt and loop count, the largest
absolute difference of logits, hidden states, gates and exit criteria, and whether tokens and exits agree; the worst of each kind
comes last. The exit code is 1 if anything fails.`,
		Example: `  loopserve verify models/adder
  loopserve verify ./tiny --golden internal/golden/testdata/golden/looped-llama/tiny-2x4
  loopserve verify ./tiny --golden internal/golden/testdata/golden/ouro/tiny-mha --summary`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return v.run(cmd.OutOrStdout(), args[0]) },
	}
	cmd.Flags().StringVar(&v.vectors, "golden", "", "folder of a reference test: golden.json and golden.safetensors")
	cmd.Flags().BoolVar(&v.summary, "summary", false, "print only the largest difference of each kind")
	cmd.Flags().StringSliceVar(&v.trust, "trust", nil, "files with public keys (PEM, ed25519); one of them must have signed the bundle")
	cmd.Flags().StringVar(&v.library, "ort-lib", "", "path of ONNX Runtime's shared library (default: the pinned one)")
	cmd.Flags().IntVar(&v.threads, "threads", 0, "threads of the pool; 0: one per core")
	return cmd
}

type verification struct {
	vectors, library string
	summary          bool
	threads          int
	trust            []string
}

func (v *verification) run(w io.Writer, dir string) error {
	trust, err := bundle.PublicKeys(v.trust)
	if err != nil {
		return err
	}
	b, err := bundle.Open(dir, bundle.Options{Trust: trust})
	if explain(w, dir, err) {
		return errSaid
	}
	if err != nil {
		return err
	}
	m := &b.Manifest
	fmt.Fprintf(w, "%s: model %s, family %s: %d files, sizes, hashes and graphs are as the manifest says\n", dir, m.Name, m.Family, len(m.Files))
	writeMemory(w, m)
	warn(w, m)
	if _, err := tokenizer.Open(b.FS(), tokenizer.Native); err != nil {
		fmt.Fprintf(w, "%s cannot be served: %v\n", dir, err)
		if v.vectors == "" { // numbers need no text
			return errSaid
		}
	}
	if v.vectors == "" && m.Kind != bundle.KindDense {
		return nil
	}
	return v.numbers(w, b)
}

// writeMemory says what a token takes in one plane of the block, and in prelude and coda, for each precision that the
// server can keep KV in.
func writeMemory(w io.Writer, m *bundle.Manifest) {
	line := func(what string, p kvcache.Precision) {
		kv := spec.Shapes(m, 1, p)
		fmt.Fprintf(w, "%s: %d bytes per token and loop, plus %d per token", what, kv[1].TokenBytes(), kv[0].TokenBytes()+kv[2].TokenBytes())
	}
	if m.Kind == bundle.KindDense {
		line("Memory", kvcache.F32)
		fmt.Fprintf(w, " (policies: %v)\n", m.KVPolicies)
		return
	}
	precisions := []kvcache.Precision{kvcache.F32, kvcache.F16, kvcache.Int8}
	if spec.Shapes(m, 1, kvcache.F32) == spec.Shapes(m, 1, kvcache.Int8) { // the graphs decide
		precisions = precisions[:1]
	}
	for _, p := range precisions {
		line("KV memory in "+spec.Shapes(m, 1, p)[1].Precision.String(), p)
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "KV policies (which loops keep a KV cache): %v\n", m.KVPolicies)
}

// numbers runs the bundle.
func (v *verification) numbers(w io.Writer, b *bundle.Bundle) (err error) {
	env, err := ort.Open(ort.Options{Library: v.library, Threads: cmp.Or(v.threads, host.Here().CPUs)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, env.Close()) }()
	e, err := engine.Open(env, b, engine.Options{Sequence: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if b.Manifest.Kind == bundle.KindDense {
		if err := tryOut(w, e); err != nil {
			return err
		}
	}
	if v.vectors == "" {
		return nil
	}
	c, err := golden.Open(v.vectors)
	if err != nil {
		return err
	}
	defer c.Close()
	report, err := parity.Check(e, c, parity.Options{})
	if err != nil {
		return err
	}
	if !v.summary {
		report.Write(w)
		fmt.Fprintln(w)
	}
	report.WriteSummary(w)
	if !report.OK() {
		fmt.Fprintln(w, "the bundle does not match the reference")
		return errSaid
	}
	return nil
}

// explain prints what a bundle's graphs lack, and says whether err was about that.
func explain(w io.Writer, dir string, err error) bool {
	graphs := bundle.GraphErrors(err)
	if len(graphs) == 0 {
		return false
	}
	fmt.Fprintf(w, "%s cannot be served: its graphs do not keep the contract of docs/bundle-format.md\n", dir)
	for _, g := range graphs {
		fmt.Fprintf(w, "\n%s\n", g.File)
		problems := bundle.Problems(g.Err)
		if len(problems) == 0 {
			fmt.Fprintf(w, "  %v\n", g.Err)
		}
		for _, p := range problems {
			p.Write(w, "  ")
		}
	}
	return true
}

// tryOut checks what no look at a graph can tell: that no row sees later ones.
func tryOut(w io.Writer, e engine.Engine) error {
	promises, err := parity.Promises(e)
	if err != nil {
		return fmt.Errorf("the graphs keep the contract, but do not run: %w", err)
	}
	m := e.Manifest()
	layers := [3]int{m.Prelude.Layers, m.Block.Layers, m.Coda.Layers}
	for _, p := range promises {
		fmt.Fprintf(w, "%s: whole and token by token differ by %.1e of the largest number\n", p.Stage, p.Diff)
		if !p.OK() {
			fmt.Fprintf(w, "  remedy: %s\n", p.Remedy(layers[p.Stage]))
			return errSaid
		}
	}
	return nil
}
