//go:build cgo

package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/internal/hub/hubtest"
	"github.com/loopserve/loopserve/runtime/ort"
)

// The scripts run this test binary as the command, so that what they see is what a user sees.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"loopserve": main})
}

func TestScripts(t *testing.T) {
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata", ContinueOnError: os.Getenv("GOON") != "",
		Condition: func(name string) (bool, error) {
			return name == "huggingface_hub" && os.Getenv("HUB_PYTHON") != "", nil
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("REPO", repo)
			env.Setenv("MODELS", filepath.Join(repo, "models"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("LOOPSERVE_ORT_LIB", library(repo))
			h := hubtest.New(t)
			env.Values["hub"] = h
			env.Setenv("HF_ENDPOINT", h.URL)
			env.Setenv("HUB_PYTHON", os.Getenv("HUB_PYTHON"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"hub": hubScript},
	})
}

// hubScript is the hub of a script: put REPOSITORY FOLDER, token TOKEN, spoil FILE, stall FILE BYTES, stalled (waits until a file is),
// and requests (those since the last call, to standard output).
func hubScript(ts *testscript.TestScript, _ bool, args []string) {
	h := ts.Value("hub").(*hubtest.Hub)
	change := func(f func()) { h.Change(func(*hubtest.Hub) { f() }) }
	switch args[0] {
	case "put":
		_, err := h.Put(args[1], "main", ts.MkAbs(args[2]), nil)
		ts.Check(err)
	case "token":
		change(func() { h.Token = args[1] })
	case "spoil":
		change(func() { h.Spoil[args[1]] = true })
	case "stall":
		n, err := strconv.ParseInt(args[2], 10, 64)
		ts.Check(err)
		change(func() { h.Stall[args[1]], h.Spoil = n, map[string]bool{} })
	case "stalled":
		ts.Check(h.Stalled())
	case "requests":
		fmt.Fprintln(ts.Stdout(), strings.Join(h.Requests(), "\n"))
	default:
		ts.Fatalf("hub has no command %s", args[0])
	}
}

// library is the one that LOOPSERVE_ORT_LIB names, or the pinned one: the scripts run far from both places where the test
// binary would look for it.
func library(repo string) string {
	if named := os.Getenv("LOOPSERVE_ORT_LIB"); named != "" {
		return named
	}
	pin, machine := ort.Pinned(), map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	if path := filepath.Join(repo, ".cache", "ort", pin.Version, machine, pin.Files[machine].Member); exists(path) {
		return path
	}
	return ""
}

// The golden case, exported, signed and verified by the commands themselves.
func TestExportAndVerifyGolden(t *testing.T) {
	cases, err := goldentest.Find(goldentest.Dir(t, "golden/looped-llama"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("LOOPSERVE_ORT_LIB", library("../.."))
	private, public := filepath.Join(t.TempDir(), "key.pem"), filepath.Join(t.TempDir(), "key.pub")
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	write := func(path, kind string, der []byte, err error) {
		if err == nil {
			err = os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	write(private, "PRIVATE KEY", der, err)
	der, err = x509.MarshalPKIXPublicKey(pub)
	write(public, "PUBLIC KEY", der, err)
	for _, dir := range cases {
		out := filepath.Join(t.TempDir(), "tiny")
		run(t, "export", dir, "-o", out, "--no-tokenizer", "--sign", private)
		run(t, "verify", out, "--golden", dir, "--trust", public)
	}
}

func run(t *testing.T, args ...string) {
	t.Helper()
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(t.Output())
	cmd.SetErr(t.Output())
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("loopserve %v: %v", args, err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
