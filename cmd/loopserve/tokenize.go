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
	cmd := &cobra.Command{
		Use:     "tokenize [text]",
		Short:   "Print the token ids of a text or of standard input",
		Example: "  loopserve tokenize --tokenizer models/adder '123+456='",
		Args:    cobra.MaximumNArgs(1),
	}
	special := cmd.Flags().Bool("special", false, "add the special tokens that the tokenizer puts around a text")
	return withTokenizer(cmd, func(tok tokenizer.Tokenizer, _, text string) (string, error) {
		ids, err := tok.Encode(text, *special)
		out := make([]string, len(ids))
		for i, id := range ids {
			out[i] = strconv.Itoa(int(id))
		}
		return strings.Join(out, " "), err
	})
}

func detokenizeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "detokenize [ids]",
		Short:   "Print the text of token ids, from arguments or standard input",
		Example: "  loopserve detokenize --tokenizer models/adder 4 5 6",
	}
	skip := cmd.Flags().Bool("skip-special", false, "leave special tokens out")
	return withTokenizer(cmd, func(tok tokenizer.Tokenizer, dir, text string) (string, error) {
		var ids []int32
		for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,[]\t\n\r", r) }) {
			n, err := strconv.ParseInt(word, 10, 32)
			if err != nil {
				return "", usagef("ids has %q: must be integers", word)
			}
			if _, ok := tok.IDToToken(int32(n)); !ok { // Decode would leave it out
				return "", usagef("ids has %d: %s has no token with that id", n, dir)
			}
			ids = append(ids, int32(n))
		}
		return tok.Decode(ids, *skip)
	})
}

// withTokenizer makes a command print what convert makes of its arguments, or of standard input where it has none, with the
// tokenizer of a folder.
func withTokenizer(cmd *cobra.Command, convert func(tok tokenizer.Tokenizer, dir, text string) (string, error)) *cobra.Command {
	dir := cmd.Flags().String("tokenizer", "models/adder", "folder with tokenizer.json: a bundle or a checkpoint, which may be hf:ORG/NAME[@REVISION]")
	backend := cmd.Flags().String("backend", tokenizer.Native, "native (exact) or sugarme (for comparison)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		at, _, err := fetched(cmd.Context(), cmd.ErrOrStderr(), *dir, ofTokenizer)
		if err != nil {
			return err
		}
		tok, err := tokenizer.OpenDir(at, *backend)
		if err != nil {
			return err
		}
		text := strings.Join(args, " ")
		if len(args) == 0 {
			input, err := io.ReadAll(cmd.InOrStdin())
			if err != nil {
				return err
			}
			text = string(input)
		}
		text, err = convert(tok, *dir, text)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
		return err
	}
	return cmd
}
