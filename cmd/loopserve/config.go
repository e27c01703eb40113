package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/app"
	"github.com/loopserve/loopserve/internal/store"
)

func configCommand() *cobra.Command {
	var defaults, origin, check bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the effective configuration: flags over environment over file over defaults",
		Long: `Config prints what serve would use, given the same flags: a YAML file that --config reads. API keys are left out.
With --origin it also prints where each value came from. With --check it only checks whether serve would start: keys,
certificate and bundles; the exit code is 2 if something is wrong.`,
		Example: `  loopserve config --default > loopserve.yaml
  LOOPSERVE_MAX_ROWS=128 loopserve config --config loopserve.yaml --threads 2 --origin
  loopserve config --config /etc/loopserve/loopserve.yaml --check`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if defaults {
				_, err := fmt.Fprint(cmd.OutOrStdout(), configs.DefaultYAML())
				return err
			}
			cfg, origins, err := loadConfig(cmd.Flags(), everySetting)
			if err != nil {
				return err
			}
			if check {
				if slices.ContainsFunc(cfg.Models, store.IsCheckpoint) { // how many bundles they are is known once they are exported
					cfg.Models, cfg.ServedModelName = slices.DeleteFunc(cfg.Models, store.IsCheckpoint), nil
				}
				if err := app.Check(cfg); err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), "the configuration is good")
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
	cmd.Flags().BoolVar(&check, "check", false, "check whether serve would start, instead")
	cmd.Flags().BoolVar(&origin, "origin", false, "print a table of settings, values and their sources")
	addConfigFlags(cmd.Flags(), everySetting)
	return cmd
}

// everySetting takes all settings of the configuration, ofEngine those that an engine in this process has.
func everySetting(string) bool { return true }

func ofEngine(name string) bool {
	return ofCheckpoints(name) || strings.HasPrefix(name, "kv_") || slices.Contains([]string{
		"threads", "provider", "device_id", "ort_lib", "page_size", "max_rows", "max_running", "row_budget", "max_context", "prefix_cache",
	}, name)
}

// addConfigFlags makes a flag of each setting that is taken, and one for a file. Their values go through configs.Load.
func addConfigFlags(flags *pflag.FlagSet, takes func(name string) bool) {
	flags.String("config", "", "YAML file with settings")
	addSettings(flags, takes)
}

func addSettings(flags *pflag.FlagSet, takes func(name string) bool) {
	for _, f := range configs.Fields() {
		if !takes(f.Name) {
			continue
		}
		// pflag takes a word in back quotes for the name of the value: `make ort` is none.
		flags.Var(f, f.Flag(), strings.ReplaceAll(f.Usage(), "`", "'"))
		if f.IsBoolFlag() {
			flags.Lookup(f.Flag()).NoOptDefVal = "true"
		}
	}
}

// loadConfig reads file, environment and those flags. Others stay out of it: commands have flags of their own under the
// names of settings. What is wrong there is a mistake of usage.
func loadConfig(flags *pflag.FlagSet, takes func(name string) bool) (*configs.Config, configs.Origins, error) {
	file, err := flags.GetString("config")
	if err != nil {
		return nil, nil, err
	}
	cfg, origins, err := configs.LoadWithOrigins(configs.Sources{File: file, Environ: os.Environ(), Flags: given(flags, takes)})
	if err != nil {
		return nil, nil, &usageError{err}
	}
	return cfg, origins, nil
}

// given are the values of the flags that were given, by the names of their settings.
func given(flags *pflag.FlagSet, takes func(name string) bool) map[string]string {
	out := map[string]string{}
	for _, f := range configs.Fields() {
		if takes(f.Name) && flags.Changed(f.Flag()) {
			out[f.Name] = flags.Lookup(f.Flag()).Value.String()
		}
	}
	return out
}
