package msg

// Queueing is what becomes of a request between MULTI and EXEC.
type Queueing uint8

const (
	// Apart is no part of the transaction. It is answered by itself, and may end
	// the transaction.
	Apart Queueing = iota
	// Queued waits for EXEC.
	Queued
	// Unqueued is refused, and the transaction with it.
	Unqueued
	// Unlearnt is a command that a server has to be asked about.
	Unlearnt
	// Executes is the EXEC of a transaction that can be carried out.
	Executes
)

// EndMulti ends the session's transaction, whatever came of it.
func (s *Session) EndMulti() {
	s.Bars &^= Collecting | Aborted | RefusedMulti | RefusedWatch
	s.Collected, s.Watched = 0, 0
}

// A BlockReply is what a server says within a transaction's block, before the reply to
// its EXEC.
type BlockReply uint8

const (
	// BlockStray is no such reply.
	BlockStray BlockReply = iota
	// BlockBegun says that MULTI was accepted.
	BlockBegun
	// BlockQueued says that a command was.
	BlockQueued
	// BlockObjection says that the server refuses what it was sent.
	BlockObjection
)

// An Unblocking is what a server says of the end of a wait that it was asked for.
type Unblocking uint8

const (
	// NotBlocked says that nothing waited, or not yet.
	NotBlocked Unblocking = iota
	// WasBlocked says that the wait has ended.
	WasBlocked
	// NotAllowed says that the server does not do that.
	NotAllowed
)
