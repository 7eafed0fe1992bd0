package proxy

import "nuthatch/internal/msg"

// firstReplyGuess is the assumed size, in bytes, of a client's first replies.
// With it a client starts with a few dozen requests in flight at the default
// bound.
const firstReplyGuess = 16 << 10

// An account is what a client holds: its requests that are not answered, what they and
// their replies take, and what more may come. It belongs to the loop.
type account struct {
	// outq are the requests that wait for their replies, or for their turn.
	outq msg.ClientQueue
	// quiet is the number of messages in flight that the client does not wait
	// for; they are not in outq.
	quiet int
	// held is the sum of Held over the client's messages: what is in flight to
	// servers and what waits for its turn, in bytes.
	held int
	// replySize estimates the size of this client's replies: the largest seen,
	// which decays slowly.
	replySize int
	// guesses: no reply to the client has been seen, and replySize is a guess.
	guesses bool
	// names is how many bytes of the client's names are counted.
	names int
}

// openAccount begins the account of a client whose first replies may have so many bytes.
func (a *account) openAccount(firstReply int) { a.replySize, a.guesses = firstReply, true }

// inFlight is how many requests have been taken and not yet answered.
func (a *account) inFlight() int { return a.outq.Len() + a.quiet }

// hold counts n bytes of m against the client's bound, in place of what m
// counted before.
func (a *account) hold(m *msg.Msg, n int) {
	a.held += n - m.Held
	m.Held = n
}

// retire ends a message that is in no queue any more, and its fragments, all of which are
// answered.
func (a *account) retire(ctx *Context, m *msg.Msg) {
	a.hold(m, 0)
	ctx.memory.expect(m, 0)
	if m.Rare {
		ctx.dropMerged(m)
	}
	ctx.msgs.Put(m)
}

// saw keeps the estimate of the client's replies, of which one has n bytes. others is
// that of the largest replies of all clients, which it keeps too.
func (a *account) saw(n int, others *int) {
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

// expects is how many bytes the reply to the client's next request may be. A
// client without a reply so far may ask for what others ask for.
func (a *account) expects(others int) int {
	if a.guesses {
		return max(a.replySize, others)
	}
	return a.replySize
}

// countNames counts n bytes of the client's names, in place of what was counted before,
// and returns the difference.
func (a *account) countNames(n int) (more int64) {
	more = int64(n - a.names)
	a.names = n
	return more
}
