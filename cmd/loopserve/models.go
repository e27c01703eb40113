package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/app"
	"github.com/loopserve/loopserve/models/bundle"
)

func modelsCommand() *cobra.Command {
	return &cobra.Command{
		Use:        "models [folder …]",
		SuggestFor: []string{"ls", "ps"},
		Short:      "List bundles in folders, with loops and sizes",
		Example:    "  loopserve models models",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"models"}
			}
			dirs, err := app.FindBundles(args)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tFAMILY\tLAYERS\tLOOPS\tCONTEXT\tWEIGHTS\tSIZE\tFOLDER")
			list := map[string]*bundle.Manifest{}
			for _, dir := range dirs {
				b, err := bundle.Open(dir, bundle.Options{SkipHash: true})
				if err != nil {
					return err
				}
				list[dir] = &b.Manifest
			}
			slices.SortStableFunc(dirs, func(a, b string) int { return strings.Compare(list[a].Name, list[b].Name) })
			for _, dir := range dirs {
				m := list[dir]
				fmt.Fprintf(w, "%s\t%s\t%d + %d×L + %d\t%d…%d (%d)\t%d\t%s\t%.1f MB\t%s\n", m.Name, m.Family, m.Prelude.Layers, m.Block.Layers,
					m.Coda.Layers, m.Loops.Min, m.Loops.Max, m.Loops.Default, m.Context, m.Precision.Weights, float64(m.FileBytes())/1e6, dir)
			}
			return w.Flush()
		},
	}
}
