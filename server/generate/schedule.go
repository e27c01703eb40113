package generate

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/loopserve/loopserve/server/api"
)

const (
	mostPriority  = 1_000_000
	mostTimeoutMS = 24 * 60 * 60 * 1000
	mostSalt      = 256 // bytes
)

// readSchedule reads how a request stands among others.
func (p *Plan) readSchedule(b api.Body, call Call) error {
	r, f := &p.Request, &api.Reader{Body: b}
	r.Arrived = call.Arrived
	r.Priority = f.Integer("priority", 0, -mostPriority, mostPriority)
	timeout := f.Integer("timeout_ms", 0, 1, mostTimeoutMS)
	r.NoCache = !f.Boolean("prefix_cache", true)
	if f.Err != nil {
		return f.Err
	}
	if timeout > 0 {
		r.Deadline = r.Arrived.Add(time.Duration(timeout) * time.Millisecond)
	}
	salt, err := b.Text("cache_salt")
	switch {
	case err != nil:
		return err
	case b.Has("cache_salt") && salt == "":
		return api.Bad("cache_salt", api.CodeValue, "cache_salt is empty: give at least one character, or leave it out")
	case len(salt) > mostSalt:
		return api.Bad("cache_salt", api.CodeValue, "cache_salt has %d bytes: at most %d are allowed", len(salt), mostSalt)
	}
	r.CacheSalt = cacheSalt(call.Tenant, salt)
	return nil
}

// cacheSalt keeps the prefix caches of API keys apart: what another key's request left behind would show in the time
// to the first token. The digest's length is fixed, so no pair of tenant and salt is another pair.
func cacheSalt(tenant, salt string) string {
	if tenant == "" && salt == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(tenant + salt))
	return hex.EncodeToString(sum[:])
}
