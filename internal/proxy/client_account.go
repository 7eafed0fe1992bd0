package proxy

import "nuthatch/internal/msg"

// firstReplyGuess is what the first replies to a client are taken to be, in
// bytes, until some have been seen. It makes a client start with a few dozen
// requests in flight at the default bound.
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
	// replySize estimates how large this client's replies are: the largest seen,
	// forgotten little by little.
	replySize int
	// guesses: no reply to the client has been seen, and replySize is a guess.
	guesses bool
	// names is how many bytes the client has said of itself, as far as they are counted.
	names int
}

// open begins the account of a client whose first replies may have so many bytes.
func (a *account) open(firstReply int) { a.replySize, a.guesses = firstReply, true }

// inFlight is how many requests have been taken and not yet answered.
func (a *account) inFlight() int { return a.outq.Len() + a.quiet }

// hold counts n bytes of m against the client's bound, in place of what m
// counted before.
func (a *account) hold(m *msg.Msg, n int) {
	a.held += n - m.Held
	m.Held = n
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

// expects is how many bytes the reply to the client's next request may be. One
// that has had no reply may ask for what others ask for.
func (a *account) expects(others int) int {
	if a.guesses {
		return max(a.replySize, others)
	}
	return a.replySize
}

// name counts n bytes as what the client has said of itself, in place of what was
// counted before, and returns how many more that is.
func (a *account) name(n int) (more int64) {
	more = int64(n - a.names)
	a.names = n
	return more
}
