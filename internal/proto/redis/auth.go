package redis

import (
	"nuthatch/internal/acl"
	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// How a client introduces itself: AUTH, HELLO, RESET.

// The answers to AUTH. Where nutcracker has one, it is nutcracker's to the byte, in a pool
// that has no users of its own. In one that has, they are Redis's.
const (
	noAuth       = "-NOAUTH Authentication required\r\n"
	noAuthUsers  = "-NOAUTH Authentication required.\r\n"
	execNoAuth   = "-EXECABORT Transaction discarded because of: NOAUTH Authentication required.\r\n"
	authNoPass   = "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?\r\n"
	authNotSet   = "-ERR Client sent AUTH, but no password is set\r\n"
	authInvalid  = "-ERR invalid password\r\n"
	authWrong    = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
	helloNoAuth  = "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time\r\n"
	helloNoProto = "-NOPROTO unsupported protocol version\r\n"
	// Clients take it for the servers' own words. Some of them fall back to RESP2 only
	// on this text.
	helloNoRESP3 = "-ERR unknown command 'HELLO' with protocol version 3: the pool's servers speak RESP2\r\n"
)

// defaultUser is who a client is that has not said a name.
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
	// denial is the protocol's.
	denial *denial
}

// answerAuth answers AUTH password and AUTH user password. In a pool without users of its
// own, one that fails logs the client out, as with nutcracker, which knows the first form alone.
// In one that has users it does not, as with Redis.
func (n *introducer) answerAuth(req *msg.Request, s *msg.Session, w writer) {
	switch {
	case len(req.Args) > 3:
		w.fail("ERR ", syntaxError)
	case n.passes && s.Bars&msg.Admitted == 0:
		w.raw(authWrong)
	case n.passes:
		w.ok()
	case len(req.Args) == 3:
		if !n.login(req, 1, s) {
			s.Authenticated = s.Authenticated && (n.named || n.passwords.none())
			w.raw(authWrong)
			return
		}
		w.ok()
	case n.named && !n.users.Default().NeedsPassword():
		w.raw(authNoPass)
	case n.named:
		if !n.loginAs(req, []byte(defaultUser), n.words.word(req, 1), s) {
			w.raw(authWrong)
			return
		}
		w.ok()
	case n.passwords.none():
		w.raw(authNotSet)
	default:
		s.Authenticated = n.passwords.has(n.words.word(req, 1))
		if !s.Authenticated {
			n.failLogin(req, []byte(defaultUser), s)
			w.raw(authInvalid)
			return
		}
		w.ok()
	}
}

// login logs the client in as the user whose name is the i-th word of a request, and whose
// password is the next. If that is not right, nothing changes.
func (n *introducer) login(req *msg.Request, i int, s *msg.Session) bool {
	name := append([]byte(nil), n.words.word(req, i)...)
	return n.loginAs(req, name, n.words.word(req, i+1), s)
}

// loginAs logs the client in, if the password is the user's.
func (n *introducer) loginAs(req *msg.Request, name, password []byte, s *msg.Session) bool {
	u, ok := n.users.Login(name, password)
	if !ok {
		n.failLogin(req, name, s)
		return false
	}
	become(s, u)
	s.Authenticated = true
	return true
}

// failLogin notes that a login has failed.
func (n *introducer) failLogin(req *msg.Request, name []byte, s *msg.Session) {
	s.Bars |= msg.Denied
	n.denial.set(msg.DeniedLogin, n.words.word(req, 0))
	n.denial.user = append(n.denial.user[:0], name[:min(len(name), maxDenied)]...)
}

// become makes the client the user.
func become(s *msg.Session, u *acl.User) {
	s.User = u.Number()
	s.Bars &^= msg.Restricted
	if !u.IsUnlimited() {
		s.Bars |= msg.Restricted
	}
}

// Begin implements proxy.SessionKeeper.
func (r *rules) Begin(s *msg.Session) {
	u := r.users.Default()
	become(s, u)
	s.Authenticated = u.IsOn() && !u.NeedsPassword()
	if r.passes {
		s.Bars |= msg.PassedOn
	}
	if r.emulate != nil && r.emulate.SendsOff() {
		s.Bars |= msg.Elsewhere
	}
}

// A greeting is the options of a HELLO.
type greeting struct {
	// user is the index of AUTH's first word, name that of SETNAME's; 0: none.
	user, name int
}

