package redis

import "nuthatch/internal/msg"

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
// administration ask here. A user who has logged in by name may send what his rules allow,
// which are looked at before.
func (r *rules) mayAdminister(s *msg.Session) bool { return r.allowAdmin || r.named && s.User != 0 }

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
