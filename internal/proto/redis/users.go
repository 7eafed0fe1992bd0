package redis

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"nuthatch/internal/acl"
	"nuthatch/internal/config"
	"nuthatch/internal/invariant"
	"nuthatch/internal/msg"
)

// Who may do what:
//
//	AUTH  ─► acl.Users.Login ─► Session.User, and Restricted if the user may not do everything
//	request of a restricted session ─► barrier ─► Judge ─┬─ allowed: on its way
//	                                                     └─ forbid: NOPERM, and a denial is noted
//
// The proxy counts the denial, and has it logged with what it knows of the client.

// A guard has clients judged by the rules of their users.
type guard struct {
	*rules
	judge *judge // the protocol's
	// denial is the last request on this loop that was refused for lack of a right, or the
	// last login that failed.
	denial denial
	// judged is the request that has been judged in slices, with what became of it; nil:
	// there is none.
	judged *msg.Request
	trial  *acl.Trial
}

// AllowsAtOnce implements proxy.Guard.
func (g *guard) AllowsAtOnce(req *msg.Request, s *msg.Session) bool {
	return g.judged == nil && g.judge.admits(req, g.userOf(s))
}

// JudgeKeys implements proxy.Guard.
func (g *guard) JudgeKeys(t *acl.Trial, req *msg.Request, s *msg.Session, keys int) (done bool) {
	return g.judge.JudgeSome(t, req, g.userOf(s), g.databases.shown(s.Lane), keys)
}

// Judged implements proxy.Guard.
func (g *guard) Judged(req *msg.Request, t *acl.Trial) { g.judged, g.trial = req, t }

// verdict is whether the client's user may have the request carried out.
func (g *guard) verdict(req *msg.Request, s *msg.Session) acl.Verdict {
	if g.judged == req {
		return g.trial.Verdict()
	}
	return g.judge.Judge(req, g.userOf(s), g.databases.shown(s.Lane))
}

// userOf is the session's user.
func (r *rules) userOf(s *msg.Session) *acl.User {
	if u := r.users.ByNumber(s.User); u != nil {
		return u
	}
	return r.users.Nobody()
}

// forbid answers a request that the user may not send.
func (p *Protocol) forbid(req *msg.Request, s *msg.Session, w writer) {
	if p.failArity(req, s, w) {
		return
	}
	verdict := p.verdict(req, s)
	if verdict.IsAllowed() { // see lacksReset
		verdict.Denial = acl.DeniedCommand
	}
	p.note(req, verdict, s)
	text := verdict.Error(p.CommandOf(req))
	if commands[req.Type].answer == answerExec && s.Bars&(msg.Collecting|msg.RefusedMulti) != 0 {
		text = abortedBy + text
	}
	p.Refused(req, s)
	w.fail(text)
}

// failArity answers a request with a number of words that Redis refuses before it looks at rules.
// That is no denial: it is not noted.
func (n *introducer) failArity(req *msg.Request, s *msg.Session, w writer) bool {
	c := &commands[req.Type]
	if c.id == unknown || c.takes(c.ownWords(req)) {
		return false
	}
	n.Refused(req, s)
	tellArity(c, w)
	return true
}

// tellArity answers a request with a wrong number of words as Redis does.
func tellArity(c *command, w writer) {
	text := "ERR "
	if c.answer == answerExec {
		text = abortedBy
	}
	w.fail(text, wrongArity, " for '", c.name, "' command")
}

// refuseStranger answers a request of a client that has not logged in. As with Redis, a wrong number
// of words and an unknown subcommand are told first. A pool without users answers as nutcracker does,
// and a command that the table lacks is none that servers are asked about for a stranger.
func refuseStranger(p *Protocol, req *msg.Request, s *msg.Session, w writer) {
	c := &commands[req.Type]
	if c.answer == answerSelect {
		p.failSelect(req, s)
	}
	text := noAuthUsers
	switch {
	case !p.named:
		text = noAuth
	case c.id != unknown && !c.takes(c.ownWords(req)):
		tellArity(c, w)
		return
	case req.Error == unknownSubcommand:
		p.refuse(req, c, w)
		return
	case c.answer == answerExec:
		text = execNoAuth
	}
	p.denyStranger(s)
	if c.answer == answerPing {
		p.introducer.denial.kind = msg.DeniedPing
	}
	w.raw(text)
}

// denyStranger notes that a request was refused because its client has not logged in.
func (n *introducer) denyStranger(s *msg.Session) {
	s.Bars |= msg.Denied
	n.denial.kind = msg.DeniedStranger
}

// note notes a denial.
func (g *guard) note(req *msg.Request, v acl.Verdict, s *msg.Session) {
	d, j := &g.denial, g.judge
	switch v.Denial {
	case acl.DeniedKey, acl.DeniedSortBy, acl.DeniedSortGet:
		d.set(msg.DeniedKey, j.WordAt(req, v.At))
	case acl.DeniedChannel:
		d.set(msg.DeniedChannel, j.WordAt(req, v.At))
	case acl.DeniedDatabase:
		d.set(msg.DeniedDatabase, j.WordAt(req, v.At))
	case acl.DeniedCommand, acl.Allowed:
		d.set(msg.DeniedCommand, []byte(j.CommandOf(req)))
	}
	d.user = append(d.user[:0], g.UserName(s)...)
	if s.Bars&msg.Collecting != 0 {
		d.context = acl.InMulti
	}
	s.Bars |= msg.Denied
}

// A denial is what a client was refused.
type denial struct {
	kind         msg.Denial
	context      string
	object, user []byte
}

