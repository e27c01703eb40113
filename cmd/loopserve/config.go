package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/loopserve/loopserve/configs"
)

func configCommand() *cobra.Command {
	var defaults, origin bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the effective configuration: flags over environment over file over defaults",
		Long: `Config prints what serve would use, given the same flags: a YAML file that --config reads. API keys are left out.
With --origin it prints where each value came from, too.`,
		Example: `  loopserve config --default > loopserve.yaml
  LOOPSERVE_MAX_ROWS=128 loopserve config --config loopserve.yaml --threads 2 --origin`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if defaults {
				_, err := fmt.Fprint(cmd.OutOrStdout(), configs.DefaultYAML())
				return err
			}
			cfg, origins, err := loadOrigins(cmd.Flags())
			if err != nil {
				return err
			}
			if origin {
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				if err := cfg.Table(w, origins); err != nil {
					return err
				}
				return w.Flush()
			}
			text, err := cfg.YAML()
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		},
	}
	cmd.Flags().BoolVar(&defaults, "default", false, "print the annotated defaults instead")
	cmd.Flags().BoolVar(&origin, "origin", false, "print a table of settings, values and where they came from")
	addConfigFlags(cmd.Flags())
	return cmd
}

// addConfigFlags makes a flag of every setting. Their values go through configs.Load, which knows the types.
func addConfigFlags(flags *pflag.FlagSet) {
	flags.String("config", "", "YAML file with settings")
	for _, f := range configs.Fields() {
		flags.String(f.Flag, f.Default, f.Usage)
		if f.Bool {
			flags.Lookup(f.Flag).NoOptDefVal = "true"
		}
	}
}

// loadConfig reads file, environment and flags. What is wrong there is a mistake of usage.
func loadConfig(flags *pflag.FlagSet) (*configs.Config, error) {
	cfg, _, err := loadOrigins(flags)
	return cfg, err
}

func loadOrigins(flags *pflag.FlagSet) (*configs.Config, configs.Origins, error) {
	given := map[string]string{}
	for _, f := range configs.Fields() {
		if flag := flags.Lookup(f.Flag); flag != nil && flag.Changed {
			given[f.Name] = flag.Value.String()
		}
	}
	file, err := flags.GetString("config")
	if err != nil {
		return nil, nil, err
	}
	cfg, origins, err := configs.LoadWithOrigins(configs.Sources{File: file, Env: os.LookupEnv, Flags: given})
	if err != nil {
		return nil, nil, &usageError{err}
	}
	return cfg, origins, nil
}
