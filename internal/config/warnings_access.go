package config

import (
	"slices"
	"strconv"
	"strings"
)

// Warnings about keys of TLS, logins, users and limits that do nothing as they are.

// idleAccess are such keys of a pool.
var idleAccess = []struct {
	key, why string
	does     func(*poolBlock) bool
}{
	{"tls.ciphers", "it does nothing with 'min_version: TLSv1.3': only the cipher suites of TLS 1.2 can be chosen", func(b *poolBlock) bool { return b.pool.TLS.MinVersion < TLS13 }},
	{"max_server_users", "it does nothing without 'auth_mode: passthrough'", func(b *poolBlock) bool { return b.pool.Passes() }},
	{"proxy_protocol_timeout", "it does nothing without 'proxy_protocol_from'", func(b *poolBlock) bool { return b.has("proxy_protocol_from") || b.has("tls.proxy_protocol_from") }},
	{"client_login_timeout", "it does nothing with 'auth_mode: passthrough': the servers know who needs a login", func(b *poolBlock) bool { return !b.pool.Passes() }},
	{"client_login_timeout", "it does nothing without 'redis_auth', 'acl_file' or 'users': no client needs a login", (*poolBlock).asksForLogin},
	{"limits.max_wait", "it does nothing without a limit beside it", func(b *poolBlock) bool { return b.pool.Limits.On() }},
	{"user_limits", "it does nothing without 'redis: true': Memcached pools have no users", func(b *poolBlock) bool { return b.pool.Protocol == Redis }},
}

// bursts are keys of limits, each with the one that it needs.
var bursts = [][2]string{{"request_burst", "requests_per_second"}, {"byte_burst", "bytes_per_second"}}

// has reports whether the block has a key.
func (b *block) has(key string) bool { return b.seen[key].name != nil }

// asksForLogin reports whether some clients of the pool need a login. It knows the names of secrets
// that have not been read.
func (b *poolBlock) asksForLogin() bool {
	return slices.ContainsFunc([]string{"redis_auth", "redis_auth_file", "redis_auth_env", "acl_file", "users", "auth_mode"}, b.has)
}

// warnOfIdleAccess finds keys of a pool that do nothing, and limits of users that there are not.
func warnOfIdleAccess(r *reader, b *poolBlock) {
	for _, k := range idleAccess {
		if at := b.seen[k.key]; at.name != nil && !at.faulty && !k.does(b) {
			r.warn(at.name, &b.block, k.key, k.why)
		}
	}
	warnOfBursts(r, &b.block, "limits.")
	p := &b.pool
	for i := range p.UserLimits {
		if u := &p.UserLimits[i]; p.Protocol == Redis && u.Databases.reaches(p.Databases) {
			r.warn(b.seen["user_limits"].name, &b.block, "user_limits."+u.Name+".databases", "the pool does not have all of them: its 'databases' is "+strconv.Itoa(p.Databases))
		}
	}
	if p.Passes() || p.ACLFile != "" || p.Protocol != Redis { // those of the file are looked for when it is read
		return
	}
	for i := range p.UserLimits {
		if name := p.UserLimits[i].Name; !p.hasUser(name) {
			r.warn(b.seen["user_limits"].name, &b.block, "user_limits."+name, UnknownUser)
		}
	}
}

// UnknownUser is why limits of a user do nothing.
const UnknownUser = "it does nothing: the pool has no user of that name"

// hasUser reports whether the configuration itself makes a user of that name.
func (p *Pool) hasUser(name string) bool {
	return name == "default" || slices.ContainsFunc(p.Users, func(u User) bool { return u.Name == name })
}

// warnOfIdleBursts finds them in the limits of users.
func warnOfIdleBursts(r *reader, b *block) {
	if strings.HasPrefix(b.prefix, "user_limits.") {
		warnOfBursts(r, b, "")
	}
}

func warnOfBursts(r *reader, b *block, prefix string) {
	for _, k := range bursts {
		if at := b.seen[prefix+k[0]]; at.name != nil && !at.faulty && !b.has(prefix+k[1]) {
			r.warn(at.name, b, prefix+k[0], "it does nothing without '"+k[1]+"'")
		}
	}
}

// idleTLS are keys of the process that do nothing without TLS in some pool: with clients, or also
// with servers.
var idleTLS = []struct {
	key     string
	servers bool
}{{"tls_handshakes", false}, {"tls_ticket_keys_file", false}, {"tls_handshake_timeout", true}}

// warnOfIdleTLS finds them.
func warnOfIdleTLS(r *reader, b *block) {
	if b.prefix != processBlock+"." {
		return
	}
	for _, k := range idleTLS {
		at := b.seen[k.key]
		isUsed := func(p *poolBlock) bool {
			return p.has("tls") || k.servers && (p.has("server_tls") || p.has("sentinel_tls"))
		}
		if at.name == nil || at.faulty || b.has("admin_tls") || slices.ContainsFunc(r.pools, isUsed) {
			continue
		}
		if k.servers {
			r.warn(at.name, b, k.key, "it does nothing without a pool with 'tls' or 'server_tls'")
			continue
		}
		r.warn(at.name, b, k.key, "it does nothing without a pool with 'tls'")
	}
}

// idleProcess are keys of the process that do nothing because of the value of another one.
var idleProcess = []struct {
	key, beside string
	is          func(*Process) bool
}{
	{"slowlog_slower_than", "slowlog_max_len: 0", func(p *Process) bool { return p.SlowlogMaxLen == 0 }},
	{"slowlog_keys", "slowlog_max_len: 0", func(p *Process) bool { return p.SlowlogMaxLen == 0 }},
	{"admin_pprof", "admin: off", func(p *Process) bool { return p.Admin == (Address{}) }},
	{"admin_insecure", "admin: off", func(p *Process) bool { return p.Admin == (Address{}) }},
	{"admin_tls", "admin: off", func(p *Process) bool { return p.Admin == (Address{}) }},
}

// warnOfIdleProcess finds them.
func warnOfIdleProcess(r *reader, b *block) {
	if b.prefix != processBlock+"." {
		return
	}
	for _, k := range idleProcess {
		if at := b.seen[k.key]; at.name != nil && !at.faulty && k.is(r.process) {
			r.warn(at.name, b, k.key, "it does nothing with "+quote(k.beside))
		}
	}
}