// maxDenied is how many bytes of a word are kept with a denial.
const maxDenied = 256

// set notes a denial, outside a transaction.
func (d *denial) set(kind msg.Denial, object []byte) {
	d.kind, d.context = kind, acl.TopLevel
	d.object = append(d.object[:0], object[:min(len(object), maxDenied)]...)
}

// deniedReasons are what ACL LOG calls the kinds.
var deniedReasons = [msg.NumDenials]string{
	msg.DeniedLogin:    acl.DeniedLogin,
	msg.DeniedCommand:  acl.DeniedCommand.Reason(),
	msg.DeniedKey:      acl.DeniedKey.Reason(),
	msg.DeniedChannel:  acl.DeniedChannel.Reason(),
	msg.DeniedDatabase: acl.DeniedDatabase.Reason(),
}

// Denied implements proxy.Guard.
func (g *guard) Denied() msg.Denial { return g.denial.kind }

// LogDenied implements proxy.Guard.
func (g *guard) LogDenied(c *msg.ClientFacts, wallMicros int64) {
	d := &g.denial
	line := appendClient(nil, c, g.databases.shown(c.Lane), g.nameOfClient(c))
	g.aclLog.Add(wallMicros/1000, acl.Entry{
		Reason: deniedReasons[d.kind], Context: d.context, Object: string(d.object), User: string(d.user), Client: string(line[:len(line)-1]),
	})
}

// LogIn implements proxy.Guard. A name with control characters is refused: what reads the
// certificate elsewhere may take it for another one.
func (g *guard) LogIn(s *msg.Session, name string) bool {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }) {
		return false
	}
	u := g.users.Named([]byte(name))
	if u == nil || !u.IsOn() {
		return false
	}
	become(s, u)
	s.Authenticated = true
	return true
}

// MayListen implements proxy.Guard.
func (g *guard) MayListen(s *msg.Session, kind msg.Channels, name string) bool {
	return s.Bars&msg.Restricted == 0 || g.userOf(s).MayListen([]byte(name), kind == msg.Patterns)
}

// UserName implements proxy.Guard.
func (g *guard) UserName(s *msg.Session) string { return g.nameOfUser(s.Lane, s.User) }

// nameOfClient is the name of a client's user.
func (r *rules) nameOfClient(c *msg.ClientFacts) string { return r.nameOfUser(c.Lane, c.User) }

// nameOfUser is the name of whoever has that lane and is that user of the pool.
func (r *rules) nameOfUser(lane msg.Lane, user uint16) string {
	if r.passes {
		return r.logins.nameOf(lane.User)
	}
	return r.nameOf(user)
}

// MayMonitor implements proxy.Guard.
func (g *guard) MayMonitor(s *msg.Session) bool { return g.mayRun(s, monitorCommand) }

// MayTrack implements proxy.Guard.
func (g *guard) MayTrack(s *msg.Session) bool { return g.mayRun(s, clientTracking) }

var (
	monitorCommand = lookup([]byte("monitor")).id
	clientTracking = lookup([]byte("client")).lookupSub([]byte("tracking")).id
)

// mayRun reports whether the client may send a command that has no keys.
func (g *guard) mayRun(s *msg.Session, command msg.Type) bool {
	if s.Bars&msg.Restricted == 0 {
		return true
	}
	t := g.userOf(s).Begin(int(command), nil, g.databases.shown(s.Lane))
	return t.Verdict().IsAllowed()
}

// Users implements proxy.Guard.
func (g *guard) Users() *acl.Users { return g.users }

// UserOf implements proxy.Guard.
func (g *guard) UserOf(s *msg.Session) *acl.User { return g.userOf(s) }

// nameOf is the name of the user of that number.
func (r *rules) nameOf(number uint16) string {
	if u := r.users.ByNumber(number); u != nil {
		return u.Name()
	}
	return ""
}

// NewUsers makes a pool's users from its configuration, whose passwords have been read,
// and from the text of its file of users. where is the configuration's file, before the
// users that were in force, or nil. The error names every fault.
func NewUsers(where string, p *config.Pool, file []byte, before *acl.Users) (*acl.Users, error) {
	b := acl.NewBuilder(ACLTable())
	if p.ACLFile != "" {
		b.File(p.ACLFile, file)
	}
	for i := range p.Users {
		u := &p.Users[i]
		b.User(where+":"+strconv.Itoa(u.Line)+": pool '"+p.Name+"': users", u.Name, u.AllRules())
	}
	if p.RedisAuth != "" {
		if b.Has(acl.DefaultName) {
			b.AddFault(&acl.RuleError{
				Where: p.ACLFile, User: acl.DefaultName,
				Text: "the password of this user is given by 'redis_auth' already: keep one of the two",
			})
		}
		b.DefaultPassword(p.RedisAuth.Sum())
		if p.RedisAuthPrevious != "" {
			b.DefaultPassword(p.RedisAuthPrevious.Sum())
		}
	}
	for i := range p.UserLimits {
		if u := &p.UserLimits[i]; u.IsBounded() {
			b.JudgeAlways(u.Name)
		}
	}
	return b.Build(before)
}

// usersOf are the users of a pool without users of its own.
func usersOf(o *Options) *acl.Users {
	users, err := NewUsers("", &config.Pool{RedisAuth: o.Auth, RedisAuthPrevious: o.AuthPrevious, UserLimits: o.UserLimits}, nil, nil)
	invariant.Check(err == nil, "redis: a fault in no rules")
	return users
}
