package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	linkedETag = "X-Linked-Etag" // of a file that lies elsewhere: its sha256
	linkedSize = "X-Linked-Size"
)

// refusal is an answer that says no.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// passing says whether an error may be gone at the next try: the network's, or that of a busy hub.
func passing(err error) bool {
	var no *refusal
	if errors.As(err, &no) {
		return no.status == http.StatusRequestTimeout || no.status == http.StatusTooManyRequests || no.status >= 500
	}
	var disk *fs.PathError
	return err != nil && !errors.As(err, &disk) && !errors.Is(err, errWrong)
}

// withToken adds the token to what goes to the endpoint itself, and to nothing else: not to where a redirect leads.
type withToken struct {
	hub  *Hub
	next http.RoundTripper
}

func (t withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	if home, err := url.Parse(t.hub.Endpoint); err == nil && t.hub.Token != "" && r.URL.Scheme == home.Scheme && r.URL.Host == home.Host {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+t.hub.Token)
	}
	return t.next.RoundTrip(r)
}

func (h *Hub) client() *http.Client {
	if h.Client == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.ResponseHeaderTimeout = h.Patience
		h.Client = &http.Client{Transport: withToken{h, transport}}
	}
	return h.Client
}

// do asks for a path of the endpoint. Where a redirect already says which file it leads to, a HEAD ends there.
func (h *Hub) do(ctx context.Context, method string, ref Ref, path string, from int64) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, h.Endpoint+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept-Encoding", "identity") // sizes and ranges are those of the file
	r.Header.Set("User-Agent", "loopserve")
	if from > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	client := *h.client()
	client.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if method == http.MethodHead && next.Response.Header.Get(linkedETag) != "" {
			return http.ErrUseLastResponse
		}
		if len(via) >= 10 {
			return errors.New("ten redirects")
		}
		return nil
	}
	resp, err := client.Do(r)
	if err != nil {
		if in := (*url.Error)(nil); errors.As(err, &in) {
			in.URL, _, _ = strings.Cut(in.URL, "?") // with which anybody may fetch from a CDN
		}
		return nil, err
	}
	if resp.StatusCode < 400 || resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, h.refused(resp, ref)
}

// shown is the endpoint without a user and a password.
func (h *Hub) shown() string {
	u, err := url.Parse(h.Endpoint)
	if err != nil || u.User == nil {
		return h.Endpoint
	}
	u.User = nil
	return u.String()
}

// refused says what an answer means and what to do about it.
func (h *Hub) refused(resp *http.Response, ref Ref) error {
	code, said := resp.Header.Get("X-Error-Code"), resp.Header.Get("X-Error-Message")
	page := h.shown() + "/" + ref.Repo
	no := func(format string, args ...any) error {
		return &refusal{resp.StatusCode, fmt.Sprintf("%s: %s", ref, fmt.Sprintf(format, args...))}
	}
	switch status := resp.StatusCode; {
	case code == "RevisionNotFound":
		return no("the repository has no revision %q: %s/tree/main lists them", ref.Revision, page)
	case code == "EntryNotFound":
		return no("there is no such file: %s/tree/%s lists them", page, ref.Revision)
	case strings.HasPrefix(said, "Invalid credentials"):
		return no("the token is not valid: set HF_TOKEN to one of %s/settings/tokens, or unset it", h.shown())
	case code == "GatedRepo" || status == http.StatusForbidden:
		return no("access is restricted (HTTP %d): accept the licence at %s, and set HF_TOKEN to a token of that account", status, page)
	case status == http.StatusUnauthorized:
		return no("%s does not exist, or is private or gated (HTTP 401): if it exists, accept its licence there if it asks for that, and set HF_TOKEN", page)
	case status == http.StatusNotFound:
		return no("%s does not exist (HTTP 404), or the token has no access to it", page)
	case said != "":
		return no("the hub answers HTTP %d: %s", status, said)
	default:
		return no("the hub answers HTTP %d", status)
	}
}

// again calls f until it succeeds, fails for good, or has failed five times in a row without getting any further.
func (h *Hub) again(ctx context.Context, what string, f func() (further bool, err error)) error {
	for try := 0; ; try++ {
		further, err := f()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if further {
			try = 0
		}
		if !passing(err) || try == 4 {
			return err
		}
		h.say("%s: %v: trying again", what, err)
		select {
		case <-time.After(h.Patience / 30 << try):
		case <-ctx.Done():
		}
	}
}
