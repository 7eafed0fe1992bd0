package redis

import (
	"strconv"
	"strings"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// CLIENT LIST, CLIENT INFO and CLIENT KILL: about the pool's clients, wherever
// they are.

// An inquiry is one of those requests. It implements msg.Inquiry.
type inquiry struct {
	what  inquirySubject
	resp3 bool
	// database is the number of a lane's database for its clients, userName the name of
	// the user of a number.
	database func(msg.Lane) int
	userName func(*msg.ClientFacts) string

	// The conditions that a client must meet; zero values are no condition.

	// id is the only client; 0: all clients, or those that the words of the request
	// name.
	id              uint64
	addr, localAddr string
	// minAge is in seconds.
	minAge int64
	// none: no client matches, since none can be of the kind that was asked for.
	none bool
	// fails: a client that waits gets an error.
	fails bool
	// kind is what clients are to be.
	kind clientKind
	// except is a client that does not match.
	except uint64
	// ofUser: the client is the user of this number.
	ofUser bool
	user   uint16
	// named: it is called that at the servers, which decide who may log in.
	named     bool
	nameThere string
	// other is what seekClient answers if there is the client.
	other string
}

// inquirySubject is what is asked for.
type inquirySubject uint8

const (
	listClients   inquirySubject = iota
	killClients                  // the answer is how many
	killByAddr                   // the answer is OK, or that there is none
	unblockClient                // the answer is how many
	seekClient                   // the answer is that there is none, or other
)

// Matches implements msg.Inquiry.
func (q *inquiry) Matches(c *msg.ClientFacts) bool {
	switch {
	case q.none,
		q.id != 0 && c.ID != q.id,
		q.except != 0 && c.ID == q.except,
		q.addr != "" && c.Addr != q.addr,
		q.localAddr != "" && c.LocalAddr != q.localAddr,
		q.kind == listeningClients && !listens(c),
		q.kind == normalClients && listens(c),
		q.ofUser && c.User != q.user,
		q.named && q.userName(c) != q.nameThere,
		c.Age < q.minAge:
		return false
	}
	return true
}

// Kills implements msg.Inquiry.
func (q *inquiry) Kills() bool { return q.what == killClients || q.what == killByAddr }

// Unblocks implements msg.Inquiry.
func (q *inquiry) Unblocks() (yes, fails bool) { return q.what == unblockClient, q.fails }

// ID implements msg.Inquiry.
func (q *inquiry) ID() uint64 { return q.id }

// clientKind is a kind of clients.
type clientKind uint8

const (
	allClients clientKind = iota
	normalClients
	listeningClients // those that listen to channels
)

// listens tells whether a client listens to channels.
func listens(c *msg.ClientFacts) bool { return c.Listens != [msg.NumChannels]int{} }

// maxID is the longest word, in bytes, that can be a client's id.
const maxID = 20

// ReadIDs implements msg.Inquiry: text is words as a request in RESP has them.
func (q *inquiry) ReadIDs(text []byte, ids []uint64) (used int, read []uint64, fault string) {
	for used < len(text) && len(ids) < cap(ids) {
		n, at, ok := shortNumber(text, used+1)
		if !ok && len(text)-used <= maxID || ok && at+n+2 > len(text) && n <= maxID {
			break // it is not all here
		}
		if !ok || n > maxID {
			return used, ids, badClientID
		}
		var h header
		for _, c := range text[at : at+n] {
			h.digit(c)
		}
		id, ok := h.number()
		if !ok || id < 1 {
			return used, ids, badClientID
		}
		ids = append(ids, uint64(id))
		used = at + n + 2
	}
	return used, ids, ""
}

// AppendClient implements msg.Inquiry.
func (q *inquiry) AppendClient(text []byte, c *msg.ClientFacts) []byte {
	if q.what != listClients {
		return text
	}
	return appendClient(text, c, q.database(c.Lane), q.userName(c))
}

// Answer implements msg.Inquiry.
func (q *inquiry) Answer(n int, text *mbuf.Chain, pool *mbuf.Pool, out *mbuf.Chain) {
	w := writer{pool, out, q.resp3}
	switch {
	case q.what == killClients, q.what == unblockClient:
		w.integer(int64(n))
	case q.what == seekClient && n == 0:
		w.fail("ERR ", redirectsAway)
	case q.what == seekClient:
		w.raw(q.other)
	case q.what == killByAddr && n == 0:
		w.fail("ERR No such client")
	case q.what == killByAddr:
		w.ok()
	default:
		w.verbatimChain(text)
	}
}

// appendClient appends the line that Redis has for a client. Fields that mean nothing
// in a proxy are 0, as for a plain client of Redis.
func appendClient(b []byte, c *msg.ClientFacts, db int, user string) []byte {
	number := func(name string, n int64) {
		b = append(append(append(b, ' '), name...), '=')
		b = strconv.AppendInt(b, n, 10)
	}
	text := func(name, s string) {
		b = append(append(append(append(b, ' '), name...), '='), s...)
	}
	b = append(b, "id="...)
	b = strconv.AppendUint(b, c.ID, 10)
	text("addr", c.Addr)
	text("laddr", c.LocalAddr)
	number("fd", int64(c.ShownFD))
	text("name", c.Name)
	number("age", c.Age)
	number("idle", c.Idle)
	text("flags", flagsOf(c))
	number("db", int64(db))
	number("sub", int64(c.Listens[msg.PlainChannels]))
	number("psub", int64(c.Listens[msg.Patterns]))
	number("ssub", int64(c.Listens[msg.ShardChannels]))
	number("multi", int64(c.Multi))
	number("watch", int64(c.Watched))
	number("qbuf", int64(c.Received))
	text("qbuf-free", "0 argv-mem=0")
	number("multi-mem", int64(c.Collected))
	text("rbs", "0 rbp=0 obl=0")
	number("oll", int64(c.InFlight))
	number("omem", int64(c.Held+c.Unsent))
	number("tot-mem", int64(c.Received+c.Held+c.Unsent+c.Collected))
	text("events", "r")
	last := commands[c.Last].name
	if last == "" {
		last = "NULL"
	}
	text("cmd", last)
	text("user", user)
	if c.Tracks {
		number("redir", 0)
	} else {
		number("redir", -1)
	}
	number("resp", max(2, int64(c.Lane.RESP)))
	text("lib-name", c.LibName)
	text("lib-ver", c.LibVersion)
	if c.TLS != "" {
		text("tls", c.TLS)
	}
	return append(b, '\n')
}

// flagsOf are the letters that Redis has for what a client is.
func flagsOf(c *msg.ClientFacts) string {
	var flags []byte
	for _, f := range []struct {
		is     bool
		letter byte
	}{
		{c.Monitors, 'O'},
		{listens(c), 'P'},
		{c.Blocked, 'b'},
		{c.Multi >= 0, 'x'},
		{c.Tracks, 't'},
		{c.Broadcast, 'B'},
		{c.Touched, 'd'},
		{c.Closing, 'c'},
	} {
		if f.is {
			flags = append(flags, f.letter)
		}
	}
	if len(flags) == 0 {
		return "N"
	}
	return string(flags)
}

// Why a request about clients is refused, in Redis's words.
const (
	badClientID   = "Invalid client ID"
	zeroClientID  = "client-id should be greater than 0"
	badMaxAge     = "maxage is not an integer or out of range"
	noSuchUser    = "No such user"
	badClientType = "Unknown client type"

	badUnblocking = "CLIENT UNBLOCK reason should be TIMEOUT or ERROR"
	manyWords     = "unknown subcommand or wrong number of arguments for '"

	tooManyConditions = "too many conditions, 2048 at the most"
)

// maxKillWords is how many words a CLIENT KILL may have. They are read at once.
const maxKillWords = 4096

// Inquire implements proxy.Inquirer.
func (p *Protocol) Inquire(req *msg.Request, s *msg.Session, pool *mbuf.Pool, words *mbuf.Chain) (about msg.Inquiry, ok bool) {
	q := &inquiry{resp3: s.Lane.IsRESP3(), database: p.databases.shown, userName: p.nameOfClient}
	switch commands[req.Type].sub {
	case "info":
		q.id = s.ID
	case "unblock":
		req.Error = p.inquireUnblock(req, q)
	case "tracking":
		q.redirect(req, p, s, pool)
	case "list":
		req.Error = q.list(req, &p.wordReader, pool, words)
	default:
		req.Error = q.kill(req, p, s)
	}
	return q, req.Error == ""
}

// list reads CLIENT LIST.
func (q *inquiry) list(req *msg.Request, r *wordReader, pool *mbuf.Pool, words *mbuf.Chain) (fault string) {
	n := len(req.Args)
	switch {
	case n == 2:
		return ""
	case r.is(req, 2, "type") && n == 4:
		return q.onlyType(req, 3, r)
	case r.is(req, 2, "id") && n > 3:
		keepWords(req, 3, pool, words)
		return ""
	default:
		return syntaxError
	}
}

// keepWords appends the words of a request from the i-th on, as RESP has them.
func keepWords(req *msg.Request, i int, pool *mbuf.Pool, out *mbuf.Chain) {
	if first, _ := req.View.Near(0); first[0] == '*' {
		off := req.Args[i-1].End() + 2
		req.View.AppendTo(pool, out, off, req.View.Len()-off)
		return
	}
	w := writer{pool: pool, out: out}
	for _, a := range req.Args[i:] { // of one line, which is not long
		w.number("$", int64(a.Len))
		req.View.AppendTo(pool, out, int(a.Off), int(a.Len))
		w.raw("\r\n")
	}
}

// onlyType reads the kind of clients that was asked for. There are no replicas.
func (q *inquiry) onlyType(req *msg.Request, i int, r *wordReader) (fault string) {
	switch {
	case r.is(req, i, "normal"):
		q.kind = normalClients
	case r.is(req, i, "pubsub"):
		q.kind = listeningClients
	case r.is(req, i, "master"), r.is(req, i, "replica"), r.is(req, i, "slave"):
		q.none = true
	default:
		return badClientType + " '" + plain(r.word(req, i), maxShown) + "'"
	}
	return ""
}

// kill reads CLIENT KILL: of one address, or of all clients that meet
// every condition.
func (q *inquiry) kill(req *msg.Request, p *Protocol, s *msg.Session) (fault string) {
	n := len(req.Args)
	if n == 3 {
		q.what, q.addr = killByAddr, string(p.word(req, 2))
		q.none = q.addr == ""
		return ""
	}
	if n%2 != 0 {
		return syntaxError
	}
	q.what, q.except = killClients, s.ID
	for i := 2; i < n; i += 2 {
		if i > maxKillWords {
			return tooManyConditions
		}
		if fault := q.killCondition(req, i, p, s); fault != "" {
			return fault
		}
	}
	return ""
}

// killCondition reads the condition that the i-th word names and the next tells.
func (q *inquiry) killCondition(req *msg.Request, i int, p *Protocol, s *msg.Session) (fault string) {
	r := &p.wordReader
	switch {
	case r.is(req, i, "id"):
		id, ok := number(req, i+1)
		if !ok || id < 1 {
			return zeroClientID
		}
		q.id = uint64(id)
	case r.is(req, i, "type"):
		return q.onlyType(req, i+1, r)
	case r.is(req, i, "addr"):
		q.addr = string(r.word(req, i+1))
		q.none = q.none || q.addr == ""
	case r.is(req, i, "laddr"):
		q.localAddr = string(r.word(req, i+1))
		q.none = q.none || q.localAddr == ""
	case r.is(req, i, "user") && p.passes:
		name := string(r.word(req, i+1))
		q.none = q.none || q.named && q.nameThere != name
		q.named, q.nameThere = true, name
	case r.is(req, i, "user"):
		u := p.users.Named(r.word(req, i+1))
		if u == nil {
			return noSuchUser + " '" + plain(r.word(req, i+1), maxShown) + "'"
		}
		q.none = q.none || q.ofUser && q.user != u.Number()
		q.ofUser, q.user = true, u.Number()
	case r.is(req, i, "maxage"):
		age, ok := number(req, i+1)
		if !ok || age < 1 {
			return badMaxAge
		}
		q.minAge = age
	case r.is(req, i, "skipme") && r.is(req, i+1, "yes"):
		q.except = s.ID
	case r.is(req, i, "skipme") && r.is(req, i+1, "no"):
		q.except = 0
	default:
		return syntaxError
	}
	return ""
}

// isInquiryFault tells whether a request about clients was refused in Redis's own
// words.
func isInquiryFault(why string) bool {
	switch why {
	case notInteger, badUnblocking, badClientID, zeroClientID, badMaxAge, syntaxError, tooManyConditions:
		return true
	}
	return strings.HasPrefix(why, manyWords) || strings.HasPrefix(why, noSuchUser) || strings.HasPrefix(why, badClientType)
}

// inquireUnblock reads CLIENT UNBLOCK.
func (p *Protocol) inquireUnblock(req *msg.Request, q *inquiry) (fault string) {
	q.what = unblockClient
	switch n := len(req.Args); {
	case n > 4:
		return manyWords + plain(p.word(req, 1), maxShown) + "'. Try CLIENT HELP."
	case n == 4 && p.is(req, 3, "error"):
		q.fails = true
	case n == 4 && !p.is(req, 3, "timeout"):
		return badUnblocking
	}
	id, ok := number(req, 2)
	if !ok {
		return notInteger
	}
	q.id, q.none = uint64(max(id, 0)), id <= 0
	return ""
}
