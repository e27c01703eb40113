package bundle_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/models/bundle"
)

// pair writes an ed25519 pair as PEM files: openssl does, where there is one, else Go in the same form.
func pair(t *testing.T, dir string) (private, public string) {
	t.Helper()
	private, public = filepath.Join(dir, "key.pem"), filepath.Join(dir, "key.pub")
	if _, err := exec.LookPath("openssl"); err == nil {
		openssl(t, "genpkey", "-algorithm", "ed25519", "-out", private)
		openssl(t, "pkey", "-in", private, "-pubout", "-out", public)
		return private, public
	}
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		path, kind string
		encode     func() ([]byte, error)
	}{
		{private, "PRIVATE KEY", func() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(key) }},
		{public, "PUBLIC KEY", func() ([]byte, error) { return x509.MarshalPKIXPublicKey(pub) }},
	} {
		der, err := f.encode()
		if err == nil {
			err = os.WriteFile(f.path, pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return private, public
}

func openssl(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
}

func TestSignatures(t *testing.T) {
	keys := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(keys, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	privateFile, publicFile := pair(t, keys)
	private, err := bundle.PrivateKey(privateFile)
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := bundle.PublicKeys([]string{publicFile})
	if err != nil || len(trusted) != 1 {
		t.Fatal(err)
	}
	stranger, other, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		trust  []ed25519.PublicKey
		before func(dir string) error
		want   string // "": it is opened
	}{
		{"signed", trusted, func(dir string) error { return bundle.Sign(dir, private) }, ""},
		{"signed by one of two", append([]ed25519.PublicKey{stranger}, trusted...), func(dir string) error { return bundle.Sign(dir, private) }, ""},
		{"signed by openssl", trusted, func(dir string) error {
			if _, err := exec.LookPath("openssl"); err != nil {
				return bundle.Sign(dir, private)
			}
			openssl(t, "pkeyutl", "-sign", "-inkey", privateFile, "-rawin", "-in", filepath.Join(dir, bundle.FileName), "-out", filepath.Join(dir, bundle.SignatureName))
			return nil
		}, ""},
		{"nobody asks", nil, func(string) error { return nil }, ""},
		{"not signed", trusted, func(string) error { return nil }, "has no manifest.sig"},
		{"signed by a stranger", trusted, func(dir string) error { return bundle.Sign(dir, other) }, "by none of the 1 keys"},
		{"another manifest", trusted, func(dir string) error {
			err := bundle.Sign(dir, private)
			set("description", "mine")(t, dir)
			return err
		}, "of another manifest"},
		{"another file", trusted, func(dir string) error {
			err := bundle.Sign(dir, private)
			file("weights.data", func(raw []byte) []byte { raw[0] ^= 1; return raw })(t, dir)
			return err
		}, "weights.data has sha256"},
		{"too long a signature", trusted, func(dir string) error {
			return os.WriteFile(filepath.Join(dir, bundle.SignatureName), make([]byte, 65), 0o600)
		}, "65 bytes"},
		{"a short one", trusted, func(dir string) error {
			return os.WriteFile(filepath.Join(dir, bundle.SignatureName), []byte{1}, 0o600)
		}, "by none"},
	} {
		dir := exported(t)
		if err := c.before(dir); err != nil {
			t.Fatal(err)
		}
		_, err := bundle.Open(dir, bundle.Options{Trust: c.trust})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if c.want != "" && !strings.Contains(c.want, "sha256") && !errors.Is(err, bundle.ErrSignature) {
			t.Errorf("%s: %v is no ErrSignature", c.name, err)
		}
	}
	for name, path := range map[string]string{"no file": filepath.Join(keys, "none"), "the other kind": privateFile, "no PEM": put("text", "secret"), "no key": put("empty", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")} {
		if _, err := bundle.PublicKeys([]string{path}); err == nil || !strings.Contains(err.Error(), "openssl genpkey") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
