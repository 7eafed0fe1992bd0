package msg

// Queueing is what becomes of a request between MULTI and EXEC.
type Queueing uint8

const (
	// Apart is not part of the transaction. The request is answered by itself, and may
	// end the transaction.
	Apart Queueing = iota
	// Queued means that the request waits for EXEC.
	Queued
	// Unqueued means that the request is refused, and aborts the transaction.
	Unqueued
	// Unlearnt means that a server has to be asked about the command.
	Unlearnt
	// Executes means that the request is the EXEC of a transaction that can be carried out.
	Executes
)

// EndMulti ends the session's transaction, whatever its result.
func (s *Session) EndMulti() {
	s.Bars &^= Collecting | Aborted | RefusedMulti | RefusedWatch
	s.Collected, s.Watched = 0, 0
	if t := s.Tracking(); t != nil {
		t.Caching = false
	}
}

// A BlockReply is what a server says within a transaction's block, before the reply to
// its EXEC.
type BlockReply uint8

const (
	// BlockStray is none of these.
	BlockStray BlockReply = iota
	// BlockBegun says that MULTI was accepted.
	BlockBegun
	// BlockQueued says that a command was queued.
	BlockQueued
	// BlockObjection says that the server refuses MULTI or a command.
	BlockObjection
)

// An Unblocking is the server's answer to CLIENT UNBLOCK.
type Unblocking uint8

const (
	// NotBlocked says that nothing waited, or not yet.
	NotBlocked Unblocking = iota
	// WasBlocked says that the wait has ended.
	WasBlocked
	// NotAllowed says that the server refuses CLIENT UNBLOCK.
	NotAllowed
)
