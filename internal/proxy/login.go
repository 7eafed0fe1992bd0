package proxy

import (
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A client that has not logged in, in a pool that wants a password, gets little: small
// requests (RequestParser.Restrict), few replies (queuedBeforeLogin), few requests
// (maxEarly), and a time to log in (client_login_timeout).

// maxEarly is how many requests a client may send without a login, in a row.
const maxEarly = 256

// mayTry counts a request of a client that has not logged in. If it is one too many, the
// client gets an error and is closed.
func mayTry(c *client) bool {
	if c.early++; c.early <= maxEarly {
		return true
	}
	c.closing(closeReason{why: msg.TooManyTries})
	c.pool.proto.AppendError(c.pool.ctx.bufs, c.Out(), msg.TooManyTries.String())
	c.Flush()
	return false
}

// logins are the clients of a pool, on one loop, that have not logged in when they came, in
// the order in which they came. A client that logs in or goes stays until its turn comes, or
// until there are too many.
type logins struct{ waiting []login }

// A login is a client that is to log in, and since when.
type login struct {
	id    uint64
	since int64
}

// awaitLogin notes that the client is to log in, if it has not. With TLS its handshake is
// over.
func awaitLogin(c *client) {
	if c.session.Authenticated || c.state != clientOpen {
		return
	}
	p := c.pool
	l := &p.logins
	if len(l.waiting) > 2*len(p.byID)+64 {
		l.waiting = slices.DeleteFunc(l.waiting, func(at login) bool { return p.toLogIn(at.id) == nil })
	}
	now := p.ctx.loop.Now()
	l.waiting = append(l.waiting, login{c.session.ID, now})
	if limit := int64(p.conf.ClientLoginTimeout); limit > 0 {
		p.ctx.nextLogin = soonest(p.ctx.nextLogin, now+limit)
	}
}

// toLogIn is the client of that number, if it is still there and has not logged in.
func (l *clientList) toLogIn(id uint64) *client {
	if c := l.byID[id]; c != nil && !c.session.Authenticated {
		return c
	}
	return nil
}

// checkLogins closes the clients that have not logged in in time, and sets when to look again.
func (t *timers) checkLogins(now int64) {
	t.nextLogin = 0
	for _, p := range t.ctx.pools {
		if limit := int64(p.conf.ClientLoginTimeout); limit > 0 {
			t.nextLogin = soonest(t.nextLogin, checkLogins(p, now, limit))
		}
	}
}

// checkLogins is that for one pool, and returns when to look again; 0: never.
func checkLogins(p *ServerPool, now, limit int64) (next int64) {
	l := &p.logins
	done := 0
	for _, at := range l.waiting {
		c := p.toLogIn(at.id)
		switch {
		case c == nil:
		case now < at.since+limit:
			next = at.since + limit
		case !p.ctx.turn.room():
			next = now
		default:
			cutStranger(c)
		}
		if next != 0 {
			break
		}
		done++
	}
	l.waiting = slices.Delete(l.waiting, 0, done)
	return next
}

// cutStranger closes a client that has not logged in in time, and tells it why if nothing else
// waits to be read.
func cutStranger(c *client) {
	if bufs := c.pool.ctx.bufs; c.Out().Len() == 0 {
		var words mbuf.Chain
		c.pool.proto.AppendError(bufs, &words, msg.LoginTimedout.String())
		c.LastWords(words.Head().Bytes())
		words.Release(bufs)
	}
	c.cut(msg.LoginTimedout)
}
