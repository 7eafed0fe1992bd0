package redis

import (
	"cmp"
	"math"
	"time"

	"nuthatch/internal/acl"
	"nuthatch/internal/config"
	"nuthatch/internal/emulate"
	"nuthatch/internal/hashkit"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/slowlog"
)

// Options are a pool's settings for its protocol.
type Options struct {
	// Auth is what clients must say with AUTH, empty: nothing; or they may say AuthPrevious.
	Auth, AuthPrevious config.Secret
	// Users are the pool's users. Nil: it has none of its own, only the user default, whose
	// password is Auth.
	Users *acl.Users
	// Passthrough has the servers decide who may log in, and about every request. MaxUsers is
	// then how many users may have connections to them, and Logins has their credentials,
	// for all loops; nil: this loop has its own.
	Passthrough bool
	MaxUsers    int
	Logins      *Logins
	// ACLLog is what the pool's users were denied, shared by all loops. Nil: this loop has
	// its own.
	ACLLog *acl.Log
	// Login is what the servers are told with AUTH; without a password: Auth.
	Login config.Login
	// DB is the database of clients that have sent no SELECT. If it is not 0, the proxy
	// selects it at the servers.
	DB int
	// Databases is how many databases clients may SELECT. With 0 or 1 there is only DB,
	// which they may also call 0.
	Databases int
	// FailedSelect is what becomes of the requests of a client whose SELECT failed.
	FailedSelect config.FailedSelect
	// Transactions is what becomes of MULTI.
	Transactions config.Transactions
	// Publish is which servers a PUBLISH goes to.
	Publish config.Publish
	// Cluster: the servers are the nodes of a cluster.
	Cluster bool
	// Emulate is what clients are told of the cluster that the pool looks like; nil: it looks
	// like one server.
	Emulate *emulate.Board
	// Peers is what other proxies are told that ask who this one is; nil: Emulate.
	Peers *emulate.Board
	// Tracking lets clients be told when keys change.
	Tracking bool
	// MaxRequestSize bounds a request, in bytes. 0, and what exceeds 4 GB, mean
	// 4 GB.
	MaxRequestSize int64
	// UserLimits are the limits of users, of which those on writes and databases count here.
	UserLimits []config.UserLimit
	// ReadOnly refuses what may write.
	ReadOnly bool
	// AllowMonitor lets clients see every command, with MONITOR.
	AllowMonitor bool
	// AllowFlush lets clients empty all servers, with FLUSHALL and FLUSHDB.
	AllowFlush bool
	// AllowAdmin lets clients administer all servers, and pause the pool.
	AllowAdmin bool
	// Learned is what the loops of the pool have learnt together; nil if this is
	// the only one.
	Learned *Learned
	// RefuseUnknown: servers are not asked about commands that the table does not have.
	RefuseUnknown bool
	// Servers is the number of servers.
	Servers int
	// HashTag is empty, or two bytes that enclose the part of a key that is hashed.
	HashTag string
	// Started is when this process did, for LASTSAVE.
	Started time.Time
	// Version is this program's, for INFO and LOLWUT.
	Version string
	// PartialResults is how requests to several servers are answered if some of them
	// fail.
	PartialResults config.PartialResults
	// AllowKeys lets clients send KEYS.
	AllowKeys bool
	// KeylessScripts is what becomes of scripts that name no key, over several
	// servers.
	KeylessScripts config.KeylessScripts
	// Scripts is the pool's memory of scripts, shared by all loops. Nil: this loop has
	// its own.
	Scripts *Scripts
	// SlowLog is the pool's; nil: there is none.
	SlowLog *slowlog.Log
	// Facts finds out what INFO, CONFIG GET and LATENCY show, and calls use with it,
	// once, at once or later; with nil if the process ends. If servers is set, what the
	// pool's servers say is in Learned before that. It must be called outside the event
	// loops. Nil: nothing is known.
	Facts func(servers bool, use func(*Facts))
	// Refresh asks the servers again, and does not wait. It returns false if too many
	// questions wait already. It is nil if Facts is.
	Refresh func() bool
	// Pause has the requests of all clients of the pool wait, and Resume lets them go on.
	// by says who asked for it. They must be called outside the event loops. Nil: nobody
	// can do that.
	Pause  func(limit time.Duration, by string) error
	Resume func(by string) error
}

