package generate

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/loopserve/loopserve/server/api"
)

// readSchedule reads how a request stands among others.
func (p *Plan) readSchedule(v *api.Values, call Call) {
	r := &p.Request
	r.Arrived, r.Priority, r.NoCache = call.Arrived, v.Int("priority"), !v.Bool("prefix_cache")
	if v.Has("timeout_ms") {
		r.Deadline = r.Arrived.Add(time.Duration(v.Int("timeout_ms")) * time.Millisecond)
	}
	r.CacheSalt = cacheSalt(call.Tenant, v.Text("cache_salt"))
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
