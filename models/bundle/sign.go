package bundle

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
)

// SignatureName is beside the manifest where somebody signed it: the 64 bytes of an ed25519 signature of its bytes. The
// manifest has the hash of every other file.
const SignatureName = "manifest.sig"

// ErrSignature says that a bundle is not signed by anybody who is trusted.
var ErrSignature = errors.New("bundle is not trusted")

const howKeys = "make a pair with `openssl genpkey -algorithm ed25519 -out key.pem` and `openssl pkey -in key.pem -pubout -out key.pub`"

// readKey reads an ed25519 key from a PEM file.
func readKey[K any](path, kind string, parse func([]byte) (any, error)) (key K, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return key, fmt.Errorf("key: %w: %s", err, howKeys)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != kind {
		return key, fmt.Errorf("key %s: there is no block %q in it: %s", path, kind, howKeys)
	}
	parsed, err := parse(block.Bytes)
	key, ok := parsed.(K)
	switch {
	case err != nil:
		return key, fmt.Errorf("key %s: not an ed25519 key: %w: %s", path, err, howKeys)
	case !ok:
		return key, fmt.Errorf("key %s: not an ed25519 key, but %T: %s", path, parsed, howKeys)
	}
	return key, nil
}

// PrivateKey reads a key to sign with.
func PrivateKey(path string) (ed25519.PrivateKey, error) {
	return readKey[ed25519.PrivateKey](path, "PRIVATE KEY", x509.ParsePKCS8PrivateKey)
}

// PublicKeys reads the keys that are trusted.
func PublicKeys(paths []string) (keys []ed25519.PublicKey, err error) {
	for _, path := range paths {
		key, err := readKey[ed25519.PublicKey](path, "PUBLIC KEY", x509.ParsePKIXPublicKey)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Sign writes the signature of the manifest in dir.
func Sign(dir string, key ed25519.PrivateKey) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	defer root.Close()
	raw, _, err := readPlain(root, FileName, maxManifest)
	if err != nil {
		return fmt.Errorf("sign %s: %s: %w", dir, FileName, err)
	}
	return root.WriteFile(SignatureName, ed25519.Sign(key, raw), 0o644)
}

// checkTrust says whether one of the keys signed the manifest.
func checkTrust(root *os.Root, manifest []byte, keys []ed25519.PublicKey) error {
	signature, _, err := readPlain(root, SignatureName, ed25519.SignatureSize)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: it has no %s: sign it with `loopserve sign`, or serve it without trust", ErrSignature, SignatureName)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrSignature, SignatureName, err)
	}
	if !slices.ContainsFunc(keys, func(key ed25519.PublicKey) bool { return ed25519.Verify(key, manifest, signature) }) {
		return fmt.Errorf("%w: %s is by none of the %d keys that are trusted, or of another manifest", ErrSignature, SignatureName, len(keys))
	}
	return nil
}
