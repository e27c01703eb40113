package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// probes are the routes that tell an orchestrator how the process is.
var probes = []string{"/livez", "/readyz", "/health", "/ready", "/ping"}

// authorize asks for a key on every route, known or not, but the probes.
func (s *Server) authorize(c *gin.Context) {
	if len(s.keys) == 0 || slices.Contains(probes, c.Request.URL.Path) {
		return
	}
	message := ""
	scheme, key, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	if own := c.GetHeader("X-Api-Key"); own != "" && key == "" { // Anthropic's clients
		scheme, key = "bearer", own
	}
	key = strings.TrimSpace(key)
	sum := sha256.Sum256([]byte(key))
	switch {
	case key == "" || !strings.EqualFold(scheme, "bearer"):
		message = "no API key: send it in the header Authorization: Bearer KEY"
	case !s.knows(sum):
		message = "the API key is unknown: check it, or ask the operator of this server"
	default:
		c.Set(keyTenant, string(sum[:]))
		return
	}
	fail(c, failure(http.StatusUnauthorized, "invalid_api_key", "%s", message))
}

// knows compares digests, every one of them, so that its time tells nothing about any key.
func (s *Server) knows(sum [sha256.Size]byte) bool {
	found := 0
	for i := range s.keys {
		found |= subtle.ConstantTimeCompare(sum[:], s.keys[i][:])
	}
	return found == 1
}

// CheckListen refuses an address that others can reach while no key is asked for, unless insecure says that this is
// meant.
func CheckListen(address string, hasKeys, insecure bool) error {
	if strings.HasPrefix(address, "unix:") { // the socket's file says who may
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen address %q: %w: write it as 127.0.0.1:8080", address, err)
	}
	ip := net.ParseIP(host)
	if hasKeys || insecure || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("listen address %q can be reached from other machines and no API key is set: "+
		"set api_keys or api_key_file, listen on 127.0.0.1, or pass --insecure if that is intended", address)
}
