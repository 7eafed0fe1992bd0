package config

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// A Sentinel is who knows where a pool's primaries are.
type Sentinel struct {
	// Addresses are where the sentinels listen; none: the pool uses none.
	Addresses []Address
	// User and Password are what the sentinels are told; no Password: nothing.
	User         string
	Password     Secret
	PasswordFrom SecretSource
	// TLS is how they are connected to.
	TLS ServerTLS
}

// Login is what the sentinels are told.
func (s *Sentinel) Login() Login { return Login{s.User, s.Password} }

// OnReadOnly is what becomes of requests at a server that takes no writes any more.
type OnReadOnly uint8

const (
	// ReadOnlyPass means that clients get the server's error.
	ReadOnlyPass OnReadOnly = iota
	// ReadOnlyResolve means that they are asked again at the new primary.
	ReadOnlyResolve
)

var readOnlyNames = []string{ReadOnlyPass: "pass", ReadOnlyResolve: "resolve"}

const (
	// sentinelScheme begins the server line of a primary that sentinels know.
	sentinelScheme = "sentinel://"
	// primaryPattern is a name that Sentinel takes for a primary.
	primaryPattern = `[A-Za-z0-9._-]+`
	// defaultSentinelPort is Sentinel's own.
	defaultSentinelPort = "26379"
	// maxSentinels is how many sentinels a pool may have.
	maxSentinels = 64
)

var primaryName = regexp.MustCompile(`^` + primaryPattern + `$`)

// kindSentinels is a list of addresses.
var kindSentinels = kind{
	form: "list of addresses", list: true, entry: "host:port or host", isSetting: true, parse: parseSentinel, schema: textOf(`[^\s/]+`),
}

func parseSentinel(_ limits, text string) (value, error) {
	if primary, is := strings.CutPrefix(text, sentinelScheme); is {
		if !primaryName.MatchString(primary) {
			primary = "primary"
		}
		return value{}, errors.New("expected host:port or host of a sentinel, found " + quote(text) +
			"; the name of a primary belongs into 'servers', as in " + quote(sentinelScheme+primary+":1"))
	}
	if isURL(text) {
		return value{}, errors.New("expected host:port or host, and no URL, found " + quoteAddress(text) +
			": 'sentinel_user' and 'sentinel_password' are the login, 'sentinel_tls' TLS")
	}
	host, port, ok := cutLast(text)
	if !ok || strings.HasSuffix(text, "]") || strings.Count(text, ":") > 1 && !strings.HasPrefix(text, "[") {
		host, port = text, defaultSentinelPort
	}
	a, err := parseHostPort(host, port)
	return value{address: a}, err
}

// parsePrimary reads "sentinel://primary".
func parsePrimary(where string) (Address, error) {
	name := strings.TrimPrefix(where, sentinelScheme)
	if !primaryName.MatchString(name) {
		return Address{}, errors.New("expected sentinel://primary:weight [name], with the name by which Sentinel knows the primary " +
			"(letters, digits, '.', '-' and '_'), found " + quote(name))
	}
	return Address{Network: NetworkSentinel, Host: name}, nil
}

// UsesSentinel reports whether sentinels say where some of the pool's servers are.
func (p *Pool) UsesSentinel() bool {
	return slices.ContainsFunc(p.Servers, func(s Server) bool { return s.Address.Network == NetworkSentinel })
}

// checkSentinel finds keys about sentinels that need others.
func (r *reader) checkSentinel(b *poolBlock) {
	given := b.seen["sentinels"]
	if len(given.read) > maxSentinels {
		r.fault(given.read[maxSentinels], &b.block, "sentinels", "a pool has at most 64 sentinels")
	}
	s := &b.pool.Sentinel
	for i, a := range s.Addresses {
		if at := slices.Index(s.Addresses[:i], a); at >= 0 && i < len(given.read) {
			r.fault(given.read[i], &b.block, "sentinels", quote(given.read[i].Value)+" is given already, on line "+lineOf(given.read[at]))
		}
	}
	lines := b.seen["servers"].read
	for i := range min(len(lines), len(b.pool.Servers)) {
		server := &b.pool.Servers[i]
		if server.Address.Network != NetworkSentinel {
			continue
		}
		switch {
		case b.pool.Protocol != Redis && !b.seen["redis"].faulty:
			r.fault(lines[i], &b.block, "servers", "only a pool with 'redis: true' has servers that Sentinel knows")
		case len(s.Addresses) == 0 && !given.faulty:
			r.fault(lines[i], &b.block, "servers", quote(lines[i].Value)+" needs 'sentinels', which say where it is")
		case b.pool.ServerTLS.On() && b.pool.ServerTLS.Verify == VerifyRequired && b.pool.ServerTLS.ServerName == "":
			r.fault(lines[i], &b.block, "servers", quote(lines[i].Value)+" has no host name that a certificate could have: set 'server_tls.server_name'")
		default:
			continue
		}
		break // one fault says it
	}
	if given.name != nil && !given.faulty && len(lines) > 0 && !b.seen["servers"].faulty && !b.pool.UsesSentinel() {
		r.fault(given.name, &b.block, "sentinels", "no server needs them: write a server that Sentinel knows as sentinel://primary:weight [name]")
	}
	none := DefaultPool()
	t := &s.TLS
	switch {
	case *t == none.Sentinel.TLS:
	case !t.On():
		r.faultWithin(&b.block, "sentinel_tls", "ca", "there is no TLS without 'ca', such as 'ca: system', or 'verify: none'")
	case (t.Cert == "") != (t.Key == ""):
		r.faultWithin(&b.block, "sentinel_tls", "cert", "a certificate needs both 'cert' and 'key'")
	case t.HasPassword() && t.Key == "":
		r.faultWithin(&b.block, "sentinel_tls", t.passwordKey(), "a password needs a 'key' that it decrypts")
	case t.twoPasswords():
		r.faultWithin(&b.block, "sentinel_tls", "key_password_env", passwordGiven)
	}
}

