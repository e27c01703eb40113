package server

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/server/api"
)

// exposed are the headers of an answer that a page of another origin may read, in addition to those that every page may.
const exposed = "Content-Length, Location, Retry-After, X-Request-Id, X-Model, X-Loops-Requested, X-Loops-Applied, X-Prefix-Key, X-Queue-Ms, " +
	"openai-processing-ms, retry-after-ms, x-should-retry, x-ratelimit-limit-loop-steps, x-ratelimit-remaining-loop-steps, " +
	"x-ratelimit-reset-loop-steps, x-ratelimit-limit-sequences, x-ratelimit-remaining-sequences"

// among says whether name is in a list, or everything is.
func among(list []string, name string) bool {
	return slices.Contains(list, "*") || slices.Contains(list, name)
}

// cors lets a browser hand answers to pages of cors_origins, and answers what it asks beforehand. Such a preflight carries no
// key: https://fetch.spec.whatwg.org/#http-cors-protocol
func (s *Server) cors(c *gin.Context) {
	origin, h := c.GetHeader("Origin"), c.Writer.Header()
	if len(s.cfg.CORSOrigins) > 0 {
		h.Add("Vary", "Origin")
	}
	preflight := c.Request.Method == http.MethodOptions && origin != "" && c.GetHeader("Access-Control-Request-Method") != ""
	switch {
	case origin != "" && among(s.cfg.CORSOrigins, origin):
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", exposed)
	case preflight:
		refuseOrigin(c, "pages of origin "+api.Quote(origin)+" may not use this server")
		return
	}
	if !preflight {
		return
	}
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE")
	h.Set("Access-Control-Allow-Headers", c.GetHeader("Access-Control-Request-Headers"))
	h.Set("Access-Control-Max-Age", "600")
	if c.GetHeader("Access-Control-Request-Private-Network") == "true" { // a public site that asks a private address
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
	c.AbortWithStatus(http.StatusNoContent)
}

// guard refuses what a page in somebody's browser sends without a key: under a name that is not this server's, which the
// page's owner made lead here (DNS rebinding), or from an origin that is none of origins, by whatever method, since an image that
// a page shows is a GET. Probes answer under any name: gateways and orchestrators have their own for this server.
func (s *Server) guard(listen string, origins []string) gin.HandlerFunc {
	return func(c *gin.Context) {
		r := c.Request
		switch {
		case len(s.keys) > 0: // who comes here has a key, or asks for a probe or the page, which tell nothing
		case !slices.Contains(probes, r.URL.Path) && !answersTo(listen, r.Host, s.cfg.AllowedHosts):
			fail(c, failure(http.StatusForbidden, "host_not_allowed",
				"Host is %s, which is no name of this server: add the name to allowed_hosts (--allowed-hosts), or use the address", api.Quote(r.Host)))
		case r.URL.Path != "/" && foreign(r, origins):
			refuseOrigin(c, "the request came from a web page of another site")
		}
	}
}

func refuseOrigin(c *gin.Context, what string) {
	fail(c, failure(http.StatusForbidden, "cross_origin", "%s: the operator may name its origin in cors_origins (--cors-origins http://localhost:3000)", what))
}

// answersTo says whether Host is a name of a server that listens on an address: localhost and loopback addresses; and
// beyond loopback the machine's name, and every address, since no name was looked up that could lead elsewhere tomorrow, and
// behind a port mapping the address is none of the machine's. A program of HTTP/1.0 has no Host, every browser has one.
func answersTo(listen, host string, allowed []string) bool {
	bound, _, err := net.SplitHostPort(listen)
	name := strings.ToLower(strings.TrimSuffix((&url.URL{Host: host}).Hostname(), "."))
	ip, noIP := netip.ParseAddr(name)
	if err != nil || strings.HasPrefix(listen, "unix:") || host == "" || name == "localhost" || ip.Unmap().IsLoopback() || name == strings.ToLower(bound) ||
		among(allowed, name) { // err: a socket in the file system, or a test's handler
		return true
	}
	here, _ := netip.ParseAddr(bound)
	if bound == "localhost" || here.IsLoopback() {
		return false
	}
	self, _ := os.Hostname()
	return noIP == nil || strings.EqualFold(name, self)
}

// foreign says whether a page of an origin that is neither the server's own nor one of origins had a browser send the request. Browsers say so in
// Sec-Fetch-Site where they reach the server over TLS or loopback, and else in Origin; for images only in Referer.
func foreign(r *http.Request, origins []string) bool {
	from := r.Header.Get("Origin")
	if from == "" && r.Method == http.MethodGet {
		if u, err := url.Parse(r.Referer()); err == nil && u.Host != "" {
			from = u.Scheme + "://" + u.Host
		}
	}
	site := r.Header.Get("Sec-Fetch-Site")
	switch {
	case among(origins, from):
		return false
	case site != "":
		return site != "same-origin" && site != "none"
	}
	u, err := url.Parse(from)
	return from != "" && (err != nil || u.Host != r.Host)
}
