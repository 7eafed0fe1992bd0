package tlsstage

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
)

// An End is one side of TLS in a pool: the certificates and rules for its clients, or
// those for its servers. The files are loaded when it is made, and again by Load. What
// cannot be used of them leaves in use what was read before. Its methods may be called
// from any goroutine.
type End struct {
	// make makes what the files have. What cannot be used of them is taken from before,
	// which may be nil, and refused says why. err: nothing could be taken.
	make    func(before *loaded) (l *loaded, refused, err error)
	files   []string
	loaded  atomic.Pointer[loaded]
	refused atomic.Pointer[string]
}

// loaded is what was read from the files.
type loaded struct {
	config *tls.Config
	// stamps tell whether the files have changed since then; nil: not all could be used, and
	// they are read again.
	stamps []stamp
	// until is when the first of the certificates ends, zero if there is none.
	until time.Time
	// signersUntil is when the last of the certificates that sign those of the other side ends,
	// zero if there is none, or if they are the system's.
	signersUntil time.Time
	// refused is what was wrong with them from the start; empty: nothing.
	refused string
}

// A stamp tells one state of a file from another, also behind a symbolic link.
type stamp struct {
	info os.FileInfo
	err  bool
}

// stampsOf are the stamps of files. Those of a folder are its own, and those of its files.
func stampsOf(files []string) []stamp {
	all := make([]stamp, 0, len(files))
	for _, f := range files {
		info, err := os.Stat(f)
		all = append(all, stamp{info, err != nil})
		if err != nil || !info.IsDir() {
			continue
		}
		for _, name := range filesIn(f) {
			info, err := os.Stat(name)
			all = append(all, stamp{info, err != nil})
		}
	}
	return all
}

func sameStamps(a, b []stamp) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		switch {
		case a[i].err != b[i].err:
			return false
		case a[i].err:
		case !os.SameFile(a[i].info, b[i].info) || a[i].info.Size() != b[i].info.Size() || !a[i].info.ModTime().Equal(b[i].info.ModTime()):
			return false
		}
	}
	return true
}

// Load reads the files again if they have changed. On an error it keeps what was read
// before.
func (e *End) Load() (changed bool, err error) {
	stamps, was := stampsOf(e.files), e.loaded.Load()
	if sameStamps(was.stamps, stamps) {
		e.refused.Store(&was.refused)
		return false, nil
	}
	l, untimely, err := e.make(nil)
	if err == nil {
		err = untimely // what is in use may be better
	}
	if err != nil {
		text := err.Error()
		e.refused.Store(&text)
		return false, err
	}
	e.store(l, stamps, nil)
	return true, nil
}

// loadBeside reads the files for an End that takes the place of another one, which may be nil.
func (e *End) loadBeside(before *End) error {
	var keep *loaded
	if before != nil {
		keep = before.loaded.Load()
	}
	stamps := stampsOf(e.files)
	l, refused, err := e.make(keep)
	if err != nil {
		return err
	}
	if refused != nil && (keep != nil || isEarly(refused)) {
		stamps = nil
	}
	e.store(l, stamps, refused)
	return nil
}

func (e *End) store(l *loaded, stamps []stamp, refused error) {
	l.stamps = stamps
	for i := range l.config.Certificates {
		if until := l.config.Certificates[i].Leaf.NotAfter; i == 0 || until.Before(l.until) {
			l.until = until
		}
	}
	if refused != nil {
		l.refused = refused.Error()
	}
	e.loaded.Store(l)
	e.refused.Store(&l.refused)
}

// Refused is what cannot be used of the files as they are; empty: nothing.
func (e *End) Refused() string { return *e.refused.Load() }

// Until is when the first of the certificates ends; zero: there is none.
func (e *End) Until() time.Time { return e.loaded.Load().until }

// SignersUntil is when the last of the certificates that sign those of the other side ends: from
// then on none of these is accepted. It is zero if there is none, or if they are the system's.
func (e *End) SignersUntil() time.Time { return e.loaded.Load().signersUntil }

// Config is what new connections use.
func (e *End) Config() *tls.Config { return e.loaded.Load().config }

