package msg

// An Owner waits for a message's reply: the client connection that a request
// came from, or a part of the proxy that sent its own.
type Owner interface {
	// OnReply hands over the reply to m. See Reply for who owns what.
	OnReply(m *Msg, r Reply)
	// OnFailure says that m got no reply and will get none. m.Err holds why.
	OnFailure(m *Msg)
	// Party is whom the owner works for; nil: the proxy asks for itself. It never
	// changes.
	Party() Party
}

// A Party is for whom messages are in the end, whatever owns them. Their memory counts
// against it, and its requests keep their order. Parties are compared with ==.
type Party interface {
	// Unsent is how many bytes of replies wait until the party reads. One that
	// does not read keeps its servers from being read when memory is short.
	Unsent() int
	// AwaitReplies sends nothing more for the party until its requests in flight are
	// answered: a later one could overtake them on another connection.
	AwaitReplies()
}

// Party is for whom the message is; nil for nobody, or for the proxy itself.
func (m *Msg) Party() Party {
	if m.Owner == nil {
		return nil
	}
	return m.Owner.Party()
}
