package redis

import "nuthatch/internal/msg"

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

// maxAsked is how many bytes are kept of the word of a SELECT that failed.
const maxAsked = 16

// failSelect notes that a client did not get the database that it asked for.
func (n *introducer) failSelect(req *msg.Request, s *msg.Session) {
	s.Bars |= msg.FailedSelect
	names := s.Names()
	names.Asked = ""
	if len(req.Args) > 1 {
		names.Asked = plain(n.words.word(req, 1), maxAsked)
	}
	s.SetNames(names)
}

// isElsewhere tells whether a SELECT asks for another database than the client is in.
// It is for a SELECT that was refused for lack of a login.
func (p *Protocol) isElsewhere(req *msg.Request, s *msg.Session) bool {
	if req.Error != "" {
		return true
	}
	db, fault := p.databases.databaseNamed(req, 1)
	return fault != "" || p.databases.number(msg.Lane{DB: db}) != p.databases.number(s.Lane)
}
