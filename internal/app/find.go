package app

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/loopserve/loopserve/models/bundle"
)

// FindBundles lists the bundles that paths name: a path is a bundle, or a folder with bundles in it.
func FindBundles(paths []string) ([]string, error) {
	var out []string
	for _, path := range paths {
		if isBundle(path) {
			out = append(out, path)
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, fmt.Errorf("models: %w: name a bundle (a folder with %s), a folder of bundles, or a checkpoint: a folder or hf:ORG/NAME", err, bundle.FileName)
		}
		found := 0
		for _, e := range entries {
			if dir := filepath.Join(path, e.Name()); isBundle(dir) {
				out = append(out, dir)
				found++
			}
		}
		if found == 0 {
			return nil, fmt.Errorf("models: there is no bundle in %s: a bundle is a folder with %s, which `loopserve export` makes",
				path, bundle.FileName)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func isBundle(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, bundle.FileName))
	return err == nil
}
