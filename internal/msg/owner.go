package msg

import "nuthatch/internal/mbuf"

// An Owner waits for a message's reply: the client connection that a request
// came from, or a part of the proxy that sent its own.
type Owner interface {
	// OnReply gives the owner the reply to m. See Reply for who owns what.
	OnReply(m *Msg, r Reply)
	// OnFailure says that m got no reply and will get none. m.Err holds why.
	OnFailure(m *Msg)
	// Party is the client that the owner works for; nil: the proxy itself. It never
	// changes.
	Party() Party
}

// A Party is the client that messages are for in the end, whatever owns them. Their
// memory counts against it, and its requests keep their order. Parties are compared
// with ==.
type Party interface {
	// Unsent is how many bytes of replies wait for the party to read. If it does not
	// read, its servers are not read from when memory is short.
	Unsent() int
	// AwaitReplies has nothing more sent for the party until its requests in flight are
	// answered: a later one could overtake them on another connection.
	AwaitReplies()
	// WroteAt reports whether the party may have written to the server with that mark, or
	// to another one that shares it.
	WroteAt(mark uint32) bool
	// Wrote notes that m, a request that may write, goes to the server with that mark. reaches: it
	// will be sent. If not, the connection is not made yet, and a call without m follows when it is.
	Wrote(m *Msg, mark uint32, reaches bool)
	// Answered notes that the server with that mark has answered m, which may write. Until that
	// time of the loop the party reads from there.
	Answered(m *Msg, mark uint32, until int64)
	// Divide makes requests for one key each of m, a request for several keys that was not
	// carried out. req is what m was sent as. It returns them in the order of their keys,
	// with their bytes in Kept.
	Divide(m *Msg, req *Request) []*Msg
	// BreakUp makes of m, a series, fragments for one key each: m itself for the first key
	// that is not answered, and those for the next ones, which it returns. joined, the reply
	// for the keys before, is given to a fragment of its own.
	BreakUp(m *Msg, joined *mbuf.Chain) (next []*Msg)
}

// Party is the client that the message is for; nil: nobody, or the proxy itself.
func (m *Msg) Party() Party {
	if m.Owner == nil {
		return nil
	}
	return m.Owner.Party()
}
