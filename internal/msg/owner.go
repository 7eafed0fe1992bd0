package msg

// An Owner waits for a message's reply: the client connection that a request
// came from, or whoever in the proxy sent one of its own.
type Owner interface {
	// OnReply hands over the reply to m. See Reply for who owns what.
	OnReply(m *Msg, r Reply)
	// OnFailure says that m got no reply and will get none. m.Err holds why.
	OnFailure(m *Msg)
	// Party is whom the owner works for; nil: the proxy asks for itself. It never
	// changes.
	Party() Party
}

// A Party is whom messages are for in the end, whoever owns them. What is held of them
// counts against it, and its requests keep their order. Parties are compared with ==.
type Party interface {
	// Unsent is how many bytes of replies wait until the party reads. One that
	// does not read keeps its servers from being read when memory is short.
	Unsent() int
	// AwaitReplies has nothing more sent for the party before what it has in flight is
	// answered: what comes later could overtake that, on another connection.
	AwaitReplies()
}

// Party is whom the message is for; nil: nobody waits for it, or the proxy itself.
func (m *Msg) Party() Party {
	if m.Owner == nil {
		return nil
	}
	return m.Owner.Party()
}
