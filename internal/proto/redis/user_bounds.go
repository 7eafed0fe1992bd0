package redis

import (
	"nuthatch/internal/acl"
	"nuthatch/internal/config"
	"nuthatch/internal/invariant"
	"nuthatch/internal/msg"
)

// What user_limits says of what a user may do, whatever its rules or the servers say: to read
// alone, and in some databases alone. It is looked at before the rules, and before anything is
// sent, by the user's name: so it holds for the servers' own users, too.

// userBounds are the bounds of the users that have any, by their names; nil: there are none.
type userBounds map[string]*userBound

// A userBound is what a user may not do.
type userBound struct {
	readOnly bool
	// databases may do everything in some databases, and nothing elsewhere; nil: the user may use
	// all.
	databases *acl.User
}

// boundsOf are the bounds that the configuration has.
func boundsOf(users []config.UserLimit) userBounds {
	var all userBounds
	for i := range users {
		u := &users[i]
		if !u.IsBounded() {
			continue
		}
		if all == nil {
			all = make(userBounds)
		}
		all[u.Name] = &userBound{readOnly: u.ReadOnly, databases: within(u)}
	}
	return all
}

// within is a user who may do everything in the databases that a user is bounded to; nil: in
// all.
func within(of *config.UserLimit) *acl.User {
	if of.Databases == "" {
		return nil
	}
	b := acl.NewBuilder(ACLTable())
	b.User("", of.Name, "on nopass ~* &* +@all "+of.Databases.Rule())
	users, err := b.Build(nil)
	invariant.Check(err == nil, "redis: databases that were never checked")
	return users.Named([]byte(of.Name))
}

// A limiter knows what requests exceed their users' bounds.
type limiter struct {
	*rules
	words *wordReader // the protocol's
	judge *judge      // the protocol's
}

// exceeds tells what of its user's bounds a request exceeds: it may write, or the verdict is a
// denial.
func (l *limiter) exceeds(req *msg.Request, s *msg.Session) (writes bool, v acl.Verdict) {
	b := l.bounds[l.nameOfUser(s.Lane, s.User)]
	if b == nil {
		return false, v
	}
	if b.databases != nil {
		v = l.judge.Judge(req, b.databases, l.databases.shown(s.Lane))
	}
	return b.readOnly && v.IsAllowed() && l.writes(req), v
}

// isBeyond tells whether a request exceeds its user's bounds.
func (l *limiter) isBeyond(req *msg.Request, s *msg.Session) bool {
	writes, v := l.exceeds(req, s)
	return writes || !v.IsAllowed()
}

// writes tells whether a request may write, as in a pool for reading alone.
func (l *limiter) writes(req *msg.Request) bool {
	c := &commands[req.Type]
	if c.id != unknown || len(req.Args) == 0 {
		return c.mayWrite
	}
	known := l.learned.command(l.words.word(req, 0))
	return known != nil && !known.calledBy(req).reads
}

// refuseBeyond answers a request that exceeds its user's bounds.
func (p *Protocol) refuseBeyond(req *msg.Request, s *msg.Session, w writer) {
	if p.failArity(req, s, w) {
		return
	}
	writes, v := p.exceeds(req, s)
	p.note(req, v, s)
	p.Refused(req, s)
	if writes {
		w.fail(readOnlyPool)
		return
	}
	w.fail(v.Error(p.CommandOf(req)))
}
