package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/app"
	"github.com/loopserve/loopserve/models/bundle"
)

// completeModels lets a shell complete the names of models, wherever a command has a flag for one. The script for a shell
// comes from cobra: `loopserve completion bash`.
func completeModels(cmd *cobra.Command) {
	if cmd.Flags().Lookup("model") != nil {
		// It fails only for a flag that is not there or that has a completion already.
		_ = cmd.RegisterFlagCompletionFunc("model", func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return namesFor(cmd, typed), cobra.ShellCompDirectiveNoFileComp
		})
	}
	for _, flag := range []string{"models", "tokenizer"} {
		if cmd.Flags().Lookup(flag) != nil {
			_ = cmd.MarkFlagDirname(flag)
		}
	}
	for _, sub := range cmd.Commands() {
		completeModels(sub)
	}
}

// namesFor lists the models in the folder of --models.
func namesFor(cmd *cobra.Command, typed string) []string {
	folder := "models"
	if f := cmd.Flags().Lookup("models"); f != nil {
		folder = f.Value.String()
	}
	dirs, err := app.FindBundles(strings.Split(folder, ","))
	if err != nil {
		return nil // a completion has no place for an error
	}
	var out []string
	for _, dir := range dirs {
		b, err := bundle.Open(dir, bundle.Options{SkipHash: true})
		if err == nil && strings.HasPrefix(b.Manifest.Name, typed) {
			out = append(out, b.Manifest.Name+"\t"+b.Manifest.Description)
		}
	}
	return out
}
