package main

import (
	"cmp"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/store"
)

// ofCache is the setting that says where the bundles of checkpoints are.
func ofCache(name string) bool { return name == "cache" }

// cacheOf is the store that a command's settings name.
func cacheOf(cmd *cobra.Command) (*store.Store, error) {
	cfg, _, err := loadConfig(cmd.Flags(), ofCache)
	if err != nil {
		return nil, err
	}
	return &store.Store{Dir: store.Folder(cfg.Cache, os.Getenv), Say: sayTo(cmd.ErrOrStderr())}, nil
}

func listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the cached bundles of checkpoints",
		Long: `List shows the cache of bundles: each checkpoint that serve, run or chat exported, the commit of its repository, its
weights, the bundle's size, its date, and its folder. The downloads themselves are in the Hugging Face cache.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := cacheOf(cmd)
			if err != nil {
				return err
			}
			list, err := s.List()
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "CHECKPOINT\tREVISION\tWEIGHTS\tSIZE\tMADE\tBUNDLE")
			for _, e := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\t%.1f MB\t%s\t%s\n", cmp.Or(e.Checkpoint, "(broken)"), cmp.Or(e.Commit[:min(len(e.Commit), 12)], "-"),
					cmp.Or(e.Manifest.Precision.Weights, "-"), float64(e.Bytes)/1e6, e.Made.Format("2006-01-02 15:04"), e.Folder)
			}
			return w.Flush()
		},
	}
	addConfigFlags(cmd.Flags(), ofCache)
	return cmd
}

func rmCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:        "rm [checkpoint, model or bundle …]",
		SuggestFor: []string{"remove", "delete"},
		Short:      "Remove cached bundles of checkpoints",
		Long: `Rm removes bundles from the cache: all of a checkpoint or of a model's name, those of one commit, or one by its
folder. Downloads stay in the Hugging Face cache, where hf cache rm removes them.`,
		Example: `  loopserve rm hf:org/name
  loopserve rm hf:org/name@0123abc name-int4-0123456789ab
  loopserve rm --all`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return usagef("name what to remove, or use --all")
			}
			s, err := cacheOf(cmd)
			if err != nil {
				return err
			}
			removed, err := s.Remove(cmd.Context(), all, args...)
			for _, e := range removed {
				fmt.Fprintf(cmd.OutOrStdout(), "removed %s, %.1f MB\n", e.Folder, float64(e.Bytes)/1e6)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "remove every cached bundle and the remains of killed exports")
	addConfigFlags(cmd.Flags(), ofCache)
	return cmd
}
