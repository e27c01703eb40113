package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/app"
	"github.com/loopserve/loopserve/internal/host"
	"github.com/loopserve/loopserve/internal/inspect"
	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/ort"
)

func inspectCommand() *cobra.Command {
	var load inspect.Load
	var kv configs.Bytes
	var asJSON, measured bool
	var plan string
	cmd := &cobra.Command{
		Use:   "inspect <bundle>",
		Short: "Print layers, parameters, loops, KV bytes, FLOPs and memory of a bundle",
		Long: `Inspect reads the manifest and the graphs, not the weights, and prints layers and parameters of each stage, loops and KV policies,
KV bytes per token and loop, floating-point operations of a token, the tokens that fit in the KV memory, and the memory of
a number of requests of one length at a loop count. It checks sizes of files; verify checks their hashes.
With --measure it also loads the model and times calls of the block and of the coda with 1 to 128 rows.
With --plan it runs the model instead and prints, for several loop counts, this machine's throughput for such requests, the replicas
that a load needs, their memory and, with a price for an hour of a replica, the cost of a million tokens.`,
		Example: `  loopserve inspect models/adder
  loopserve inspect models/adder --requests 64 --length 64 --loops 12
  loopserve inspect models/adder --json
  loopserve inspect models/adder --measure
  loopserve inspect models/adder --plan rps=200,prompt=12,tokens=8,loops=8,price=0.10`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := bundle.Open(args[0], bundle.Options{SkipHash: true})
			if explain(cmd.OutOrStdout(), args[0], err) {
				return errSaid
			}
			if err != nil {
				return err
			}
			if plan != "" {
				p, err := readPlan(plan, &b.Manifest)
				if err != nil {
					return err
				}
				return p.run(cmd, b, load)
			}
			load.KVMemory = int64(app.Sized(&configs.Config{Provider: ort.ProviderCPU, KVMemory: kv}, host.Here(), b.Manifest.FileBytes()).KVMemory)
			facts, err := inspect.Bundle(b, load)
			if err != nil {
				return err
			}
			var costs []measure.RowCost
			if measured {
				if costs, err = rowCosts(cmd, b.Dir); err != nil {
					return err
				}
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(struct {
					*inspect.Facts
					Calls []measure.RowCost `json:"calls,omitempty"`
				}{facts, costs})
			}
			if err := facts.Write(cmd.OutOrStdout()); err != nil || costs == nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout())
			return measure.WriteRowCosts(cmd.OutOrStdout(), costs)
		},
	}
	cmd.Flags().IntVar(&load.Requests, "requests", 1, "requests at the same time")
	cmd.Flags().IntVar(&load.Length, "length", 0, "tokens of each request, prompt and completion; 0: the model's context")
	cmd.Flags().IntVar(&load.Loops, "loops", 0, "loops per token; 0: the model's default")
	cmd.Flags().IntVar(&load.PageSize, "page-size", 16, "tokens per KV page")
	cmd.Flags().StringVar(&load.Precision, "kv-precision", "auto", "number type of KV pages: f32, f16 or int8; auto: f16 for int4 and int8 bundles, else f32")
	cmd.Flags().TextVar(&kv, "kv-memory", configs.Bytes(0), "memory for KV pages; 0: what a server with only this bundle would take on this machine now")
	cmd.Flags().StringVar(&plan, "plan", "", "load to plan replicas for: rps=…,prompt=…,tokens=… and optionally loops=…,price=…")
	cmd.Flags().BoolVar(&measured, "measure", false, "load the model and time its calls by their rows")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// rowCosts are what calls of this machine take by their rows, with the settings of the environment.
func rowCosts(cmd *cobra.Command, dir string) (costs []measure.RowCost, err error) {
	on := &benchTarget{}
	defer func() { err = errors.Join(err, on.close()) }()
	if err := on.openFromEnvironment(cmd, dir); err != nil {
		return nil, err
	}
	return on.engine.RowCosts(cmd.Context(), []int{1, 2, 4, 8, 16, 32, 64, 128}, 2*time.Second)
}