// pairsOr are the certificates of files or, if they cannot be used, those of before, which
// may be nil. Certificates that have expired, or are not valid yet, do until there are better ones.
func pairsOr(before *loaded, pairs ...config.CertFiles) (all []tls.Certificate, refused, err error) {
	all, err = loadPairs(pairs...)
	switch {
	case err == nil:
		return all, nil, nil
	case before != nil && len(before.config.Certificates) > 0:
		return before.config.Certificates, err, nil
	}
	if _, is := errors.AsType[*untimely](err); is {
		return all, err, nil
	}
	return nil, nil, err
}

// signers are certificates that sign others.
type signers struct {
	pool *x509.CertPool
	// until is when the last of them ends.
	until time.Time
}

// signersOr are the certificates of a file or a folder or, if they cannot be used, those of
// before, whose pool may be nil. name is the key that names the file.
func signersOr(before signers, name, path string) (all signers, refused, err error) {
	if all, err = loadCA(path); err == nil {
		return all, nil, nil
	}
	err = fmt.Errorf("%s: %w", name, err)
	if before.pool == nil {
		return signers{}, nil, err
	}
	return before, err, nil
}

// ForClients makes the End for clients of a pool or of the admin listener. What cannot be
// used of its files it takes from before, the End in whose place it comes, which may be nil.
func ForClients(c *config.TLS, tickets *Tickets, before *End) (*End, error) {
	e := &End{files: append(files(c.ClientCA), pairFiles(c.Pairs()...)...)}
	e.make = func(before *loaded) (l *loaded, refused, err error) {
		conf := &tls.Config{
			MinVersion: c.MinVersion.Number(), CipherSuites: c.Ciphers(),
			ClientAuth: map[config.ClientCert]tls.ClientAuthType{
				config.ClientCertNone: tls.NoClientCert, config.ClientCertOptional: tls.VerifyClientCertIfGiven,
				config.ClientCertRequired: tls.RequireAndVerifyClientCert,
			}[c.ClientCert],
			DynamicRecordSizingDisabled: true,
		}
		if conf.Certificates, refused, err = pairsOr(before, c.Pairs()...); err != nil {
			return nil, nil, err
		}
		var by signers
		if c.ClientCA != "" {
			if before != nil {
				by = signers{before.config.ClientCAs, before.signersUntil}
			}
			var unsigned error
			if by, unsigned, err = signersOr(by, "client_ca", c.ClientCA); err != nil {
				return nil, nil, err
			}
			conf.ClientCAs = by.pool
			refused = errors.Join(refused, unsigned)
		}
		tickets.apply(conf)
		return &loaded{config: conf, signersUntil: by.until}, refused, nil
	}
	err := e.loadBeside(before)
	return e, err
}

// sessionsKept is how many sessions with servers are kept for resumption.
const sessionsKept = 256

// ForServers makes the End for the servers of a pool, with before as for ForClients.
func ForServers(c *config.ServerTLS, before *End) (*End, error) {
	e := &End{files: append(files(c.CA), pairFiles(c.CertFiles)...)}
	e.make = func(before *loaded) (l *loaded, refused, err error) {
		conf := &tls.Config{
			ServerName: c.ServerName, MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.Verify == config.VerifyNone,
			ClientSessionCache: tls.NewLRUClientSessionCache(sessionsKept), DynamicRecordSizingDisabled: true,
		}
		var by signers
		if c.CA != "" && c.CA != config.SystemCA {
			if before != nil {
				by = signers{before.config.RootCAs, before.signersUntil}
			}
			if by, refused, err = signersOr(by, "ca", c.CA); err != nil {
				return nil, nil, err
			}
			conf.RootCAs = by.pool
			if c.Verify == config.VerifyNone {
				by.until = time.Time{} // nothing is looked at
			}
		}
		if c.Cert != "" {
			var unpaired error
			if conf.Certificates, unpaired, err = pairsOr(before, c.CertFiles); err != nil {
				return nil, nil, err
			}
			refused = errors.Join(refused, unpaired)
		}
		return &loaded{config: conf, signersUntil: by.until}, refused, nil
	}
	err := e.loadBeside(before)
	return e, err
}

