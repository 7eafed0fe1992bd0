package redis

import (
	"strconv"
	"strings"

	"nuthatch/internal/config"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A transaction is collected by the proxy, and sent in one piece:
//
//	client                            proxy                       server
//	MULTI        ─►  +OK
//	c1           ─►  +QUEUED          kept
//	c2           ─►  +QUEUED          kept
//	EXEC         ─►                   MULTI c1 c2 EXEC  ─►  +OK +QUEUED +QUEUED *2...
//	             ◄─                                     ◄─                      *2...
//
// Errors that need no server are returned when the command is queued: a wrong number
// of words, an unknown or unsupported command. If the server itself refuses a command
// it answers EXEC with EXECABORT.

const (
	// done is what most commands that change something say.
	done        = "+OK\r\n"
	queued      = "+QUEUED\r\n"
	nestedMulti = "-ERR MULTI calls can not be nested\r\n"
	watchInside = "-ERR WATCH inside MULTI is not allowed\r\n"
	// execAborted answers the EXEC of a transaction with a refused command.
	execAborted = "-EXECABORT Transaction discarded because of previous errors.\r\n"
	emptyArray  = "*0\r\n"
	// abortedBy begins the error of an EXEC that is refused itself.
	abortedBy = "EXECABORT Transaction discarded because of: "
)

// answeredHere is why a command that the proxy answers cannot be part of a transaction.
const answeredHere = "inside MULTI, because the proxy answers it itself"

// listensInside is why a SUBSCRIBE cannot be part of a transaction.
const listensInside = "inside MULTI, because what it answers would come between the replies"

// otherInside is why a SELECT cannot be part of a transaction.
const otherInside = "inside MULTI, a client cannot go to another database"

// answerTransaction answers MULTI and DISCARD, and an EXEC that sends nothing to a
// server. An EXEC ends the transaction whatever its words are. With too many of them it ends the
// WATCH even without a transaction, as in Redis.
func (p *Protocol) answerTransaction(req *msg.Request, cmd *command, s *msg.Session, w writer) {
	in := s.Bars & (msg.Collecting | msg.RefusedMulti)
	refused := s.Bars&(msg.Aborted|msg.RefusedMulti) != 0
	wrong := len(req.Args) != cmd.arity
	if cmd.answer == answerExec && (in != 0 || wrong) {
		s.EndMulti()
	}
	switch {
	case cmd.answer == answerExec && wrong:
		w.fail(abortedBy, wrongArity, " for 'exec' command")
	case cmd.answer == answerExec && refused:
		w.raw(execAborted)
	case cmd.answer == answerExec && in != 0:
		w.raw(emptyArray)
	case wrong:
		w.fail("ERR ", wrongArity, " for '", cmd.name, "' command")
	case cmd.answer == answerMulti && in&msg.Collecting != 0:
		w.raw(nestedMulti)
	case cmd.answer == answerMulti:
		p.beginMulti(req, s, w)
	case in == 0:
		w.raw(withoutMulti(cmd))
	default:
		s.EndMulti()
		w.ok()
	}
}

// beginMulti begins a transaction, or refuses it together with the next requests: most
// clients send these with it, and they must not be carried out in pieces.
func (p *Protocol) beginMulti(req *msg.Request, s *msg.Session, w writer) {
	switch {
	case p.transactions == config.TransactionsRefuse:
		s.Bars |= msg.RefusedMulti
		p.unsupported(req, transactionsOff, w)
	case s.Bars&msg.RefusedWatch != 0:
		s.Bars |= msg.RefusedMulti
		w.fail("ERR '", p.shownName(req), "' is not carried out: WATCH was refused before it, and with it all that follows up to EXEC or DISCARD")
	default:
		s.Bars |= msg.Collecting
		w.ok()
	}
}

// withoutMulti answers an EXEC or a DISCARD without a transaction.
func withoutMulti(cmd *command) string {
	if cmd.answer == answerExec {
		return "-ERR EXEC without MULTI\r\n"
	}
	return "-ERR DISCARD without MULTI\r\n"
}

// Collect implements proxy.Transactor.
func (p *Protocol) Collect(req *msg.Request, s *msg.Session) msg.Queueing {
	s.Queueing = p.queueing(req, &commands[req.Type], s)
	if s.Queueing == msg.Unqueued {
		s.Bars |= msg.Aborted
	}
	return s.Queueing
}

// QueuesPlain implements proxy.Transactor.
func (r *rules) QueuesPlain() bool { return r.bounds == nil }

// The usual forms of MULTI and EXEC: all but the name, which may be in any case.
const (
	multiHead = "*1\r\n$5\r\n"
	execHead  = "*1\r\n$4\r\n"
	multiSize = len(multiHead) + len("MULTI\r\n")
	execSize  = len(execHead) + len("EXEC\r\n")
)

// multiID is MULTI's number, and plainExec an EXEC, which nobody changes.
var (
	multiID   = lookup([]byte("multi")).id
	plainExec = &msg.Request{Type: lookup([]byte("exec")).id, Treatment: msg.Local}
)

// Begins implements proxy.Transactor.
func (blockWords) Begins() msg.Type { return multiID }

// BeginsPlain implements proxy.Transactor.
func (r *rules) BeginsPlain(data []byte) (n int) {
	if len(data) < multiSize || string(data[:len(multiHead)]) != multiHead || !beginsWithWord(data[len(multiHead):], "multi\r\n") ||
		r.transactions == config.TransactionsRefuse {
		return 0
	}
	return multiSize
}

// beginsWithWord reports whether data, which is as long at least, begins with the word in any case. The
// word is in lower case.
func beginsWithWord(data []byte, word string) bool {
	for i := range word {
		if b := data[i]; b != word[i] && (word[i] < 'a' || b|0x20 != word[i]) {
			return false
		}
	}
	return true
}

// AppendBegun implements proxy.Transactor.
func (blockWords) AppendBegun(pool *mbuf.Pool, out *mbuf.Chain) { out.AppendString(pool, done) }

// ExecutesPlain implements proxy.Transactor.
func (blockWords) ExecutesPlain(data []byte) (req *msg.Request, n int) {
	if len(data) < execSize || string(data[:len(execHead)]) != execHead || !beginsWithWord(data[len(execHead):], "exec\r\n") {
		return nil, 0
	}
	return plainExec, execSize
}

// queueing is what becomes of a request in a transaction. If that is refused req.Error,
// or a barrier, says why.
func (p *Protocol) queueing(req *msg.Request, cmd *command, s *msg.Session) msg.Queueing {
	switch {
	case req.Treatment == msg.Quit, req.Treatment == msg.Ignore:
		return msg.Apart
	case cmd.isTransaction() && s.Bars&msg.Restricted != 0 && p.barrier(req, s) == forbidden:
		if cmd.answer == answerExec {
			return msg.Apart
		}
		return msg.Unqueued
	case cmd.isTransaction():
		return ending(req, cmd, s)
	case cmd.answer == answerWatch && len(req.Args) < -cmd.arity:
		req.Error = wrongArity
		return msg.Unqueued
	case cmd.answer == answerWatch && p.barrier(req, s) != noBarrier:
		return msg.Unqueued
	case cmd.answer == answerWatch:
		req.Error = ""
		return msg.Apart
	case p.barrier(req, s) != noBarrier:
		return msg.Unqueued
	case req.Error == "" && len(req.Args) > cmd.mostQueued:
		req.Error = wrongArity
		return msg.Unqueued
	}
	switch req.Treatment {
	case msg.Publish:
		p.placeAlong(req, cmd)
		return msg.Queued
	case msg.Forward, msg.Fragment, msg.Watch, msg.Block:
		return msg.Queued
	case msg.Subscribe:
		req.Error = listensInside
	case msg.Confirm, msg.Broadcast, msg.One:
		p.keepOne(req, cmd, s)
	case msg.Learn:
		if cmd.id == unknown {
			return msg.Unlearnt
		}
		req.Error = answeredHere
	case msg.Local:
		if req.Error == "" {
			return p.queueLocal(req, cmd, s)
		}
	case msg.Track, msg.Monitor, msg.Gather, msg.Report:
		if req.Error == "" {
			req.Error = answeredHere
		}
	case msg.Quit, msg.Ignore:
	}
	if req.Error == "" {
		return msg.Queued
	}
	return msg.Unqueued
}

// ending is what becomes of MULTI, EXEC and DISCARD.
func ending(req *msg.Request, cmd *command, s *msg.Session) msg.Queueing {
	right := len(req.Args) == cmd.arity
	switch {
	case cmd.answer == answerExec && right && s.Bars&msg.Aborted == 0 && s.Collected+s.Watched > 0:
		return msg.Executes
	case cmd.answer != answerExec && !right:
		return msg.Unqueued
	default:
		return msg.Apart
	}
}

// keepOne has a request for every server queued if the pool has only one, or refuses
// it. PUBLISH goes with the transaction.
func (p *Protocol) keepOne(req *msg.Request, cmd *command, s *msg.Session) {
	switch {
	case cmd.admin && p.servers == 1:
		req.Error = p.administer(req, cmd, s)
	case cmd.name == "publish":
	case p.servers > 1, cmd.name == clusterScan:
		req.Error = everyServer
	case cmd.name == "keys" && !p.allowKeys:
		req.Error = keysOff
	case cmd.name == "script|flush":
		p.loading.flush()
	}
}

// queueLocal queues a command that the proxy answers elsewhere, if any server can
// answer it.
func (p *Protocol) queueLocal(req *msg.Request, cmd *command, s *msg.Session) msg.Queueing {
	switch cmd.answer {
	case answerPing, answerEcho, answerTime, answerUnwatch:
		return msg.Queued
	case answerReset:
		return msg.Apart
	case answerSelect:
		db, fault := p.databases.databaseNamed(req, 1)
		if fault == "" && p.databases.number(msg.Lane{DB: db}) == p.databases.number(s.Lane) {
			begin := req.Args[0].End() + 2
			word := strconv.Itoa(p.databases.number(s.Lane))
			req.Omit = msg.Span{Off: uint32(begin), Len: uint32(req.Args[1].End() + 2 - begin)}
			req.Instead = "$" + strconv.Itoa(len(word)) + "\r\n" + word + "\r\n"
			return msg.Queued
		}
		req.Error = otherInside
	default:
		req.Error = answeredHere
	}
	return msg.Unqueued
}

// blockWords write the proxy's own requests and answers around a transaction, and read
// the servers' answers. They are the same in every pool.
type blockWords struct{}

// AppendUnwatch implements proxy.Lender.
func (blockWords) AppendUnwatch(pool *mbuf.Pool, out *mbuf.Chain) {
	out.AppendString(pool, "*1\r\n$7\r\nUNWATCH\r\n")
}

// AppendTouched implements proxy.Lender.
func (blockWords) AppendTouched(pool *mbuf.Pool, out *mbuf.Chain, s *msg.Session) {
	if s.Lane.IsRESP3() {
		out.AppendString(pool, "_\r\n")
	} else {
		out.AppendString(pool, "*-1\r\n")
	}
}

// AppendMulti and AppendExec implement proxy.Transactor.
func (blockWords) AppendMulti(pool *mbuf.Pool, out *mbuf.Chain) {
	out.AppendString(pool, "*1\r\n$5\r\nMULTI\r\n")
}

// AppendExec implements proxy.Transactor.
func (blockWords) AppendExec(pool *mbuf.Pool, out *mbuf.Chain) {
	out.AppendString(pool, "*1\r\n$4\r\nEXEC\r\n")
}

// AppendDiscard implements proxy.Transactor.
func (blockWords) AppendDiscard(pool *mbuf.Pool, out *mbuf.Chain) {
	out.AppendString(pool, "*1\r\n$7\r\nDISCARD\r\n")
}

// manyQueued are answers to many requests that are queued.
var manyQueued = strings.Repeat(queued, 64)

// AppendQueued implements proxy.Transactor.
func (blockWords) AppendQueued(pool *mbuf.Pool, out *mbuf.Chain, n int) {
	for size := n * len(queued); size > 0; size -= len(manyQueued) {
		out.AppendString(pool, manyQueued[:min(size, len(manyQueued))])
	}
}

// CountAhead implements proxy.Transactor.
func (blockWords) CountAhead(data []byte, most int, first bool) (n, size int) {
	if first {
		if most < 1 || !isDone(data) {
			return 0, 0
		}
		n, size = 1, len(done)
	}
	for n < most && len(data)-size >= len(queued) && string(data[size:size+len(queued)]) == queued {
		n++
		size += len(queued)
	}
	return n, size
}

// BlockReply implements proxy.Transactor.
func (p *Protocol) BlockReply(r msg.Reply) msg.BlockReply {
	var b []byte
	switch {
	case r.Chain == nil:
		b = r.Flat
	case r.Chain.Len() <= len(queued):
		p.scratch = r.Chain.AppendTo(p.scratch[:0])
		b = p.scratch
	default:
		b = r.Chain.Head().Bytes()
	}
	switch {
	case string(b) == queued:
		return msg.BlockQueued
	case string(b) == done:
		return msg.BlockBegun
	case len(b) > 0 && (b[0] == '-' || b[0] == '!'):
		return msg.BlockObjection
	default:
		return msg.BlockStray
	}
}

// AppendAbort implements proxy.Transactor.
func (blockWords) AppendAbort(pool *mbuf.Pool, out *mbuf.Chain, why msg.Reason) {
	text := why.String()
	switch why {
	case msg.NoPermission:
		text = "NOPERM " + text
	case msg.PoolReadOnly:
		text = "READONLY " + text
	case msg.CrossServer:
		text = "CROSSSLOT Keys in request don't hash to the same server"
	default:
	}
	writer{pool: pool, out: out}.fail(abortedBy, text)
}

// AbortedBy implements proxy.Transactor: as Redis answers EXEC on a server that has become a
// replica (rejectCommand in server.c).
func (blockWords) AbortedBy(refusal []byte) []byte {
	return append([]byte("-"+abortedBy), refusal[1:]...)
}

// Failed implements proxy.Transactor.
func (blockWords) Failed(r msg.Reply) bool {
	switch firstByte(r) {
	case '-', '!', '_':
		return true
	case '*':
		return r.Len() == len("*-1\r\n")
	default:
		return false
	}
}
