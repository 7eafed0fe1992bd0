package proxy

import "nuthatch/internal/msg"

// Party implements msg.Owner. A watch owns the WATCH requests of its client that wait.
func (w *watch) Party() msg.Party { return w.own.client }

// A WATCH that gets no reply of its server refuses the next transaction: its client may not have
// looked at the error, and what it writes must not go without the watch. If MULTI has come
// already, it is the transaction that it stands in. A server's own error does not: a client of
// that server would go on, too.
//
//	client   WATCH k    MULTI        SET k 1 ... EXEC
//	         an error   an error     refused up to EXEC or DISCARD
//
// What was sent before the reply, with its EXEC, cannot be held back any more: the server decides.

// OnReply implements msg.Owner. If the server has refused all that was to be watched, the
// client watches nothing, and gives the connection back.
func (w *watch) OnReply(m *msg.Msg, r msg.Reply) {
	o, c, via := w.own, w.own.client, m.Via
	refused := mayBeError(r)
	c.OnReply(m, r)
	if !w.answered() || w.conn == nil || via != w.conn {
		return
	}
	w.taken = w.taken || !refused
	if !w.taken && w.waiting == 0 && c.state != clientClosed {
		c.session.Watched = 0
		o.endWatch(false)
	}
}

// OnFailure implements msg.Owner.
func (w *watch) OnFailure(m *msg.Msg) {
	w.failed()
	w.own.client.OnFailure(m)
}

// expired notes that m takes too long, if it is a WATCH that waits.
func (w *watch) expired(m *msg.Msg) {
	if m.Owner == w {
		w.failed()
	}
}

// failed notes that a WATCH has no reply.
func (w *watch) failed() {
	if w.answered() {
		w.refuseNext()
	}
}

// refuseNext has the client's next transaction refused, or aborts the one that it is in.
func (w *watch) refuseNext() {
	c := w.own.client
	c.session.Bars |= msg.RefusedWatch
	if c.collects() {
		c.abort()
	}
}

// answered counts a WATCH that waits no more, and reports whether it belongs to the present
// watch.
func (w *watch) answered() bool {
	w.waiting--
	if w.ended > 0 {
		w.ended--
		return false
	}
	return true
}
