package config

import (
	"crypto/tls"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"nuthatch/internal/invariant"
)

// A TLS is how a pool speaks TLS with its clients.
type TLS struct {
	// Listen is where clients connect with TLS. If it is the zero Address, that is where the
	// pool listens, and otherwise clients without TLS connect there.
	Listen Address
	// AllowFrom, DenyFrom and ProxyProtocolFrom are the pool's lists at Listen; empty: as
	// elsewhere.
	AllowFrom, DenyFrom, ProxyProtocolFrom NetworkList
	// CertFiles are those of the first certificate; the zero value: there is no TLS.
	CertFiles
	// Certs are those of further certificates, for clients that ask for another name, or
	// cannot use the first one.
	Certs []CertFiles
	// ClientCA is the file, or the folder, of the certificates that those of clients must
	// be signed by; ClientCert is who must have one.
	ClientCA   string
	ClientCert ClientCert
	// UserFrom is where a client's certificate names the user that it logs in.
	UserFrom   UserFrom
	MinVersion TLSVersion
	// NameList are the names (SNI) by which clients get to the pool at other pools'
	// ports; empty: none.
	NameList string
	// CipherNames are the names of the cipher suites of TLS 1.2, empty for Go's choice.
	CipherNames string
}

// CertFiles are the files of a certificate.
type CertFiles struct {
	// Cert has the certificate with its chain, Key its key, and KeyPasswordFile the key's
	// password; empty if it has none, or if the environment variable KeyPasswordEnv has it.
	Cert, Key, KeyPasswordFile, KeyPasswordEnv string
}

// HasPassword reports whether it is said where the key's password is.
func (c *CertFiles) HasPassword() bool { return c.KeyPasswordFile != "" || c.KeyPasswordEnv != "" }

// twoPasswords reports whether it is said twice.
func (c *CertFiles) twoPasswords() bool { return c.KeyPasswordFile != "" && c.KeyPasswordEnv != "" }

// passwordKey is the key by which it is said.
func (c *CertFiles) passwordKey() string {
	if c.KeyPasswordFile != "" {
		return "key_password_file"
	}
	return "key_password_env"
}

// passwordGiven is why the second one is a fault.
const passwordGiven = "the password is given already: keep one of 'key_password_file' and 'key_password_env'"

// Pairs are the files of all certificates.
func (t *TLS) Pairs() []CertFiles { return append([]CertFiles{t.CertFiles}, t.Certs...) }

// On reports whether the pool speaks TLS with its clients.
func (t *TLS) On() bool { return t.Cert != "" }

// ServerNames are the names (SNI) by which clients get to the pool at other pools'
// ports, in lower case.
func (t *TLS) ServerNames() []string { return splitNames(strings.ToLower(t.NameList)) }

