// Bigcheckpoint writes a random checkpoint of a released model's exact size, to measure exports of that size:
//
//	go run ./internal/exporttest/bigcheckpoint ouro-1.4b ./ouro
//
// It streams: its own memory is that of one row.
package main

import (
	"fmt"
	"os"

	"github.com/loopserve/loopserve/internal/exporttest"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: bigcheckpoint ouro-1.4b|huginn-3.5b <new folder>")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "bigcheckpoint:", err)
		os.Exit(1)
	}
}

func run(name, dir string) error {
	c, err := exporttest.Published(name)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); err == nil {
		return fmt.Errorf("%s is there already", dir)
	}
	const shard = 1 << 30
	return exporttest.WriteShards(dir, c.Config, c.Tensors, "BF16", 1, shard)
}
