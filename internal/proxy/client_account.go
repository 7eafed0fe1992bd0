package proxy

import "nuthatch/internal/msg"

// firstReplyGuess is the assumed size, in bytes, of a client's first replies. At the
// default bound it lets a client start with a few dozen requests in flight.
const firstReplyGuess = 16 << 10

// An account is what a client holds: its unanswered requests, the bytes of these and of
// their replies, and an estimate of the replies to come. It belongs to the loop.
type account struct {
	// outq are the requests that wait for their replies, or for their turn.
	outq msg.ClientQueue
	// quiet is the number of messages in flight whose replies the client does not want.
	// They are not in outq.
	quiet int32
	// counted is how many of the requests in flight are counted against the pool's limit.
	counted int32
	// held is the sum of Held over the client's messages: what is in flight to
	// servers and what waits for its turn, in bytes.
	held int
	// replySize estimates the size of this client's replies. It is the largest one, and
	// decays slowly.
	replySize int
	// guesses: no reply to the client has been seen, and replySize is a guess.
	guesses bool
	// letIn: the servers have let it in without a login.
	letIn bool
	// early is how many requests it has sent in a row without a login.
	early uint16
	// names is how many bytes of the client's names are counted.
	names int32
}

// openAccount begins the account of a client. firstReply is the assumed size of its
// first replies.
func (a *account) openAccount(firstReply int) { a.replySize, a.guesses = firstReply, true }

// inFlight is how many requests have been taken and not yet answered.
func (a *account) inFlight() int { return a.outq.Len() + int(a.quiet) }

// hold counts n bytes for m against the client's bound, in place of what it counted for
// m before.
func (a *account) hold(m *msg.Msg, n int) {
	a.held += n - m.Held
	m.Held = n
}

// freeMsg gives back a message that is in no queue any more, and its fragments, all of
// which are answered.
func (a *account) freeMsg(ctx *Context, m *msg.Msg) {
	a.hold(m, 0)
	ctx.memory.expect(m, 0)
	if m.Rare {
		ctx.dropMerged(m)
	}
	ctx.msgs.Put(m)
}

// sawReply updates the estimate of the client's replies after a reply of n bytes. It also
// updates others, the estimate of the largest replies of all clients.
func (a *account) sawReply(n int, others *int) {
	if a.guesses {
		a.guesses, a.replySize = false, min(a.replySize, firstReplyGuess)
	}
	if n > firstReplyGuess || *others > firstReplyGuess {
		*others = max(n, *others-*others>>8)
	}
	if n >= a.replySize {
		a.replySize = n
	} else {
		a.replySize -= (a.replySize - n + 7) / 8
	}
}

// expects is how large the reply to the client's next request may be, in bytes. A
// client without a reply so far may ask for what other clients ask for.
func (a *account) expects(others int) int {
	if a.guesses {
		return max(a.replySize, others)
	}
	return a.replySize
}

// countNames counts n bytes of the client's names, in place of what was counted before,
// and returns the difference.
func (a *account) countNames(n int) (more int64) {
	more = int64(n) - int64(a.names)
	a.names = int32(n)
	return more
}