// greetingOf reads the options of a HELLO in a pool whose servers decide who may log in, up to
// the first fault. There is one AUTH at the most, since one login is tried.
func greetingOf(req *msg.Request, r *wordReader) (g greeting, fault string) {
	for i := 2; i < len(req.Args); i++ {
		var o helloOption
		o, i, fault = helloOptionAt(req, i, r)
		switch {
		case fault != "":
			return g, fault
		case o.user > 0 && g.user > 0:
			return g, "a HELLO has one AUTH at most"
		case o.user > 0:
			g.user = o.user
		default:
			g.name = o.name
		}
	}
	return g, ""
}

// A helloOption is one option of a HELLO: of its fields one is not 0.
type helloOption = greeting

// helloOptionAt reads the option whose first word is the i-th. last is its last word.
func helloOptionAt(req *msg.Request, i int, r *wordReader) (o helloOption, last int, fault string) {
	n := len(req.Args)
	switch {
	case r.is(req, i, "auth") && i+2 < n:
		return helloOption{user: i + 1}, i + 2, ""
	case r.is(req, i, "setname") && i+1 < n:
		return helloOption{name: i + 1}, i + 1, nameFault(req, i+1, r)
	}
	return o, i, "Syntax error in HELLO option '" + plain(r.word(req, i), maxShown) + "'"
}

// introduce carries out the options of a HELLO. As with Redis the first that fails is told, and
// of several the last holds. Unlike there, nothing of a HELLO that is refused is carried out.
func (n *introducer) introduce(req *msg.Request, s *msg.Session, w writer) (ok bool) {
	user, authenticated, bars, name := s.User, s.Authenticated, s.Bars, 0
	defer func() {
		switch {
		case !ok:
			s.User, s.Authenticated, s.Bars = user, authenticated, bars|s.Bars&msg.Denied
		case name > 0:
			setName(s, string(n.words.word(req, name)))
		}
	}()
	for i := 2; i < len(req.Args); i++ {
		o, last, fault := helloOptionAt(req, i, n.words)
		switch {
		case fault != "":
			w.fail("ERR ", fault)
			return false
		case o.user > 0:
			if !n.login(req, o.user, s) {
				w.raw(authWrong)
				return false
			}
		default:
			name = o.name
		}
		i = last
	}
	if !s.Authenticated {
		n.denyStranger(s)
		w.raw(helloNoAuth)
	}
	return s.Authenticated
}

// introducePassed does so in a pool whose servers decide.
func (n *introducer) introducePassed(req *msg.Request, s *msg.Session, w writer) (ok bool) {
	g, fault := greetingOf(req, n.words)
	switch {
	case fault != "":
		w.fail("ERR ", fault)
		return false
	case g.user > 0 && s.Bars&msg.Admitted == 0:
		w.raw(authWrong)
		return false
	case g.user == 0 && !s.Authenticated:
		n.denyStranger(s)
		w.raw(helloNoAuth)
		return false
	}
	if g.name > 0 {
		setName(s, string(n.words.word(req, g.name)))
	}
	return true
}

// answerHello agrees to RESP2, and to RESP3 if the servers speak it. If they do not, it
// refuses in words on which clients fall back to RESP2. The version changes only if nothing is
// refused.
func (n *introducer) answerHello(req *msg.Request, s *msg.Session, w writer) {
	lane := s.Lane
	version, refusal := n.helloVersion(req)
	if refusal != "" {
		w.raw(refusal)
		return
	}
	if version != 0 {
		lane.RESP = version
	}
	introduce := n.introduce
	if n.passes {
		introduce = n.introducePassed
	}
	if !introduce(req, s, w) {
		return
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
	w.integer(versionOf(lane))
	w.bulkString("id")
	w.integer(int64(s.ID))
	w.pair("mode", n.mode())
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

// helloVersion is the version of the protocol that a HELLO asks for; 0: it names none.
// refusal is the answer if it cannot be had.
func (r *rules) helloVersion(req *msg.Request) (version uint8, refusal string) {
	if len(req.Args) < 2 {
		return 0, ""
	}
	asked, ok := number(req, 1)
	switch {
	case !ok:
		return 0, "-ERR Protocol version is not an integer or out of range\r\n"
	case asked != 2 && asked != 3:
		return 0, helloNoProto
	case asked == 3 && r.learned.load().resp3 != able:
		return 0, helloNoRESP3
	}
	return uint8(asked), ""
}

// versionOf is the lane's version of the protocol.
func versionOf(l msg.Lane) int64 {
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
	s.EndMulti()
	s.SetTracking(nil)
	s.Bars &= msg.Elsewhere
	n.Begin(s)
	s.Lane = msg.DefaultLane
	if s.Replies == msg.RepliesOff {
		s.Replies, s.Muted = msg.RepliesOn, false
	}
	w.status("RESET")
}
