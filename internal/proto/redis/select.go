package redis

import (
	"strconv"

	"nuthatch/internal/msg"
)

// SELECT: the proxy answers it. The client goes to the lane of the other database.

// answerSelect puts the client in another database.
func (p *Protocol) answerSelect(req *msg.Request, s *msg.Session, w writer) {
	db, fault := p.databases.databaseNamed(req, 1)
	if fault == badDatabase && p.emulate != nil && !p.databases.several() {
		fault = selectInCluster
	}
	if fault != "" {
		p.failSelect(req, s)
		w.fail("ERR ", fault)
		return
	}
	s.Lane.DB = db
	s.Bars &^= msg.FailedSelect | msg.LostDatabase
	w.ok()
}

// failSelect notes that a client did not get the database that it asked for. If that is the one
// that it is in, it is where it wants to be. In a transaction a refused command has no effect, since
// nothing of it is carried out.
func (n *introducer) failSelect(req *msg.Request, s *msg.Session) {
	if s.Bars&(msg.Collecting|msg.RefusedMulti) != 0 {
		return
	}
	if !n.isElsewhere(req, s) {
		s.Bars &^= msg.FailedSelect
		return
	}
	s.Bars |= msg.FailedSelect
	names := s.Names()
	names.Asked = asked(req)
	s.SetNames(names)
}

// asked is the number of the database that a SELECT asks for. It is empty if the SELECT has none: any
// other word may be a secret.
func asked(req *msg.Request) string {
	if len(req.Args) < 2 {
		return ""
	}
	n, ok := number(req, 1)
	if !ok {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// isElsewhere tells whether a SELECT asks for another database than the client is in, or for none.
func (n *introducer) isElsewhere(req *msg.Request, s *msg.Session) bool {
	if req.Error != "" {
		return true
	}
	db, fault := n.databases.databaseNamed(req, 1)
	return fault != "" || n.databases.number(msg.Lane{DB: db}) != n.databases.number(s.Lane)
}

// refuseAfterSelect says that a request is not carried out since a SELECT failed before it, and how
// the client goes on. The SELECT of the database that it is in does, even if its user may not use
// SELECT.
func (p *Protocol) refuseAfterSelect(name string, s *msg.Session, w writer) {
	in, asked := strconv.Itoa(p.databases.shown(s.Lane)), s.Names().Asked
	if asked == "" {
		w.fail("ERR '", name, "' is not carried out: this connection's SELECT failed; SELECT ", in, ", which it is in, or another one that it may use")
		return
	}
	w.fail("ERR '", name, "' is not carried out: this connection asked for database '", asked, "' and did not get it; SELECT ", in,
		", which it is in, or another one that it may use")
}