// ConfigFor is what a connection to the server uses. The server's certificate must have
// the name from the configuration, or else the host name of its address. A session is
// resumed only with the server that began it.
func (e *End) ConfigFor(a config.Address) *tls.Config {
	c := e.Config().Clone()
	if c.ServerName == "" {
		c.ServerName = a.Host
	}
	if c.ServerName == "" {
		c.ServerName = "localhost" // of a unix socket
	}
	c.ClientSessionCache = sessions{c.ClientSessionCache, a.String()}
	return c
}

// sessions are those with one server.
type sessions struct {
	tls.ClientSessionCache
	server string
}

func (s sessions) Get(key string) (*tls.ClientSessionState, bool) {
	return s.ClientSessionCache.Get(s.server + " " + key)
}

func (s sessions) Put(key string, state *tls.ClientSessionState) {
	s.ClientSessionCache.Put(s.server+" "+key, state)
}

// Secure is TLS over a connection to the server at that address, outside the event
// loops. A nil End leaves the connection as it is. The first read or write makes the
// handshake.
func (e *End) Secure(conn net.Conn, to config.Address) net.Conn {
	if e == nil {
		return conn
	}
	return newOutside(conn, e.ConfigFor(to))
}

// Accept is TLS over a connection that was accepted outside the event loops. A nil End
// leaves it as it is.
func (e *End) Accept(conn net.Conn) net.Conn {
	if e == nil {
		return conn
	}
	return tls.Server(conn, e.Config())
}

// files are the files that are watched for changes.
func files(names ...string) (all []string) {
	for _, n := range names {
		if n != "" && n != config.SystemCA {
			all = append(all, n)
		}
	}
	return all
}

// A Pool makes the stages of a pool's connections. A nil end has none.
type Pool struct {
	Handshakes *Handshakes
	// Clients is for the pool's clients, Servers for its servers.
	Clients, Servers *End
	// PlainReply is what a client without TLS is told.
	PlainReply string
	// Name is the pool's. Names has the pools that clients can ask for by name; nil:
	// there are none.
	Name  string
	Names *Names
}

// Names are the names (SNI) by which clients ask for pools. It does not change once it
// is in use.
type Names struct{ pools map[string]*Pool }

// Add adds names for a pool, before the Names are in use.
func (n *Names) Add(p *Pool, names []string) {
	if n.pools == nil {
		n.pools = make(map[string]*Pool)
	}
	for _, name := range names {
		n.pools[name] = p
	}
}

// find is the pool with a name; nil: there is none.
func (n *Names) find(name string) *Pool {
	if n == nil || name == "" {
		return nil
	}
	name = strings.ToLower(name)
	if p := n.pools[name]; p != nil {
		return p
	}
	_, rest, _ := strings.Cut(name, ".")
	return n.pools["*."+rest]
}

// Until is when the certificate that clients see ends, in microseconds since the epoch;
// 0 if there is none.
func (p *Pool) Until() int64 {
	if p.Clients == nil {
		return 0
	}
	return p.Clients.Until().UnixMicro()
}

// Client makes the stage of a client that was accepted; nil: it needs none.
func (p *Pool) Client() eventloop.Stage {
	if p.Clients == nil {
		return nil
	}
	s := newStage(p.Handshakes, false, func(s *stage) *tls.Conn { return tls.Server(&s.mem, p.configFor(s)) })
	s.plainReply = p.PlainReply
	return s
}

// Server makes the stage of a connection to the server; nil: it needs none.
func (p *Pool) Server(to *config.Server) eventloop.Stage {
	if p.Servers == nil {
		return nil
	}
	return newStage(p.Handshakes, true, func(s *stage) *tls.Conn { return tls.Client(&s.mem, p.Servers.ConfigFor(to.Address)) })
}

// configFor is the configuration for a client: that of this pool, or that of the pool
// which the client asks for. The stage then has that pool's name.
func (p *Pool) configFor(s *stage) *tls.Config {
	if p.Names == nil {
		return p.Clients.Config()
	}
	c := p.Clients.Config().Clone()
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if to := p.Names.find(hello.ServerName); to != nil && to != p {
			s.chosen = to.Name
			return to.Clients.Config(), nil
		}
		return nil, nil
	}
	return c
}