// rules are the settings of a pool's protocol. They are static except servers.
type rules struct {
	passwords passwords // of clients
	// users are never nil. named: the pool has users of its own.
	users *acl.Users
	named bool
	// passes: the servers decide who may log in, and about every request. logins, which is
	// never nil, has their users, maxUsers at the most.
	passes   bool
	maxUsers int
	logins   *Logins
	aclLog   *acl.Log
	// bounds are what user_limits says of what users may do.
	bounds     userBounds
	login      config.Login // to servers
	databases  databases
	max        int
	allowFlush bool
	readOnly   bool
	// allowMonitor lets clients see every command.
	allowMonitor bool
	allowAdmin   bool
	learned      *Learned
	learns       bool
	servers      int
	tag          hashkit.Tag
	version      string
	started      time.Time
	tooLong      *msg.ProtocolError
	keyless      config.KeylessScripts
	scripts      *Scripts
	slow         *slowlog.Log
	facts        func(servers bool, use func(*Facts))
	refresh      func() bool
	pause        func(limit time.Duration, by string) error
	resume       func(by string) error
	// failedSelect is the pool's setting of that name.
	failedSelect config.FailedSelect
	// transactions is the pool's setting of that name.
	transactions config.Transactions
	// publish is which servers a PUBLISH goes to. cluster: the servers are a cluster, of which
	// one is enough.
	publish config.Publish
	cluster bool
	// tracking lets clients be told when keys change.
	tracking bool
	// emulate is what clients are told of the cluster that the pool looks like, or nil.
	emulate *emulate.Board
	// peers is what other proxies are told that ask who this one is, or nil.
	peers *emulate.Board
}

// A Protocol serves one pool on one event loop. It is made of parts, one for each
// capability. Parts share the rules, and the reader of words.
type Protocol struct {
	rules

	// Parts without a state of their own.

	greeter
	introducer
	learner
	reporter
	scanner
	verdicts
	blockWords
	channels
	confirmer
	keyTracker
	judge
	admission
	passer
	redirects

	// Owned by the loop.

	loading loading
	desk    desk
	guard
	limiter
	broadcaster
	merger
	fragmenter
	wordReader
}

// New returns a pool's protocol for one event loop.
func New(o Options) *Protocol {
	limit := math.MaxUint32
	if o.MaxRequestSize > 0 && o.MaxRequestSize < math.MaxUint32 {
		limit = int(o.MaxRequestSize)
	}
	login := o.Login
	if login.Password == "" {
		login = config.Login{Password: o.Auth}
	}
	learned := o.Learned
	if learned == nil {
		learned = new(Learned)
	}
	scripts := o.Scripts
	if scripts == nil {
		scripts = NewScripts()
	}
	slow := o.SlowLog
	if slow == nil {
		slow = slowlog.New(0)
	}
	users, aclLog := o.Users, o.ACLLog
	if users == nil {
		users = usersOf(&o)
	}
	if aclLog == nil {
		aclLog = new(acl.Log)
	}
	logins := o.Logins
	if logins == nil {
		logins = NewLogins()
	}
	p := &Protocol{
		rules: rules{
			users: users, named: o.Users != nil, aclLog: aclLog, passes: o.Passthrough, maxUsers: o.MaxUsers, logins: logins,
			passwords: passwords{o.Auth, o.AuthPrevious}, login: login, databases: databases{own: o.DB, n: o.Databases}, max: limit, readOnly: o.ReadOnly, allowMonitor: o.AllowMonitor, allowFlush: o.AllowFlush, allowAdmin: o.AllowAdmin,
			learned: learned, learns: !o.RefuseUnknown, servers: o.Servers, version: o.Version, started: o.Started,
			bounds: boundsOf(o.UserLimits), tooLong: errTooLarge(limit), keyless: o.KeylessScripts, scripts: scripts,
			slow: slow, facts: o.Facts, refresh: o.Refresh, pause: o.Pause, resume: o.Resume,
			failedSelect: o.FailedSelect, transactions: o.Transactions, tracking: o.Tracking, publish: o.Publish, cluster: o.Cluster, emulate: o.Emulate, peers: cmp.Or(o.Peers, o.Emulate),
		},
		loading: loading{known: scripts},
		desk:    desk{spans: make([]msg.Span, 0, firstDesk)},
	}
	copy(p.tag[:], o.HashTag)
	p.SetServers(o.Servers)
	if o.Cluster {
		if o.Emulate != nil {
			o.Emulate.MakeKeys() // here, and not when a loop needs them
		}
		p.publish = config.PublishAll // all servers have all messages
		copy(p.tag[:], "{}")
	}
	p.greeter = greeter{&p.rules}
	p.introducer = introducer{&p.rules, &p.wordReader, &p.guard.denial}
	p.learner = learner{&p.rules, &p.wordReader}
	p.channels = channels{&p.rules, &p.wordReader}
	p.reporter = reporter{&p.rules, &p.wordReader}
	p.keyTracker = keyTracker{rules: &p.rules, words: &p.wordReader}
	p.judge = judge{rules: &p.rules, words: &p.wordReader}
	p.limiter = limiter{&p.rules, &p.wordReader, &p.judge}
	p.guard = guard{rules: &p.rules, judge: &p.judge}
	p.admission = admission{&p.rules, &p.wordReader}
	p.passer = passer{&p.rules, &p.wordReader}
	p.broadcaster = broadcaster{allowKeys: o.AllowKeys, loading: &p.loading, admission: &p.admission}
	p.merger = merger{partial: o.PartialResults, loading: &p.loading}
	return p
}

