// Package playground is the page at GET /: one HTML document with its style and scripts inside, and the headers that keep
// it to itself. It is no part of the API: it uses the routes that every client has.
package playground

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
)

// files are the parts of the page. They are put together when the page is first asked for: the browser gets one
// document that fetches nothing but the API.
//
//go:embed page.html style.css *.js
var files embed.FS

// scripts are in the order in which they stand in the page: all but the last only define things.
var scripts = []string{"api", "scale", "tokens", "lens", "settings", "request", "pane", "run", "compare", "bench", "main"}

// document is the document, with the headers that hold for it.
type document struct {
	html         []byte
	policy, etag string
}

var page = sync.OnceValues(func() (*document, error) {
	read := func(name string) (string, error) {
		b, err := files.ReadFile(name)
		return string(b), err
	}
	html, err := read("page.html")
	if err != nil {
		return nil, err
	}
	style, err := read("style.css")
	if err != nil {
		return nil, err
	}
	script := "'use strict';\n"
	for _, name := range scripts {
		s, err := read(name + ".js")
		if err != nil {
			return nil, err
		}
		script += s
	}
	const styleMark, scriptMark = "/* style */", "/* script */"
	if strings.Count(html, styleMark) != 1 || strings.Count(html, scriptMark) != 1 || strings.Contains(script, "</script") {
		return nil, fmt.Errorf("page.html must have %q and %q once each, and no script may hold the end tag of one", styleMark, scriptMark)
	}
	html = strings.Replace(html, styleMark, style, 1)
	html = strings.Replace(html, scriptMark, script, 1)
	sum := sha256.Sum256([]byte(html))
	return &document{html: []byte(html), policy: policyFor(style, script), etag: `"` + hex.EncodeToString(sum[:12]) + `"`}, nil
})

// policyFor lets the page run its own script and style, told by their digests, and talk to this server: nothing
// else. Plots are images from memory. Text becomes HTML nowhere, which require-trusted-types-for makes the browser check:
// what a model says is shown, never run.
func policyFor(style, script string) string {
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

// Serve answers GET and HEAD with the page. It needs no key, since a browser sends none with a page's address: the page
// asks for the key and sends it with each request of its own. An error means that nothing was written.
func Serve(w http.ResponseWriter, r *http.Request) error {
	p, err := page()
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY") // frame-ancestors, for browsers that do not know it
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache") // ask again, so that a new version of the server shows its own page
	h.Set("ETag", p.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.html)) // HEAD, ranges and If-None-Match
	return nil
}