// splitNames splits at commas and spaces.
func splitNames(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// Ciphers are the numbers of the cipher suites, nil for Go's choice.
func (t *TLS) Ciphers() []uint16 {
	if t.CipherNames == "" {
		return nil
	}
	all, err := parseCipherNames(t.CipherNames)
	invariant.Check(err == nil, "config: a cipher suite that was never checked")
	return all
}

// ClientCert is whether clients have certificates.
type ClientCert uint8

const (
	// ClientCertNone means that none is asked for.
	ClientCertNone ClientCert = iota
	// ClientCertOptional means that one that is given must be signed as it should.
	ClientCertOptional
	// ClientCertRequired means that every client must have one.
	ClientCertRequired
)

var clientCertNames = []string{ClientCertNone: "none", ClientCertOptional: "optional", ClientCertRequired: "required"}

// UserFrom is where a client's certificate names its user.
type UserFrom uint8

const (
	// UserFromNone means that a certificate is no login.
	UserFromNone UserFrom = iota
	// UserFromCN means the common name of its subject.
	UserFromCN
	// UserFromSAN means its alternative names.
	UserFromSAN
)

var userFromNames = []string{UserFromNone: "none", UserFromCN: "cn", UserFromSAN: "san"}

// TLSVersion is a version of TLS.
type TLSVersion uint8

const (
	// TLS12 is TLS 1.2.
	TLS12 TLSVersion = iota
	// TLS13 is TLS 1.3.
	TLS13
)

var tlsVersionNames = []string{TLS12: "TLSv1.2", TLS13: "TLSv1.3"}

// Number is TLS's own number of the version.
func (v TLSVersion) Number() uint16 {
	return [...]uint16{TLS12: tls.VersionTLS12, TLS13: tls.VersionTLS13}[v]
}

// A ServerTLS is how a pool speaks TLS with its servers.
type ServerTLS struct {
	// CA is the file, or the folder, of the certificates that those of servers must be
	// signed by, or SystemCA.
	CA string
	// CertFiles are those of the proxy's certificate, for servers that ask for one.
	CertFiles
	// ServerName is the name that the servers' certificates must have; empty: that of the
	// server line.
	ServerName string
	Verify     Verify
}

// SystemCA stands for the certificates that the system trusts.
const SystemCA = "system"

// On reports whether the pool speaks TLS with its servers.
func (t *ServerTLS) On() bool { return t.CA != "" || t.Verify == VerifyNone }

// Verify is whether the certificates of servers are looked at.
type Verify uint8

const (
	// VerifyRequired means that they must be signed, and have the right name.
	VerifyRequired Verify = iota
	// VerifyNone means that anybody may pose as the server.
	VerifyNone
)

var verifyNames = []string{VerifyRequired: "required", VerifyNone: "none"}

var (
	kindClientCert = oneOf("client_cert", clientCertNames)
	kindUserFrom   = oneOf("user_from", userFromNames)
	kindTLSVersion = oneOf("min_version", tlsVersionNames)
	kindVerify     = oneOf("verify", verifyNames)
	kindCiphers    = kind{form: "names of cipher suites", text: true, many: true, parse: parseCiphers, schema: manyOf(`TLS_ECDHE_[A-Z0-9_]+`)}
	kindCA         = kind{form: "path, or `system`", text: true, parse: parseCA, schema: textOf(`/.*|system`)}
	kindNames      = kind{form: "names of hosts", text: true, many: true, parse: parseNames, schema: manyOf(`(\*\.)?` + hostPattern)}
	kindHostName   = kind{form: "name of a host", text: true, parse: parseSecret, schema: secretSchema}
	kindUserName   = kind{form: "name of a user", text: true, parse: parseSecret, schema: secretSchema}
)

// hostPattern matches the name of a host, with its domain.
const hostPattern = `([A-Za-z0-9][A-Za-z0-9-]*\.)+[A-Za-z][A-Za-z0-9-]*`

var namesOfHosts = regexp.MustCompile(`^(\*\.)?` + hostPattern + `$`)

// parseNames reads names of hosts, separated by commas or spaces. The first label of a
// name may be a star.
func parseNames(_ limits, text string) (value, error) {
	names := splitNames(text)
	for _, name := range names {
		if !namesOfHosts.MatchString(name) {
			return value{}, errors.New("expected names of hosts, such as cache.example or *.cache.example, found " + quote(name))
		}
	}
	if len(names) == 0 {
		return value{}, errors.New("expected names of hosts, found " + quote(text))
	}
	return value{text: text}, nil
}

func parseCiphers(_ limits, text string) (value, error) {
	_, err := parseCipherNames(text)
	return value{text: text}, err
}

// parseCipherNames reads names with commas or spaces between.
func parseCipherNames(text string) (all []uint16, err error) {
	var names []string
	for _, c := range tls.CipherSuites() {
		if slices.Contains(c.SupportedVersions, tls.VersionTLS12) {
			names = append(names, c.Name)
		}
	}
	for _, name := range splitNames(text) {
		at := slices.IndexFunc(tls.CipherSuites(), func(c *tls.CipherSuite) bool { return c.Name == name })
		switch {
		case at < 0:
			return nil, unknownName("cipher suite", name, names)
		case !slices.Contains(names, name):
			return nil, errors.New(quote(name) + " is a suite of TLS 1.3, which cannot be chosen; name suites of TLS 1.2")
		}
		all = append(all, tls.CipherSuites()[at].ID)
	}
	if len(all) == 0 {
		return nil, errors.New("expected names of cipher suites, found " + quote(text))
	}
	return all, nil
}

func parseCA(r limits, text string) (value, error) {
	if text == SystemCA {
		return value{text: text}, nil
	}
	return parsePath(r, text)
}

// moreCertKeys are the keys of an entry of "tls.certs".
var moreCertKeys = []key[CertFiles]{
	{
		name: "cert", kind: kindPath, required: true, origin: fromNuthatch,
		help: "The file with the certificate and its chain.",
		set:  func(c *CertFiles, v value) { c.Cert = v.text },
	},
	{
		name: "key", kind: kindPath, required: true, origin: fromNuthatch,
		help: "The file with its key.",
		set:  func(c *CertFiles, v value) { c.Key = v.text },
	},
	{
		name: "key_password_file", kind: kindSecretPath, defNote: "none", origin: fromNuthatch,
		help: "The file with the key's password.",
		set:  func(c *CertFiles, v value) { c.KeyPasswordFile = v.text },
	},
	{
		name: "key_password_env", kind: kindVariable, defNote: "none", origin: fromNuthatch,
		help: "The name of an environment variable with the password of `key`, in place of `key_password_file`. It is read at the start.",
		set:  func(c *CertFiles, v value) { c.KeyPasswordEnv = v.text },
	},
}

// clientTLSKeys are the keys of a pool's block "tls".
var clientTLSKeys = []key[TLS]{
	{
		name: "listen", kind: kindListen, defNote: "that of the pool", origin: fromNuthatch,
		help: "Where clients connect with TLS, written as the pool's `listen`. If it is set, clients without TLS connect at " +
			"the pool's `listen`, so that clients can change to TLS one by one. If not, all clients connect at `listen`, " +
			"with TLS.",
		set: func(t *TLS, v value) { t.Listen = v.address },
	},
	{
		name: "allow_from", kind: kindNetworks, defNote: "that of the pool", origin: fromNuthatch,
		help: "The addresses that clients may come from at `tls.listen`, in place of the pool's `allow_from`. It holds for clients that " +
			"come from another pool's port by `server_names`, too. `[0.0.0.0/0, \"::/0\"]` lets everybody in. Only with `tls.listen`.",
		set: func(t *TLS, v value) { t.AllowFrom = NetworkList(v.text) },
	},
	{
		name: "deny_from", kind: kindOtherNetworks, defNote: "that of the pool", origin: fromNuthatch,
		help: "Addresses that clients may not come from at `tls.listen`, in place of the pool's `deny_from`. `none`: there are none. Only with `tls.listen`.",
		set:  func(t *TLS, v value) { t.DenyFrom = NetworkList(v.text) },
	},
	{
		name: "proxy_protocol_from", kind: kindOtherPeers, defNote: "that of the pool", origin: fromNuthatch,
		help: "The load balancers in front of `tls.listen`, in place of the pool's `proxy_protocol_from`. `none`: there are none. Only with `tls.listen`.",
		set:  func(t *TLS, v value) { t.ProxyProtocolFrom = NetworkList(v.text) },
	},
	{
		name: "cert", kind: kindPath, defNote: "none: clients connect without TLS", origin: fromNuthatch,
		help: "The file with the proxy's certificate and its chain, in PEM form. With it the pool's clients connect with TLS. The " +
			"file is read again when it changes, and at each reload. A pair that cannot be used leaves the one before in use, and the " +
			"log, an event and a finding say so; without one before, a start or a reload is refused. A start with a pair that has " +
			"expired, or is not valid yet, goes on, with a finding.",
		set: func(t *TLS, v value) { t.Cert = v.text },
	},
	{
		name: "key", kind: kindPath, defNote: "none", origin: fromNuthatch,
		help: "The file with the certificate's key, in PEM form. Only the user that the proxy runs as should be able to read it.",
		set:  func(t *TLS, v value) { t.Key = v.text },
	},
	{
		name: "key_password_file", kind: kindSecretPath, defNote: "none", origin: fromNuthatch,
		help: "The file with the password of `key`, if `key` is encrypted. The key must be in the form of PKCS #8 (`BEGIN " +
			"ENCRYPTED PRIVATE KEY`). White space around the password is ignored.",
		set: func(t *TLS, v value) { t.KeyPasswordFile = v.text },
	},
	{
		name: "key_password_env", kind: kindVariable, defNote: "none", origin: fromNuthatch,
		help: "The name of an environment variable with the password of `key`, in place of `key_password_file`. It is read at the start.",
		set:  func(t *TLS, v value) { t.KeyPasswordEnv = v.text },
	},
	{
		name: "certs", limits: limits{1, 256}, origin: fromNuthatch,
		help: "Further certificates. A client gets the first one, beginning with `cert`, that has the name it asks " +
			"for (SNI) and a key of a kind that it can use. If there is none, it gets `cert`.",
		blocks: listOf(func(t *TLS) *[]CertFiles { return &t.Certs }, moreCertKeys),
	},
	{
		name: "client_ca", kind: kindPath, defNote: "none", origin: fromNuthatch,
		help: "A file with the certificates, in PEM form, that sign those of clients, or a folder of such files. Each must be whole. Only with `client_cert`.",
		set:  func(t *TLS, v value) { t.ClientCA = v.text },
	},
	{
		name: "client_cert", kind: kindClientCert, def: "none", origin: fromNuthatch,
		help: "Whether clients need a certificate that `client_ca` signed. `none`: they are not asked for one. " +
			"`optional`: if a client sends one, it must be valid. `required`: a client without one is refused. A " +
			"certificate is no login without `user_from`: `redis_auth` is still needed.",
		set: func(t *TLS, v value) { t.ClientCert = ClientCert(v.number) },
	},
	{
		name: "user_from", kind: kindUserFrom, def: "none", origin: fromNuthatch,
		help: "Whether a client's certificate logs it in, as one of the pool's users (`acl_file`, `users`), without a password. `none`: " +
			"it does not. `cn`: the user is the common name of the certificate's subject. `san`: the user is the first of its " +
			"alternative names (names of hosts, then addresses of mail, then URIs) that is a user. If there is no such user, or it is " +
			"`off`, or the name has control characters, the client has to log in. The client can still log in as another user. " +
			"Only with `client_cert`.",
		set: func(t *TLS, v value) { t.UserFrom = UserFrom(v.number) },
	},
	{
		name: "server_names", kind: kindNames, defNote: "none", origin: fromNuthatch,
		help: "Names by which clients get to this pool at any port with TLS of the other pools: a client that asks for one of them " +
			"(SNI) is shown this pool's certificates, and is this pool's client from then on. With commas between, or a YAML list; " +
			"`*.cache.example` stands for any one label in front. A name belongs to one pool.",
		set: func(t *TLS, v value) { t.NameList = v.text },
	},
	{
		name: "min_version", kind: kindTLSVersion, def: "TLSv1.2", origin: fromNuthatch,
		help: "The oldest version that a client may speak.",
		set:  func(t *TLS, v value) { t.MinVersion = TLSVersion(v.number) },
	},
	{
		name: "ciphers", kind: kindCiphers, defNote: "Go's choice", origin: fromNuthatch,
		help: "The cipher suites for TLS 1.2, with commas between, or a YAML list, such as " +
			"`TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`. The suites of TLS 1.3, and the order, cannot be chosen.",
		set: func(t *TLS, v value) { t.CipherNames = v.text },
	},
}

// adminTLSKeys are the keys of the block "admin_tls" of the process.
var adminTLSKeys = []key[TLS]{
	{
		name: "cert", kind: kindPath, defNote: "none: the admin listener speaks HTTP", origin: fromNuthatch,
		help: "The file with the admin listener's certificate and its chain. The listener then speaks HTTPS on " +
			"TCP. A unix socket needs no certificate. It is read again when it changes, and at each reload.",
		set: func(t *TLS, v value) { t.Cert = v.text },
	},
	{
		name: "key", kind: kindPath, defNote: "none", origin: fromNuthatch,
		help: "The file with the certificate's key.",
		set:  func(t *TLS, v value) { t.Key = v.text },
	},
	{
		name: "key_password_file", kind: kindSecretPath, defNote: "none", origin: fromNuthatch,
		help: "The file with the password of `key`, as in `tls`.",
		set:  func(t *TLS, v value) { t.KeyPasswordFile = v.text },
	},
	{
		name: "key_password_env", kind: kindVariable, defNote: "none", origin: fromNuthatch,
		help: "The name of an environment variable with the password of `key`, in place of `key_password_file`. It is read at the start.",
		set:  func(t *TLS, v value) { t.KeyPasswordEnv = v.text },
	},
	{
		name: "client_ca", kind: kindPath, defNote: "none", origin: fromNuthatch,
		help: "A file with the certificates that sign those of clients, or a folder of such files.",
		set:  func(t *TLS, v value) { t.ClientCA = v.text },
	},
	{
		name: "client_cert", kind: kindClientCert, def: "none", origin: fromNuthatch,
		help: "Whether clients need a certificate, as in `tls`. If they do, a scrape and a request for `/healthz` " +
			"need one too. A certificate does not replace a token.",
		set: func(t *TLS, v value) { t.ClientCert = ClientCert(v.number) },
	},
	{
		name: "min_version", kind: kindTLSVersion, def: "TLSv1.2", origin: fromNuthatch,
		help: "The oldest version of TLS that a client may speak.",
		set:  func(t *TLS, v value) { t.MinVersion = TLSVersion(v.number) },
	},
}

// serverTLSKeys are the keys of a pool's block "server_tls".
var serverTLSKeys = []key[ServerTLS]{
	{
		name: "ca", kind: kindCA, defNote: "none: servers are connected to without TLS", origin: fromNuthatch,
		help: "A file with the certificates, in PEM form, that sign those of the servers, or a folder of such files; `system`: those " +
			"that the system trusts. With it the pool connects to its servers with TLS, health checks included. The file is read " +
			"again when it changes, and at each reload.",
		set: func(t *ServerTLS, v value) { t.CA = v.text },
	},
	{
		name: "cert", kind: kindPath, defNote: "none", origin: fromNuthatch,
		help: "The file with the proxy's own certificate, for servers that ask for one.",
		set:  func(t *ServerTLS, v value) { t.Cert = v.text },
	},
	{
		name: "key", kind: kindPath, defNote: "none", origin: fromNuthatch,
		help: "The file with the key of `cert`.",
		set:  func(t *ServerTLS, v value) { t.Key = v.text },
	},
	{
		name: "key_password_file", kind: kindSecretPath, defNote: "none", origin: fromNuthatch,
		help: "The file with the password of `key`, as in `tls`.",
		set:  func(t *ServerTLS, v value) { t.KeyPasswordFile = v.text },
	},
	{
		name: "key_password_env", kind: kindVariable, defNote: "none", origin: fromNuthatch,
		help: "The name of an environment variable with the password of `key`, in place of `key_password_file`. It is read at the start.",
		set:  func(t *ServerTLS, v value) { t.KeyPasswordEnv = v.text },
	},
	{
		name: "server_name", kind: kindHostName, defNote: "the host of the server line", origin: fromNuthatch,
		help: "The name that the servers' certificates must have. It is also sent to the servers (SNI).",
		set:  func(t *ServerTLS, v value) { t.ServerName = v.text },
	},
	{
		name: "verify", kind: kindVerify, def: "required", origin: fromNuthatch,
		help: "`required`: a server's certificate must be signed by `ca` and have the right name. `none`: any " +
			"certificate is accepted, so anybody in between can pose as the server. Every start and reload warns " +
			"about it.",
		set: func(t *ServerTLS, v value) { t.Verify = Verify(v.number) },
	},
}

// checkTLS finds parts of TLS that need others.
func (r *reader) checkTLS(b *poolBlock) {
	none := DefaultPool()
	r.checkClientTLS(&b.block, "tls", &b.pool.TLS, &none.TLS)
	if t := &b.pool.TLS; t.UserFrom != UserFromNone {
		switch {
		case t.ClientCert == ClientCertNone:
			r.faultWithin(&b.block, "tls", "user_from", "a certificate names no user without 'client_cert: required' or 'optional'")
		case !b.pool.HasUsers():
			r.faultWithin(&b.block, "tls", "user_from", "a certificate names no user in a pool without 'acl_file' or 'users'")
		}
	}
	s := &b.pool.ServerTLS
	// A block of defaults alone is as good as none: it is how settings in force are shown.
	switch {
	case *s == none.ServerTLS:
	case !s.On():
		r.faultWithin(&b.block, "server_tls", "ca", "there is no TLS without 'ca', such as 'ca: system', or 'verify: none'")
	case (s.Cert == "") != (s.Key == ""):
		r.faultWithin(&b.block, "server_tls", "cert", "a certificate needs both 'cert' and 'key'")
	case s.HasPassword() && s.Key == "":
		r.faultWithin(&b.block, "server_tls", s.passwordKey(), "a password needs a 'key' that it decrypts")
	case s.twoPasswords():
		r.faultWithin(&b.block, "server_tls", "key_password_env", passwordGiven)
	}
}

// ownListOnly is why a list of TLS means nothing.
const ownListOnly = "without 'tls.listen' the pool has one port, whose lists are the pool's own"

// checkClientTLS finds parts of a block for clients that need others. none has the defaults.
func (r *reader) checkClientTLS(b *block, name string, t, none *TLS) {
	switch {
	case reflect.DeepEqual(*t, *none), b.seen[name+".cert"].faulty, b.seen[name+".key"].faulty:
	case t.Cert == "" || t.Key == "":
		r.faultWithin(b, name, "cert", "there is no TLS without both 'cert' and 'key'")
	case t.twoPasswords():
		r.faultWithin(b, name, "key_password_env", passwordGiven)
	case slices.ContainsFunc(t.Certs, func(c CertFiles) bool { return c.twoPasswords() }):
		r.faultWithin(b, name, "certs", passwordGiven)
	case t.Listen == Address{} && t.AllowFrom != "":
		r.faultWithin(b, name, "allow_from", ownListOnly)
	case t.Listen == Address{} && t.DenyFrom != "":
		r.faultWithin(b, name, "deny_from", ownListOnly)
	case t.Listen == Address{} && t.ProxyProtocolFrom != "":
		r.faultWithin(b, name, "proxy_protocol_from", ownListOnly)
	case t.ClientCert != ClientCertNone && t.ClientCA == "":
		r.faultWithin(b, name, "client_cert", "certificates of clients need a 'client_ca' that signs them")
	case t.ClientCert == ClientCertNone && t.ClientCA != "":
		r.faultWithin(b, name, "client_ca", "clients are not asked for a certificate without 'client_cert: required' or 'optional'")
	}
}

// faultWithin records a fault of a key of a block within b, at the block if the key is not
// there.
func (r *reader) faultWithin(b *block, name, key, msg string) {
	at, given := b.seen[name+"."+key]
	if !given || at.name == nil {
		at = b.seen[name]
	}
	if at.name != nil && !b.seen[name].faulty {
		r.fault(at.name, b, name+"."+key, msg)
	}
}

// checkServerNames refuses a name that two pools have.
func (r *reader) checkServerNames() {
	first := make(map[string]*poolBlock)
	for _, b := range r.pools {
		given := b.seen["tls.server_names"]
		if len(given.read) == 0 {
			continue
		}
		for _, name := range b.pool.TLS.ServerNames() {
			if other := first[name]; other != nil {
				r.fault(given.read[0], &b.block, "tls.server_names", "the name "+quote(name)+" is taken already, by pool "+quote(other.pool.Name))
				continue
			}
			first[name] = b
		}
	}
}

// warnOfUnverified finds pools whose servers anybody may pose as.
func warnOfUnverified(r *reader, b *poolBlock) {
	if v := b.seen["server_tls.verify"]; len(v.read) > 0 && b.pool.ServerTLS.Verify == VerifyNone {
		r.warn(v.name, &b.block, "server_tls.verify", "the certificates of the servers are not checked: anybody in between can pose as a server")
	}
	if v := b.seen["sentinel_tls.verify"]; len(v.read) > 0 && b.pool.Sentinel.TLS.Verify == VerifyNone {
		r.warn(v.name, &b.block, "sentinel_tls.verify", "the certificates of the sentinels are not checked: anybody in between can send the proxy to other servers")
	}
}
