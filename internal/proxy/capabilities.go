package proxy

import (
	"nuthatch/internal/acl"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// capabilities are a pool's protocol and its optional parts, nil if it does not have them.
// They are looked up once, when the pool gets its protocol.
//
// Invariant: a request's treatment, and its being quiet, need no capability that its
// protocol lacks.
type capabilities struct {
	Protocol
	greeter    Greeter
	sessions   SessionKeeper
	learner    Learner
	preparer   Preparer
	chooser    ServerChooser
	inquirer   Inquirer
	reporter   Reporter
	silencer   Silencer
	crossed    CrossRefuser
	transactor Transactor
	counter    ServerCounter
	lender     Lender
	blocker    Blocker
	messenger  Messenger
	confirmer  Confirmer
	tracker    Tracker
	monitored  Monitored
	guard      Guard
	// gates are for the requests of its users, by number and command; nil: it takes the guard to
	// tell.
	gates [][]*acl.Gate
	// passer is nil unless it passes logins on.
	passer     Passer
	redirector Redirector
	sequencer  Sequencer
}

func capabilitiesOf(p Protocol) capabilities {
	c := capabilities{Protocol: p}
	c.greeter, _ = p.(Greeter)
	c.sessions, _ = p.(SessionKeeper)
	c.learner, _ = p.(Learner)
	c.preparer, _ = p.(Preparer)
	c.chooser, _ = p.(ServerChooser)
	c.inquirer, _ = p.(Inquirer)
	c.reporter, _ = p.(Reporter)
	c.silencer, _ = p.(Silencer)
	c.crossed, _ = p.(CrossRefuser)
	c.transactor, _ = p.(Transactor)
	c.counter, _ = p.(ServerCounter)
	c.lender, _ = p.(Lender)
	c.blocker, _ = p.(Blocker)
	c.messenger, _ = p.(Messenger)
	c.confirmer, _ = p.(Confirmer)
	c.tracker, _ = p.(Tracker)
	c.monitored, _ = p.(Monitored)
	if guard, ok := p.(Guard); ok {
		c.guard, c.gates = guard, guard.Users().Gates()
	}
	if passer, ok := p.(Passer); ok && passer.Passes() {
		c.passer = passer
	}
	c.redirector, _ = p.(Redirector)
	c.sequencer, _ = p.(Sequencer)
	return c
}

// resolve returns the lane of server connections that serves a session's lane.
func (c *capabilities) resolve(lane msg.Lane) msg.Lane {
	if c.sessions == nil {
		return lane
	}
	return c.sessions.Resolve(lane)
}

// A Greeter has a handshake for a fresh server connection, before any request.
// Without one requests go at once.
type Greeter interface {
	// Handshake appends the handshake of a connection of a lane, and returns how many
	// replies it will bring. Each is given to HandshakeReply, and no client gets it.
	Handshake(lane msg.Lane, p *mbuf.Pool, out *mbuf.Chain) int
	// HandshakeReply looks at the i-th reply of the handshake, which is b. objection is
	// the server's error, empty if the server agreed. If unfit is not msg.OK, the
	// connection does not fit the lane and must not be used.
	HandshakeReply(lane msg.Lane, i int, b []byte) (objection string, unfit msg.Reason)
	// Restore appends what a server must be told again after it may have
	// restarted, and returns how many replies that will bring.
	Restore(p *mbuf.Pool, out *mbuf.Chain) int
}

// A SessionKeeper has sessions: a client's earlier requests decide about later ones.
// Without one all requests are allowed, and there is one lane.
type SessionKeeper interface {
	// Resolve returns the lane of server connections that serves a session's lane.
	Resolve(lane msg.Lane) msg.Lane
	// Begin makes s the session of a client that has said nothing.
	Begin(s *msg.Session)
	// Adopt fits the session of a client to the pool's new configuration after a
	// reload.
	Adopt(s *msg.Session)
	// Allows reports whether the request may be carried out. Earlier requests decide
	// that: the client has not logged in, has a user whose rights are restricted, or
	// another bit of s.Bars is set. It is asked only for such sessions.
	Allows(req *msg.Request, s *msg.Session) (ok bool)
	// ChangesUser reports whether a request that the proxy answers itself may make the client
	// another user.
	ChangesUser(req *msg.Request) bool
	// Refused notes what it means for the client's next requests that the request is not carried
	// out.
	Refused(req *msg.Request, s *msg.Session)
}

// A Learner needs a server's help to understand some requests (msg.Learn).
type Learner interface {
	// Ask appends the question about a request, for a server on the default lane. It
	// returns the question's topic: one answer holds for all requests with the same
	// topic. If Ask appends nothing, a Reporter finds the answer. If there is nothing
	// to ask, ok is false.
	Ask(req *msg.Request, s *msg.Session, p *mbuf.Pool, out *mbuf.Chain) (topic string, ok bool)
	// Learn keeps what a server's answer says about the topic, for all loops. Then the
	// request is parsed again. If the reply is no answer, objection is what the server
	// said. A request that is still unknown after that is answered by Local.
	Learn(topic string, reply []byte) (objection string)
}

// A Preparer looks at a request that is to go to every server (msg.Broadcast). Without
// one it goes as it is.
type Preparer interface {
	// Prepare may have other bytes sent.
	Prepare(req *msg.Request, s *msg.Session) (ok bool)
}

// A ServerChooser knows which server a request goes to (msg.One).
type ServerChooser interface {
	// OneServer picks it among the pool's n servers.
	OneServer(req *msg.Request, n int) (server int, ok bool)
	// AppendOne then appends what goes to that server.
	AppendOne(req *msg.Request, n int, p *mbuf.Pool, out *mbuf.Chain)
}

// An Inquirer answers requests about the pool's clients (msg.Gather).
type Inquirer interface {
	// Inquire is what the request asks. If the request names clients one by one, their
	// names are appended to words, for ReadIDs.
	Inquire(req *msg.Request, s *msg.Session, p *mbuf.Pool, words *mbuf.Chain) (about msg.Inquiry, ok bool)
}

// A Reporter answers requests about the whole process (msg.Report).
type Reporter interface {
	// Report returns a function that makes the reply. find calls reply once, on any
	// goroutine. find must be called outside the event loops.
	Report(req *msg.Request, s *msg.Session) (find func(reply func([]byte)), ok bool)
}

// A Silencer has quiet requests, of whose replies clients want only some.
type Silencer interface {
	// Silent reports whether the client of a quiet request does not want this
	// reply to it. The reply is not changed.
	Silent(t msg.Type, r msg.Reply) bool
}

// A CrossRefuser has requests of several keys that cannot be split.
type CrossRefuser interface {
	// AppendCrossServer appends the error for such a request, whose keys a and b, among
	// others, have different owners.
	AppendCrossServer(p *mbuf.Pool, out *mbuf.Chain, req *msg.Request, a, b []byte)
}

// A ServerCounter judges requests by how many servers a pool has.
type ServerCounter interface {
	// SetServers says how many servers there are from now on. It holds for parsers that
	// are made later, and for those that Adopt one of them.
	SetServers(n int)
}
