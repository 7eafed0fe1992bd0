package redis

import (
	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// How a client introduces itself: AUTH, HELLO, RESET.

// The answers to AUTH. Where nutcracker has one, it is nutcracker's to the byte.
const (
	noAuth       = "-NOAUTH Authentication required\r\n"
	authNotSet   = "-ERR Client sent AUTH, but no password is set\r\n"
	authInvalid  = "-ERR invalid password\r\n"
	authWrong    = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
	helloNoAuth  = "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time\r\n"
	helloNoProto = "-NOPROTO unsupported protocol version\r\n"
	// Clients take it for the servers' own words. Some of them fall back to RESP2 only
	// on this text.
	helloNoRESP3 = "-ERR unknown command 'HELLO' with protocol version 3: the pool's servers speak RESP2\r\n"
)

// defaultUser is the one user that there is.
const defaultUser = "default"

// passwords are what clients may say with AUTH: the pool's, and the one that it had
// before. Without the first one there is none.
type passwords [2]config.Secret

func (p *passwords) none() bool { return p[0] == "" }

// has reports whether a client's word is one of them, in a time that does not tell which.
func (p *passwords) has(given []byte) bool {
	now, before := p[0].Equal(given), p[1].Equal(given)
	return now || before
}

// An introducer answers the requests with which clients introduce themselves.
type introducer struct {
	*rules
	words *wordReader // the protocol's
}

// answerAuth answers AUTH password and AUTH user password. A wrong password in the
// first form logs the client out, as with nutcracker. In the second form, which
// nutcracker does not know, it does not, as with Redis.
func (n *introducer) answerAuth(req *msg.Request, s *msg.Session, w writer) {
	switch {
	case len(req.Args) > 3:
		w.fail("ERR ", syntaxError)
	case len(req.Args) == 3:
		if !n.knows(req, 1) {
			w.raw(authWrong)
			return
		}
		s.Authenticated = true
		w.ok()
	case n.passwords.none():
		w.raw(authNotSet)
	default:
		s.Authenticated = n.passwords.has(n.words.word(req, 1))
		if !s.Authenticated {
			w.raw(authInvalid)
			return
		}
		w.ok()
	}
}

// knows checks a user and a password, the i-th word of a request and the next. If the
// pool has no password, any will do, as for Redis's user default.
func (n *introducer) knows(req *msg.Request, i int) bool {
	known := string(n.words.word(req, i)) == defaultUser
	return known && (n.passwords.none() || n.passwords.has(n.words.word(req, i+1)))
}

// A greeting is the options of a HELLO.
type greeting struct {
	// user is the index of AUTH's first word, name that of SETNAME's; 0: none.
	user, name int
}

// greetingOf reads the options of a HELLO, up to the first fault.
func greetingOf(req *msg.Request, r *wordReader) (g greeting, fault string) {
	n := len(req.Args)
	for i := 2; i < n; i++ {
		switch {
		case r.is(req, i, "auth") && i+2 < n:
			g.user = i + 1
			i += 2
		case r.is(req, i, "setname") && i+1 < n:
			g.name = i + 1
			i++
			if fault := nameFault(req, i, r); fault != "" {
				return g, fault
			}
		default:
			return g, "Syntax error in HELLO option '" + plain(r.word(req, i), maxShown) + "'"
		}
	}
	return g, ""
}

// answerHello agrees to RESP2, and to RESP3 if the servers speak it. If they do not, it
// refuses in words on which clients fall back to RESP2. Nothing of a refused HELLO is
// carried out.
func (n *introducer) answerHello(req *msg.Request, s *msg.Session, w writer) {
	lane := s.Lane
	if len(req.Args) > 1 {
		version, ok := number(req, 1)
		switch {
		case !ok:
			w.fail("ERR Protocol version is not an integer or out of range")
			return
		case version != 2 && version != 3:
			w.raw(helloNoProto)
			return
		case version == 3 && n.learned.load().resp3 != able:
			w.raw(helloNoRESP3)
			return
		}
		lane.RESP = uint8(version)
	}
	g, fault := greetingOf(req, n.words)
	switch {
	case fault != "":
		w.fail("ERR ", fault)
		return
	case g.user > 0 && !n.knows(req, g.user):
		w.raw(authWrong)
		return
	case g.user == 0 && !s.Authenticated:
		w.raw(helloNoAuth)
		return
	}
	s.Authenticated = true
	if g.name > 0 {
		setName(s, string(n.words.word(req, g.name)))
	}
	s.Lane = lane
	w.resp3 = lane.IsRESP3()
	if !w.resp3 {
		s.SetTracking(nil)
	}
	server, release := n.identity(s.WallMicros)
	pairs := 7
	if release == "" {
		pairs--
	}
	w.mapping(pairs)
	w.pair("server", server)
	if release != "" {
		w.pair("version", release)
	}
	w.bulkString("proto")
	w.integer(version(lane))
	w.bulkString("id")
	w.integer(int64(s.ID))
	w.pair("mode", "standalone")
	w.pair("role", n.role())
	w.bulkString("modules")
	w.array(0)
}

// role is what HELLO says that the servers are in replication.
func (n *introducer) role() string {
	if n.learned.load().survey.isReplica() {
		return "replica"
	}
	return "master"
}

// version is the lane's version of the protocol.
func version(l msg.Lane) int64 {
	if l.IsRESP3() {
		return 3
	}
	return 2
}

// answerReset makes the session as new.
func (n *introducer) answerReset(s *msg.Session, w writer) {
	names := s.Names()
	names.Name, names.Asked = "", ""
	s.SetNames(names)
	s.Authenticated = n.passwords.none()
	s.EndMulti()
	s.SetTracking(nil)
	s.Bars = 0
	s.Lane = msg.DefaultLane
	if s.Replies == msg.RepliesOff {
		s.Replies, s.Muted = msg.RepliesOn, false
	}
	w.status("RESET")
}
