package redis

import (
	"strconv"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// What a client said before, or did not say, can be a reason not to carry out a
// request:
//
//	                          what is refused         until
//	it has not logged in      all but the login       it does
//	Restricted                what its user may not   it logs in as another user, RESET
//	its user has limits       writes, databases       it logs in as another user, RESET
//	RefusedMulti              all                     EXEC, DISCARD, RESET
//	FailedSelect              what is for servers     a SELECT succeeds, or names where it is, RESET
//	LostDatabase              what is for servers     a SELECT succeeds, RESET
//	Listening, in RESP2       all but a few           it listens to nothing any more, RESET
//	Monitoring                what is for servers     RESET
//	Elsewhere                 what has keys           another proxy is asked
//
// Most clients send MULTI, or SELECT, together with the next requests, and many do not
// look at the answer. So the proxy judges the next requests by that answer.

// A barrier is why a request is not carried out.
type barrier uint8

const (
	noBarrier barrier = iota
	notLoggedIn
	forbidden
	beyondLimits
	inRefusedMulti
	behindFailedSelect
	inLostDatabase
	whileItListens
	monitoring
	elsewhere
)

// Allows implements proxy.SessionKeeper.
func (p *Protocol) Allows(req *msg.Request, s *msg.Session) (ok bool) {
	return p.barrier(req, s) == noBarrier
}

// ChangesUser implements proxy.SessionKeeper.
func (r *rules) ChangesUser(req *msg.Request) bool {
	switch commands[req.Type].answer {
	case answerAuth, answerHello, answerReset:
		return true
	default:
		return false
	}
}

// Refused implements proxy.SessionKeeper. What the refusal of a request means for later ones, it
// means for whatever reason it is refused.
func (n *introducer) Refused(req *msg.Request, s *msg.Session) {
	switch commands[req.Type].answer {
	case answerMulti:
		if s.Bars&msg.Collecting == 0 {
			s.Bars |= msg.RefusedMulti
		}
	case answerExec:
		if s.Bars&(msg.Collecting|msg.RefusedMulti) != 0 {
			s.EndMulti()
		}
	case answerWatch:
		s.Bars |= msg.RefusedWatch
	case answerSelect:
		n.failSelect(req, s)
	default:
	}
}

// barrier is why a request of the session is not carried out, or none.
func (p *Protocol) barrier(req *msg.Request, s *msg.Session) barrier {
	cmd := &commands[req.Type]
	switch {
	case req.Treatment == msg.Quit, req.Treatment == msg.Ignore, p.asksWhoIsThere(req, cmd):
	case !s.Authenticated && !beforeAuth(cmd.answer):
		return notLoggedIn
	case p.bounds != nil && p.isBeyond(req, s):
		return beyondLimits
	case s.Bars&msg.Restricted != 0 && (!p.verdict(req, s).IsAllowed() || p.lacksReset(req.Type, s)):
		return forbidden
	case s.Bars&msg.RefusedMulti != 0 && !besideMulti(req, cmd):
		return inRefusedMulti
	case s.Bars&msg.Listening != 0 && !s.Lane.IsRESP3() && p.listenerMayNot(req, cmd):
		return whileItListens
	case !isForServers(req, cmd):
	case s.Bars&msg.LostDatabase != 0:
		return inLostDatabase
	case s.Bars&msg.Monitoring != 0:
		return monitoring
	case s.Bars&msg.FailedSelect != 0 && p.failedSelect == config.FailedSelectRefuse:
		return behindFailedSelect
	case s.Bars&msg.Elsewhere != 0 && p.goesElsewhere(req, s):
		return elsewhere
	}
	return noBarrier
}

// besideMulti tells whether a command is answered by itself in a transaction, too: it
// ends the transaction, or is always refused.
func besideMulti(req *msg.Request, cmd *command) bool {
	switch cmd.answer {
	case answerMulti, answerExec, answerDiscard, answerReset:
		return true
	case answerEmulated, answerMyID:
		return req.Error != ""
	default:
		return cmd.reason != "" && cmd.id != unknown && req.Treatment == msg.Local
	}
}

// isForServers tells whether servers take part in the answer to a request.
func isForServers(req *msg.Request, cmd *command) bool {
	switch req.Treatment {
	case msg.Forward, msg.Fragment, msg.Watch, msg.Block, msg.Publish, msg.Confirm, msg.Broadcast, msg.One:
		return true
	case msg.Learn:
		return cmd.id == unknown
	case msg.Local, msg.Track, msg.Monitor, msg.Subscribe, msg.Gather, msg.Report, msg.Quit, msg.Ignore:
	}
	return false
}

// refuseBarred appends why the request is not carried out.
func (p *Protocol) refuseBarred(why barrier, req *msg.Request, s *msg.Session, w writer) {
	if why == monitoring {
		w.raw(noKeyspace)
		return
	}
	if why == notLoggedIn {
		refuseStranger(p, req, s, w)
		return
	}
	if why == forbidden {
		p.forbid(req, s, w)
		return
	}
	if why == beyondLimits {
		p.refuseBeyond(req, s, w)
		return
	}
	if why == elsewhere {
		emulated{&p.rules, &p.wordReader}.sendElsewhere(req, w)
		return
	}
	name := p.shownName(req)
	switch why {
	case whileItListens:
		p.refuseListener(req, w)
	case inRefusedMulti:
		w.fail("ERR '", name, "' is not carried out: MULTI was refused, and with it all that follows up to EXEC or DISCARD")
	case inLostDatabase:
		w.fail("ERR '", name, "' is not carried out: the pool no longer has database ", strconv.Itoa(s.Lane.DB),
			", which this connection is in; SELECT another one")
	case behindFailedSelect:
		p.refuseAfterSelect(name, s, w)
	case noBarrier, notLoggedIn, forbidden, beyondLimits, monitoring, elsewhere:
	}
}

// noKeyspace is what Redis says to a client that monitors and asks for a key.
const noKeyspace = "-ERR Replica can't interact with the keyspace\r\n"

// Adopt implements proxy.SessionKeeper. A client that has logged in stays logged in, even
// if the password has changed, or its user is off now, as with Redis. Without a password no
// login is required. A chosen database stays; if the pool no longer has it, requests are
// refused. A client whose user is no more can do nothing but log in again.
//
// A client of a pool whose servers decide now, or do no more, can do nothing either.
func (p *Protocol) Adopt(s *msg.Session) {
	if p.passes != (s.Bars&msg.PassedOn != 0) {
		s.Authenticated = false
		s.Bars |= msg.UserGone
		return
	}
	if u := p.users.ByNumber(s.User); u != nil {
		become(s, u)
		s.Authenticated = s.Authenticated || s.User == 0 && u.IsOn() && !u.NeedsPassword()
	} else {
		become(s, p.users.Default())
		s.Authenticated = false
		s.Bars |= msg.UserGone
	}
	s.Bars &^= msg.LostDatabase
	if !p.databases.has(s.Lane) {
		s.Bars |= msg.LostDatabase
	}
}
