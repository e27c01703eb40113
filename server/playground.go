package server

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// playgroundFiles are the parts of the page. They are put together when the page is first asked for: the browser gets one
// document that fetches nothing but the API.
//
//go:embed playground/page.html playground/style.css playground/*.js
var playgroundFiles embed.FS

// playgroundScripts are in the order in which they stand in the page: all but the last only define things.
var playgroundScripts = []string{"api", "scale", "tokens", "lens", "settings", "request", "pane", "run", "compare", "bench", "main"}

// playgroundPage is the document, with the headers that hold for it.
type playgroundPage struct {
	html         []byte
	policy, etag string
}

var playground = sync.OnceValues(func() (*playgroundPage, error) {
	read := func(name string) (string, error) {
		b, err := playgroundFiles.ReadFile("playground/" + name)
		return string(b), err
	}
	page, err := read("page.html")
	if err != nil {
		return nil, err
	}
	style, err := read("style.css")
	if err != nil {
		return nil, err
	}
	script := "'use strict';\n"
	for _, name := range playgroundScripts {
		s, err := read(name + ".js")
		if err != nil {
			return nil, err
		}
		script += s
	}
	const styleMark, scriptMark = "/* style */", "/* script */"
	if strings.Count(page, styleMark) != 1 || strings.Count(page, scriptMark) != 1 || strings.Contains(script, "</script") {
		return nil, fmt.Errorf("playground/page.html must have %q and %q once each, and no script may hold the end tag of one", styleMark, scriptMark)
	}
	page = strings.Replace(page, styleMark, style, 1)
	page = strings.Replace(page, scriptMark, script, 1)
	sum := sha256.Sum256([]byte(page))
	return &playgroundPage{html: []byte(page), policy: playgroundPolicy(style, script), etag: `"` + hex.EncodeToString(sum[:12]) + `"`}, nil
})

// playgroundPolicy lets the page run its own script and style, told by their digests, and talk to this server: nothing
// else. Plots are images from memory. Text becomes HTML nowhere, which require-trusted-types-for makes the browser check:
// what a model says is shown, never run.
func playgroundPolicy(style, script string) string {
	digest := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return strings.Join([]string{
		"default-src 'none'", "script-src " + digest(script), "style-src " + digest(style), "connect-src 'self'",
		"img-src blob: data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
		"require-trusted-types-for 'script'", "trusted-types 'none'",
	}, "; ")
}

// getPlayground answers GET and HEAD / with the playground. It needs no key, since a browser sends none with a page's
// address: the page asks for the key and sends it with each request of its own.
func (s *Server) getPlayground(c *gin.Context) {
	p, err := playground()
	if err != nil {
		s.fail(c, err)
		return
	}
	h := c.Writer.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY") // frame-ancestors, for browsers that do not know it
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache") // ask again, so that a new version of the server shows its own page
	h.Set("ETag", p.etag)
	extendWrite(c)
	http.ServeContent(c.Writer, c.Request, "", time.Time{}, bytes.NewReader(p.html)) // HEAD, ranges and If-None-Match
}
