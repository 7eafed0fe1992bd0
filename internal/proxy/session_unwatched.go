package proxy

import "nuthatch/internal/msg"

// Party implements msg.Owner. A watch owns the WATCH requests of its client that wait.
func (w *watch) Party() msg.Party { return w.own.client }

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
	w.answered()
	w.own.client.OnFailure(m)
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
