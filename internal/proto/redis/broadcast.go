package redis

import (
	"nuthatch/internal/msg"
)

// keysOff is why KEYS is refused.
const keysOff = "the pool's allow_keys is off; use SCAN"

// A broadcaster looks at requests that go to every server.
type broadcaster struct {
	// Static after construction.
	allowKeys bool
	loading   *loading // the protocol's
	admission *admission
}

// Prepare implements proxy.Preparer: it looks at a request that is to go to every
// server. It refuses what the pool does not allow, remembers scripts, and sends what ends
// a script past it.
func (b *broadcaster) Prepare(req *msg.Request, s *msg.Session) (ok bool) {
	cmd := &commands[req.Type]
	req.Everyone, req.Flushes = false, cmd.flushes
	switch {
	case cmd.admin:
		req.Error, req.Everyone = b.admission.administer(req, cmd, s), true
	case cmd.name == "keys" && !b.allowKeys:
		req.Error = keysOff
	case cmd.merge == mergeLoad:
		b.loading.note(req)
	case cmd.merge == mergeOneOK: // it ends what a server is doing
		req.Aside = true
	case cmd.name == "script|flush":
		b.loading.flush()
	}
	return req.Error == ""
}
