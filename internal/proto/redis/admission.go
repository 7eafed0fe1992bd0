package redis

import (
	"slices"
	"strings"

	"nuthatch/internal/msg"
)

// Commands of administration change all servers of the pool, or hold up all of its clients.
// They need a right, which the pool's allow_admin gives to all clients, and rules to users:
//
//	CONFIG SET ─► administer ─┬─ no right, or a setting that must stay ─► refused
//	                          └─ all servers ─► mergeEvery: a status, or which of them have it

// An admission decides which commands of administration are carried out.
type admission struct {
	*rules
	words *wordReader // the protocol's
}

// mayAdminister reports whether the client may administer the servers. All commands of
// administration ask here. Where the pool has users, they may send what their rules allow,
// which are looked at before. That holds for the user default only if his own rules ask for a
// password. Otherwise he is everybody who connects, or who knows the one password of the pool.
func (r *rules) mayAdminister(s *msg.Session) bool {
	switch {
	case r.allowAdmin:
		return true
	case r.passes: // the servers decide
		return s.Lane.User != 0
	case !r.named:
		return false
	case s.User != 0:
		return true
	}
	return r.passwords.none() && r.users.Default().NeedsPassword()
}

// administer is why the request is refused; empty: it may be carried out.
func (a *admission) administer(req *msg.Request, cmd *command, s *msg.Session) string {
	switch {
	case !a.mayAdminister(s):
		return noAdmin
	case cmd.name == "config|set":
		return a.unsettable(req)
	}
	return ""
}

// mayNotInspect refuses a subcommand that looks into a server, unless the pool has one server, and
// allows it. Where the pool has users, their rules are looked at later, and servers that decide do so.
func (p *requestParser) mayNotInspect(sub *command) bool {
	if !sub.admin || !sub.treatment.ByKeys() || p.inspects && p.servers == 1 {
		return false
	}
	p.req.Type, p.req.Args = sub.id, p.spans
	p.refuse(oneServer)
	if p.servers == 1 {
		p.refuse(noAdmin)
	}
	return true
}

// lacksReset tells whether a user's rules forbid CONFIG RESETSTAT, and so a command that they
// allow. That one stands for the right to administer where a command's own categories do not: Redis
// has MEMORY PURGE in none but @slow, since it concerns one server there, CLIENT PAUSE in
// @connection, too, and Valkey COMMANDLOG in none of them.
func (r *rules) lacksReset(command msg.Type, s *msg.Session) bool {
	if r.allowAdmin || !r.named || !slices.Contains(besidesReset, command) || !r.mayAdminister(s) {
		return false
	}
	trial := r.userOf(s).Begin(int(resetStat), nil, 0)
	return !trial.Verdict().IsAllowed()
}

var resetStat = lookup([]byte("config")).lookupSub([]byte("resetstat")).id

// besidesReset are the commands of which lacksReset tells.
var besidesReset = func() (all []msg.Type) {
	for i := range commands {
		if c := &commands[i]; c.answer == answerPause || c.admin && !slices.Contains(strings.Fields(c.facts.flags), "admin") {
			all = append(all, c.id)
		}
	}
	return all
}()
