package server

import (
	"cmp"
	"net/http"
	"time"

	"github.com/loopserve/loopserve/server/api"
)

// Config is how the server behaves. A zero field means its default.
type Config struct {
	// Listen and AdminListen are the addresses that clients reach the listeners at, for the check of the header Host; an empty
	// one does not check it. AllowedHosts are further names, and CORSOrigins the origins whose pages may use the API; * is all.
	Listen, AdminListen       string
	AllowedHosts, CORSOrigins []string
	// RootPath is where a proxy serves the API: /llm, or empty.
	RootPath string
	// APIKeys are the bearer tokens that may come in; none means that no key is asked for.
	APIKeys []string
	// KeyLimits are those of single keys; a key that is not among them has none.
	KeyLimits map[string]KeyLimits
	// SharePrefixes lets requests of different API keys use each other's prefix cache. Off, a key cannot measure what
	// another one has sent.
	SharePrefixes bool
	// TemplateArgs are names that requests may set in chat_template_kwargs, beside the usual ones.
	TemplateArgs []string
	// Version stands in GET /version.
	Version string
	// Alive says what of the process hangs for good, for GET /livez; nil means nothing does.
	Alive func() error
	// Trace is told of each request of the API. It gives the request back with its own context, and is told how it ended: the
	// status, 0 for a connection that was ended, and the answer's header. Nil means none.
	Trace func(*http.Request) (traced *http.Request, end func(status int, header http.Header))

	BodyLimit     int64         // bytes of a request body; 4 MiB
	BodyBudget    int64         // bytes of all bodies over 64 KiB that are open at the same time; 64 MiB
	HeaderTimeout time.Duration // for a request's header; 10 s
	BodyTimeout   time.Duration // for its body; 30 s
	WriteTimeout  time.Duration // for one write: a client that takes nothing for so long is gone; 30 s
	IdleTimeout   time.Duration // of a connection between requests; 2 min
	Limits        api.Limits
}

func (c Config) withDefaults() Config {
	c.BodyLimit = api.OrElse(c.BodyLimit, 4<<20)
	c.BodyBudget = api.OrElse(c.BodyBudget, 64<<20)
	c.HeaderTimeout = api.OrElse(c.HeaderTimeout, 10*time.Second)
	c.BodyTimeout = api.OrElse(c.BodyTimeout, 30*time.Second)
	c.WriteTimeout = api.OrElse(c.WriteTimeout, 30*time.Second)
	c.IdleTimeout = api.OrElse(c.IdleTimeout, 2*time.Minute)
	c.Version = cmp.Or(c.Version, "devel")
	c.Limits = c.Limits.WithDefaults()
	if c.Alive == nil {
		c.Alive = func() error { return nil }
	}
	if c.Trace == nil {
		c.Trace = func(r *http.Request) (*http.Request, func(int, http.Header)) { return r, func(int, http.Header) {} }
	}
	return c
}
