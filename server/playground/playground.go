// Package playground is the page at GET /: one HTML document with its style and scripts inside, and the headers that keep
// it to itself. It is no part of the API: it uses the routes that every client has.
package playground

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"time"
)

// The parts of the page. They are put together when it is first asked for: the browser gets one document that fetches nothing
// but the API.
var (
	//go:embed page.html
	html string
	//go:embed style.css
	style string
	//go:embed *.js
	files embed.FS
)

// The marks of page.html that stand for the style and the scripts.
const styleMark, scriptMark = "/* style */", "/* script */"

// scripts are in the order in which they stand in the page: all but the last only define things.
var scripts = []string{"api", "scale", "tokens", "lens", "settings", "request", "pane", "run", "compare", "bench", "kept", "main"}

// document is the document, with the headers that hold for it.
type document struct {
	html         []byte
	policy, etag string
}

var page = sync.OnceValue(func() document {
	script := "'use strict';\n"
	for _, name := range scripts {
		text, err := files.ReadFile(name + ".js")
		if err != nil { // of the program itself
			panic(err)
		}
		script += string(text)
	}
	whole := []byte(strings.NewReplacer(styleMark, style, scriptMark, script).Replace(html))
	sum := sha256.Sum256(whole)
	return document{html: whole, policy: policyFor(style, script), etag: `"` + hex.EncodeToString(sum[:12]) + `"`}
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
// asks for the key and sends it with each request of its own.
func Serve(w http.ResponseWriter, r *http.Request) {
	p := page()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY") // frame-ancestors, for browsers that do not know it
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache") // ask again, so that a new version of the server shows its own page
	h.Set("ETag", p.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.html)) // HEAD, ranges and If-None-Match
}