// SetServers has requests judged by another number of servers. It holds for parsers
// that are made from now on, and for those that Adopt one of them.
func (p *Protocol) SetServers(n int) {
	if p.cluster { // it may get more at any time
		n = max(n, 2)
	}
	p.servers = n
}

// NewRequestParser returns a parser of a client's bytes: requests in RESP, and
// inline requests as from telnet.
func (p *Protocol) NewRequestParser() msg.RequestParser {
	parser := newRequestParser(p.max, p.tooLong, &p.desk)
	parser.allowMonitor, parser.readOnly = p.allowMonitor, p.readOnly
	parser.allowFlush, parser.keyless, parser.databases = p.allowFlush, p.keyless, p.databases
	parser.learned, parser.learns, parser.servers, parser.tag = p.learned, p.learns, p.servers, p.tag
	parser.asks, parser.publish, parser.cluster = p.facts != nil, p.publish, p.cluster
	parser.refusesWatch = p.transactions == config.TransactionsRefuse
	parser.passes, parser.emulate, parser.peers = p.passes, p.emulate, p.peers
	parser.inspects = p.allowAdmin || p.named || p.passes
	return parser
}

// NewReplyParser returns a parser of a server's bytes. It takes RESP2's replies
// and RESP3's, except for those of unknown length.
func (p *Protocol) NewReplyParser() msg.ReplyParser { return &replyParser{outstanding: 1} }

// AppendError appends "-ERR why\r\n".
func (p *Protocol) AppendError(pool *mbuf.Pool, out *mbuf.Chain, why string) {
	appendError(pool, out, why)
}

func appendError(pool *mbuf.Pool, out *mbuf.Chain, why string) {
	if why == msg.NotServed.String() { // as Redis Cluster says it
		writer{pool: pool, out: out}.fail(why)
		return
	}
	writer{pool: pool, out: out}.fail("ERR ", why)
}

// AppendCrossServer appends the error for a request whose keys a and b have
// different owners. It begins as Redis Cluster's for keys in different slots.
func (p *Protocol) AppendCrossServer(pool *mbuf.Pool, out *mbuf.Chain, req *msg.Request, a, b []byte) {
	name := commands[req.Type].name
	if req.Type == unknown { // a learnt one
		name = plain(lower(nil, p.word(req, 0)), maxShown)
	}
	writer{pool: pool, out: out}.fail("CROSSSLOT Keys in request don't hash to the same server: ",
		quote(a), " and ", quote(b), " of '", name, "'")
}
