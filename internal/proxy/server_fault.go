package proxy

import (
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// When a connection to a server ends, fail (server.go) fails or saves what waits on it
// (server_retry.go), and fault says whether the server is to blame. Enough of its faults
// eject it (topology/ejection.go), and its keys go where the pool's eject says.
//
// Not every end of a connection is a failure of its server:
//
//	it could not be made, or has timed out, or said nonsense     a failure
//	the server ended it, and it owed a reply                     a failure
//	  and all that it owed is sent again on another connection   none yet: that one tells
//	  and nothing of what waited had been sent                   none, if it had ever served
//	the server ended it, and nothing waited (idle, unused)       none
//	the server ended it, and does not know its clients           none (strangers.go)
//	the server turned it away in place of a reply (maxclients)   a failure
//
// Those that fail together, as when a server restarts, are one (Health.isAnother).

// An ending is the state of a connection when it ended.
type ending struct {
	// connected: it had been made. begun: some of the requests on it were sent, at
	// least in part.
	connected, begun bool
	// waiting is how many messages were on it, lost how many of them are not sent
	// again.
	waiting, lost int
}

// fault is the failure of the server that the connection's end, for the reason why,
// shows; msg.OK if it shows none.
func (e ending) fault(c *serverConn, why msg.Reason) msg.Reason {
	switch {
	case c.turnedAway != msg.OK && !c.proven:
		return c.turnedAway
	case !e.connected:
		return why
	case !isEnd(why):
		return why
	case isStrangers(c):
		return msg.OK
	case e.waiting == 0 || e.lost == 0 || c.proven && !e.begun:
		return msg.OK
	}
	return why
}

// isEnd reports whether the reason means that the server has ended an open connection.
func isEnd(why msg.Reason) bool {
	switch why {
	case msg.ServerEOF, msg.ConnReset, msg.BrokenPipe, msg.NoDescriptors, msg.AccessDenied:
		return true
	default:
		return false
	}
}

// begun reports whether a byte of the waiting requests was sent.
func (c *serverConn) begun() bool {
	head := c.queue.Head()
	if head == nil {
		return false
	}
	left := c.Conn.Out().Len() + c.handshake.behind.Len() + c.proof.behind.Len()
	return c.written-uint64(left) > head.End-uint64(head.Len)
}

// refused handles a reply that may be an error. It reports whether the server refuses
// all requests, or this connection. The end of a wait that the proxy itself has ended counts
// as no error.
func (c *serverConn) refused(r msg.Reply) bool {
	if c.private != nil && c.private.recalled && c.pool.proto.blocker.Recalled(r) {
		return false
	}
	why, isError := c.server.refused(r, !c.handshake.repeats(c.queue.Head()) && !isAbort(c))
	if isError && c.pool.detours != nil && c.hear(r) {
		return false
	}
	if isError && c.pool.passer != nil && c.lane.key.User == 0 && (!c.strangers || c.pool.open) {
		heardRefusal(c, r)
	}
	if why == msg.LoginRefused && c.private == nil && c.pool.passer == nil && c.pool.conf.LoginKey() != "" {
		c.handshake.again()
	}
	if isError {
		c.pool.commandErrors.replied(c.queue.Head(), &c.pool.ctx.msgs)
	}
	switch why {
	case msg.ReadOnly, msg.Loading, msg.MasterDown: // only this request is refused
		c.demoted(why, r)
		return false
	default:
	}
	if !c.proven && isEnd(why) {
		c.turnedAway = why
	}
	return why != msg.OK
}

// isAbort reports whether the reply to the request at the head of c's queue says no more than
// that a transaction is aborted of which a command was refused in a way that was counted.
func isAbort(c *serverConn) bool {
	head := c.queue.Head()
	if head.Ahead != 0 {
		return false
	}
	return c.detour != nil && c.detour.block == head || c.demotion != nil && c.demotion.block == head
}

// unasked is the reason to close a connection on which the server sent bytes without a
// request. The bytes may say that it refuses the connection.
func (c *serverConn) unasked(data []byte) msg.Reason {
	if r := (msg.Reply{Flat: data}); !c.proven && mayBeError(r) {
		if why, _ := c.server.refused(r, true); isEnd(why) {
			return why
		}
	}
	return msg.BadReply
}

// failAll tells the owners of the messages that they get no reply.
func (c *serverConn) failAll(lost []*msg.Msg, why msg.Reason) {
	ctx := c.pool.ctx
	if why == msg.ServerEOF && c.pool.foundElsewhere { // nutcracker has no such pools
		why = msg.ServerClosed
	}
	for _, m := range lost {
		m.Kept.Release(ctx.bufs)
		if m.Owner == nil {
			ctx.msgs.Put(m)
			continue
		}
		c.server.reasons[stats.ServerFailedRequests][why]++
		m.Err = why
		m.Owner.OnFailure(m)
	}
}

// A failing is the failing of many messages.
type failing struct {
	conn *serverConn
	lost []*msg.Msg
	why  msg.Reason
}

// step implements job.
func (j *failing) step(ctx *Context) (done bool) {
	n := 0
	for n < len(j.lost) && ctx.turn.roomForMessage() {
		n++
	}
	j.conn.failAll(j.lost[:n], j.why)
	j.lost = j.lost[n:]
	return len(j.lost) == 0
}
