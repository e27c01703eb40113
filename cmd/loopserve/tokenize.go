package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/tokenizer"
)

func tokenizeCommand() *cobra.Command {
	var dir, backend string
	var special bool
	cmd := &cobra.Command{
		Use:     "tokenize [text]",
		Short:   "Print the token ids of a text, or of standard input",
		Example: "  loopserve tokenize --tokenizer models/adder '123+456='",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			tok, err := tokenizer.OpenDir(dir, backend)
			if err != nil {
				return err
			}
			text, err := argumentOrInput(cmd, args)
			if err != nil {
				return err
			}
			ids, err := tok.Encode(text, special)
			if err != nil {
				return err
			}
			out := make([]string, len(ids))
			for i, id := range ids {
				out[i] = strconv.Itoa(int(id))
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.Join(out, " "))
			return err
		},
	}
	tokenizerFlags(cmd, &dir, &backend)
	cmd.Flags().BoolVar(&special, "special", false, "add the special tokens that the tokenizer puts around a text")
	return cmd
}

func detokenizeCommand() *cobra.Command {
	var dir, backend string
	var skip bool
	cmd := &cobra.Command{
		Use:     "detokenize [ids]",
		Short:   "Print the text of token ids, given as arguments or on standard input",
		Example: "  loopserve detokenize --tokenizer models/adder 4 5 6",
		RunE: func(cmd *cobra.Command, args []string) error {
			tok, err := tokenizer.OpenDir(dir, backend)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				text, err := argumentOrInput(cmd, nil)
				if err != nil {
					return err
				}
				args = []string{text}
			}
			var ids []int32
			for _, word := range strings.FieldsFunc(strings.Join(args, " "), func(r rune) bool { return strings.ContainsRune(" ,[]\t\n\r", r) }) {
				n, err := strconv.ParseInt(word, 10, 32)
				if err != nil {
					return usagef("ids has %q: must be integers", word)
				}
				if _, ok := tok.IDToToken(int32(n)); !ok { // Decode would leave it out
					return usagef("ids has %d: no token of %s has that id", n, dir)
				}
				ids = append(ids, int32(n))
			}
			text, err := tok.Decode(ids, skip)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
			return err
		},
	}
	tokenizerFlags(cmd, &dir, &backend)
	cmd.Flags().BoolVar(&skip, "skip-special", false, "leave special tokens out")
	return cmd
}

func tokenizerFlags(cmd *cobra.Command, dir, backend *string) {
	cmd.Flags().StringVar(dir, "tokenizer", "models/adder", "folder with tokenizer.json: a bundle or a checkpoint")
	cmd.Flags().StringVar(backend, "backend", tokenizer.Native, "native (exact) or sugarme (for comparison)")
}

func argumentOrInput(cmd *cobra.Command, args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	text, err := io.ReadAll(cmd.InOrStdin())
	return string(text), err
}
