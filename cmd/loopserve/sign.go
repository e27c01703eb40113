package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/models/bundle"
)

func signCommand() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use:   "sign <bundle>",
		Short: "Sign a bundle for serve --trust",
		Long: `Sign checks the bundle with its hashes and writes manifest.sig: an ed25519 signature of manifest.json, which has the hash of every other file.
The key is a PEM file of openssl genpkey -algorithm ed25519; serve and verify take the public key with --trust.`,
		Example: `  openssl genpkey -algorithm ed25519 -out key.pem && openssl pkey -in key.pem -pubout -out key.pub
  loopserve sign models/adder --key key.pem
  loopserve serve models/adder --trust key.pub`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			private, err := bundle.PrivateKey(key)
			if err != nil {
				return err
			}
			b, err := bundle.Open(args[0], bundle.Options{})
			if err == nil {
				err = bundle.Sign(args[0], private)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: model %s is signed\n", args[0], b.Manifest.Name)
			return err
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "PEM file with the private key")
	if err := cmd.MarkFlagRequired("key"); err != nil {
		panic(err) // a typing mistake in the line above
	}
	return cmd
}
