package proxy

import (
	"log/slog"

	"nuthatch/internal/acl"
	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// What the rights of users mean here. The protocol judges each request of a client whose
// user may not do everything, as one of the reasons that bar it (see session.go). After a
// reload every client is judged by the new rules:
//
//	its user is no more                         it is closed
//	its user may not listen to what it hears    it is closed
//	its user may not track, but it does         it is closed
//	its user has other rights, and it tracks    it forgets all that it has read
//	it waits at a server, and may not           the wait ends with an error
//	it collects a transaction                   EXEC judges the commands again
//
// A pool that becomes one for reading alone, or whose clients may no longer see every
// command, has clients judged in the same way.

// A Guard is a protocol whose clients are users with rights.
type Guard interface {
	// AllowsAtOnce tells that the client may send the request. It is asked if the session has
	// msg.Restricted and nothing else that bars requests. If it is false, Allows tells.
	AllowsAtOnce(req *msg.Request, s *msg.Session) bool
	// Denied is what the request that was answered last was refused for. It is asked if
	// the session has msg.Denied.
	Denied() msg.Denial
	// LogDenied keeps that, with what is known of the client.
	LogDenied(c *msg.ClientFacts, wallMicros int64)
	// LogIn makes the client the user of that name, which its certificate has. It returns
	// false if there is none who may log in.
	LogIn(s *msg.Session, name string) bool
	// MayListen reports whether the client's user may hear of a channel. The name is the
	// client's.
	MayListen(s *msg.Session, kind msg.Channels, name string) bool
	// UserName is the name of the client's user.
	UserName(s *msg.Session) string
	// MayMonitor reports whether the client's user may see every command, MayTrack whether it
	// may be told when keys change.
	MayMonitor(s *msg.Session) bool
	MayTrack(s *msg.Session) bool
	// Users are those of the pool. They stay the same.
	Users() *acl.Users
	// UserOf is the client's user.
	UserOf(s *msg.Session) *acl.User
	// JudgeKeys judges about that many of the keys of a request. t is zero before the
	// first call; done says that there are no more. Judged then says what became of it,
	// for as long as the request is taken; after that it is called with nil.
	JudgeKeys(t *acl.Trial, req *msg.Request, s *msg.Session, keys int) (done bool)
	Judged(req *msg.Request, t *acl.Trial)
}

// begin makes s the session of a client that has said nothing.
func (c *capabilities) begin(s *msg.Session) {
	if c.sessions == nil {
		s.Authenticated = true
		return
	}
	c.sessions.Begin(s)
}

// A certified is a stage whose client may have shown a certificate.
type certified interface {
	// Names are those of the certificate.
	Names() (common, alternative []string)
}

// logInByCertificate makes a client the user that its certificate names, after its
// handshake. Without such a user nothing changes.
func logInByCertificate(c *client, st eventloop.Stage) {
	p := c.pool
	from := p.conf.TLS.UserFrom
	s, ok := st.(certified)
	if !ok || from == config.UserFromNone || p.proto.guard == nil || c.state != clientOpen {
		return
	}
	common, names := s.Names()
	if from == config.UserFromCN {
		if names = common; len(names) > 1 {
			logAmbiguous(c, len(names))
			return
		}
	}
	for _, name := range names {
		if p.proto.guard.LogIn(&c.session, name) {
			p.stats.Values[stats.CertificateLogins]++
			return
		}
	}
}

// logAmbiguous logs that a certificate has several common names. Programs disagree on which one
// counts, so none does.
func logAmbiguous(c *client, names int) {
	p := c.pool
	if missed, ok := p.certPace.mayLog(p.ctx.loop.Now()); ok {
		p.ctx.log.Warn("client is not logged in: its certificate has several common names", append(clientAttrs(c),
			slog.Int("names", names), slog.Int("left_out", missed))...)
	}
}

// deniedFields are the statistics of denials.
var deniedFields = [msg.NumDenials]stats.PoolField{
	msg.DeniedLogin:    stats.FailedLogins,
	msg.DeniedCommand:  stats.DeniedCommands,
	msg.DeniedKey:      stats.DeniedKeys,
	msg.DeniedChannel:  stats.DeniedChannels,
	msg.DeniedDatabase: stats.DeniedDatabases,
	msg.DeniedStranger: stats.DeniedStrangers,
	msg.DeniedPing:     stats.DeniedPings,
}

// denied counts that the client's request was refused for lack of a right, and keeps it in
// the log of denials, unless there have been many just now.
func (d *dispatch) denied() {
	c, p := d.client, d.client.pool
	ctx := p.ctx
	c.session.Bars &^= msg.Denied
	kind := p.proto.guard.Denied()
	p.stats.Values[deniedFields[kind]]++
	if kind == msg.DeniedStranger || kind == msg.DeniedPing {
		return
	}
	now := ctx.loop.Now()
	if now-ctx.denials.since >= slowPeriod {
		ctx.denials = slowBudget{since: now}
	}
	if ctx.denials.spent++; ctx.denials.spent > slowBurst {
		return
	}
	facts := c.facts()
	p.proto.guard.LogDenied(&facts, ctx.loop.WallMicros(now))
}

// mayNoMore answers the EXEC of a transaction that the client may send no more. It reports
// false if it may. The message of the EXEC is m, and stands in the out-queue.
func (t *multi) mayNoMore(tx *transaction, m *msg.Msg) bool {
	c := t.client
	why := c.whyNoMore(tx)
	if why == msg.OK {
		return false
	}
	if c.watches() {
		c.own.unwatch()
	}
	c.aborted(m, why)
	return true
}

// whyNoMore is why the client may not send all commands of the transaction any more.
func (t *multi) whyNoMore(tx *transaction) msg.Reason {
	c, p := t.client, t.client.pool
	parser, session := p.proto.NewRequestParser(), c.session
	session.Bars |= msg.Collecting
	parts := make([]*mbuf.Chain, 0, len(tx.more)+1)
	parts = append(parts, &tx.bytes)
	for i := range tx.more {
		parts = append(parts, &tx.more[i].bytes)
	}
	p.ctx.turn.countAtOnce(Amount{Bytes: tx.size()})
	for _, part := range parts {
		rest := part.AppendTo(nil)
		for first := true; len(rest) > 0; first = false {
			n, done, err := parser.Parse(rest)
			if err != nil || !done {
				return msg.NoPermission
			}
			req := parser.Finish(rest[:n])
			rest = rest[n:]
			if !first && p.transactor().Collect(req, &session) != msg.Queued { // the first is MULTI
				return whyRefused(req)
			}
		}
	}
	return msg.OK
}

// whyRefused is why a request is refused that was allowed before a reload.
func whyRefused(req *msg.Request) msg.Reason {
	if req.ReadOnly {
		return msg.PoolReadOnly
	}
	return msg.NoPermission
}

// judgeClients judges what the clients of a pool do all the time, after a reload has taken
// rights away. It closes those that may do so no more.
func (a *adoption) judgeClients() {
	p, before := a.pool, a.guard
	gone, refused := 0, 0
	visitClients(p, func(c *client) {
		switch {
		case c.state == clientClosed:
		case c.session.Bars&msg.UserGone != 0:
			gone++
			c.lastErr = closeReason{why: msg.UserRemoved}
			c.close()
		case mayDoNoMore(c):
			refused++
			c.lastErr = closeReason{why: msg.NoPermission}
			c.close()
		default:
			if tracks(c) && !p.proto.guard.UserOf(&c.session).SameRules(before.UserOf(&c.session)) {
				c.own.track.lapse()
			}
			if c.blocked() {
				c.own.block.judge()
			}
		}
	}, func() {
		if gone+refused > 0 {
			p.ctx.log.Notice("rights have changed: clients are closed that have no user any more, or may not listen to their channels, monitor or track",
				slog.String("pool", p.conf.Name), slog.Int("without_user", gone), slog.Int("refused", refused))
		}
	})
}

// mayDoNoMore reports whether the client's user may not do what the client does all the time.
func mayDoNoMore(c *client) bool {
	guard := c.pool.proto.guard
	switch {
	case c.own != nil && c.own.subs != nil && !c.own.subs.mayListen():
		return true
	case monitors(c) && (!c.pool.conf.AllowMonitor || !guard.MayMonitor(&c.session)):
		return true
	}
	return tracks(c) && !guard.MayTrack(&c.session)
}

// judge ends the wait of a request that its client may not send any more.
func (b *blocking) judge() {
	c := b.own.client
	p := c.pool
	parser := p.proto.NewRequestParser()
	_, done, err := parser.Parse(b.text)
	if err != nil || !done { // what cannot be judged is not allowed
		b.endEarly(recallsRight)
		return
	}
	if req := parser.Finish(b.text); req.ReadOnly || !p.proto.sessions.Allows(req, &c.session) {
		b.endEarly(recallsRight)
	}
}

// cannotEnd closes the client of a wait that it may go on with no more, since the server
// cannot be told to end it.
func (b *blocking) cannotEnd() {
	if b.recall == recallsRight {
		c := b.own.client
		c.lastErr = closeReason{why: msg.NoPermission}
		c.close()
	}
}

// mayListen reports whether the client's user may listen to all that it listens to.
func (s *subscriber) mayListen() bool {
	c := s.client
	for kind, all := range s.listens {
		c.pool.ctx.turn.count(Amount{Keys: all.size()})
		for name, at := range all.all() {
			if !c.pool.proto.guard.MayListen(&c.session, msg.Channels(kind), shownOr(at.shown, name)) {
				return false
			}
		}
	}
	return true
}
