package server

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
)

// schedule is how a request stands among others.
type schedule struct {
	Priority int
	Timeout  time.Duration // 0: none
	Salt     string        // the body's
	NoCache  bool
}

const (
	mostPriority  = 1_000_000
	mostTimeoutMS = 24 * 60 * 60 * 1000
	mostSalt      = 256 // bytes
)

func readSchedule(b api.Body) (s schedule, err error) {
	r := &api.Reader{Body: b}
	s.Priority = r.Integer("priority", 0, -mostPriority, mostPriority)
	s.Timeout = time.Duration(r.Integer("timeout_ms", 0, 1, mostTimeoutMS)) * time.Millisecond
	s.NoCache = !r.Boolean("prefix_cache", true)
	if r.Err != nil {
		return s, r.Err
	}
	if s.Salt, err = b.Text("cache_salt"); err != nil {
		return s, err
	}
	switch {
	case b.Has("cache_salt") && s.Salt == "":
		return s, api.Bad("cache_salt", api.CodeValue, "cache_salt is empty: give at least one character, or leave it out")
	case len(s.Salt) > mostSalt:
		return s, api.Bad("cache_salt", api.CodeValue, "cache_salt has %d bytes: at most %d are allowed", len(s.Salt), mostSalt)
	}
	return s, nil
}

// apply puts the schedule on a request. key is the digest of the API key, empty where none is asked for.
func (s *schedule) apply(r *loopctl.Request, key string) {
	r.Priority, r.NoCache = s.Priority, s.NoCache
	r.CacheSalt = cacheSalt(key, s.Salt)
	if s.Timeout > 0 {
		r.Deadline = r.Arrived.Add(s.Timeout)
	}
}

// cacheSalt keeps the prefix caches of API keys apart: what another key's request left behind would show in the time
// to the first token. The digest's length is fixed, so no pair of key and salt is another pair.
func cacheSalt(key, salt string) string {
	if key == "" && salt == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(key + salt))
	return hex.EncodeToString(sum[:])
}

// tenant is what separates the prefix caches of API keys.
func (s *Server) tenant(c *gin.Context) string {
	if s.cfg.SharePrefixes {
		return ""
	}
	return c.GetString(keyTenant)
}