// sentinelKeys are the keys of a pool about servers that move.
var sentinelKeys = slices.Concat([]key[Pool]{
	{
		name: "on_readonly", kind: kindReadOnly, def: "pass", origin: fromNuthatch,
		help: "What nuthatch does when a Redis server answers `READONLY` (or Valkey's `REDIRECT`) to a write, because it is no longer the primary. In both cases " +
			"it looks the server's name up again at once, or asks Sentinel. `pass`: the client gets the error. `resolve`: requests of clients that write there " +
			"wait until the server's name has another address, and are sent there in their order. That holds within `timeout` and " +
			"`request_timeout`. After that the client gets the error `READONLY`. Nothing is sent again that may have been carried " +
			"out. To be able to do so, nuthatch keeps a copy of each request until it is answered. Ignored in Memcached pools and with `cluster: true`, where such requests go to the slot's node in any case.",
		set: func(p *Pool, v value) { p.OnReadOnly = OnReadOnly(v.number) },
	},
	{
		name: "sentinels", kind: kindSentinels, onlyWith: "redis", defNote: "none", origin: fromNuthatch,
		help: "The sentinels that know the primaries of this pool, as `host:port` or `host` (port 26379). Name all of them. Only for servers " +
			"that are written as `sentinel://primary:weight [name]`. See [SENTINEL.md](SENTINEL.md).",
		set: func(p *Pool, v value) { p.Sentinel.Addresses = append(p.Sentinel.Addresses, v.address) },
	},
	{
		name: "sentinel_user", kind: kindUserName, onlyWith: "redis", defNote: "the user `default`", origin: fromNuthatch,
		help: "The user that the proxy logs in as at the sentinels, with `sentinel_password`.",
		set:  func(p *Pool, v value) { p.Sentinel.User = v.text },
	},
	{
		name: "sentinel_password", kind: kindSecret, onlyWith: "redis", defNote: "none", origin: fromNuthatch,
		help: "The password that the proxy sends to the sentinels. It has nothing to do with the servers' own password.",
		set:  func(p *Pool, v value) { p.Sentinel.Password = Secret(v.text) },
	},
}, twins("sentinel_password", "redis", func(p *Pool) *SecretSource { return &p.Sentinel.PasswordFrom }))

// sentinelTLSKeys are the keys of a pool's block "sentinel_tls".
var sentinelTLSKeys = []key[ServerTLS]{
	{
		name: "ca", kind: kindCA, defNote: "none: sentinels are connected to without TLS", origin: fromNuthatch,
		help: "A file with the certificates that sign those of the sentinels, or a folder of such files; `system`: those " +
			"that the system trusts. With it the sentinels are connected to with TLS. The file is read again when it changes.",
		set: func(t *ServerTLS, v value) { t.CA = v.text },
	},
	{
		name: "cert", kind: kindPath, defNote: "none", origin: fromNuthatch,
		help: "The file with the proxy's own certificate, for sentinels that ask for one.",
		set:  func(t *ServerTLS, v value) { t.Cert = v.text },
	},
	{
		name: "key", kind: kindPath, defNote: "none", origin: fromNuthatch,
		help: "The file with the key of `cert`.",
		set:  func(t *ServerTLS, v value) { t.Key = v.text },
	},
	{
		name: "key_password_file", kind: kindSecretPath, defNote: "none", origin: fromNuthatch,
		help: "The file with the password of `key`.",
		set:  func(t *ServerTLS, v value) { t.KeyPasswordFile = v.text },
	},
	{
		name: "key_password_env", kind: kindVariable, defNote: "none", origin: fromNuthatch,
		help: "The name of an environment variable with the password of `key`, in place of `key_password_file`. It is read at the start.",
		set:  func(t *ServerTLS, v value) { t.KeyPasswordEnv = v.text },
	},
	{
		name: "server_name", kind: kindHostName, defNote: "the host in `sentinels`", origin: fromNuthatch,
		help: "The name that the sentinels' certificates must have.",
		set:  func(t *ServerTLS, v value) { t.ServerName = v.text },
	},
	{
		name: "verify", kind: kindVerify, def: "required", origin: fromNuthatch,
		help: "`required`: a sentinel's certificate must be signed by `ca` and have the right name. `none`: any " +
			"certificate is accepted, so anybody in between can send the proxy to other servers.",
		set: func(t *ServerTLS, v value) { t.Verify = Verify(v.number) },
	},
}
