package config

// AuthMode is who decides whether a client may log in, and what it may do.
type AuthMode uint8

const (
	// AuthProxy means that nuthatch does, by its own users or password. The servers know
	// nuthatch alone.
	AuthProxy AuthMode = iota
	// AuthPassthrough means that the servers do: clients are their users.
	AuthPassthrough
)

var authModeNames = []string{AuthProxy: "proxy", AuthPassthrough: "passthrough"}

// Passes reports whether the servers decide who may log in.
func (p *Pool) Passes() bool { return p.AuthMode == AuthPassthrough }

// checkAuthMode finds users and passwords of the pool's own where the servers decide.
func (r *reader) checkAuthMode(b *poolBlock) {
	mode := b.seen["auth_mode"]
	if mode.name == nil || !b.pool.Passes() {
		return
	}
	if b.pool.Protocol != Redis && !b.seen["redis"].faulty {
		r.fault(mode.name, &b.block, "auth_mode", "only valid in a pool with 'redis: true'")
	}
	for _, key := range []string{
		"redis_auth", "redis_auth_file", "redis_auth_env", "redis_auth_previous", "redis_auth_previous_file", "redis_auth_previous_env",
		"acl_file", "users",
	} {
		if own := b.seen[key]; own.name != nil {
			r.fault(own.name, &b.block, key, "with 'auth_mode: passthrough' the servers decide who may log in: the pool has no users and no password of its own")
		}
	}
}
