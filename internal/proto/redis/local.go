package redis

import (
	"strings"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// noCluster answers READONLY, READWRITE and ASKING, as Redis does that is not in
// a cluster.
const noCluster = "-ERR This instance has cluster support disabled\r\n"

// Local appends the answer to a request that goes to no server: the proxy answers the
// command itself, does not support it, or the client's session bars it.
func (p *Protocol) Local(req *msg.Request, s *msg.Session, pool *mbuf.Pool, out *mbuf.Chain) {
	cmd := &commands[req.Type]
	w := writer{pool, out, s.Lane.IsRESP3()}
	if s.Bars&msg.Collecting != 0 && s.Queueing == msg.Queued {
		w.raw(queued)
		return
	}
	why := p.barrier(req, s)
	switch {
	case why != noBarrier:
		p.refuseBarred(why, req, s, w)
	case cmd.isTransaction():
		p.answerTransaction(req, cmd, s, w)
	case req.Error != "":
		p.refuse(req, cmd, w)
		p.sessionRefused(req, cmd, s)
	default:
		p.answer(req, cmd, s, w)
	}
}

// sessionRefused notes what the refusal of a request means for later ones.
func (p *Protocol) sessionRefused(req *msg.Request, cmd *command, s *msg.Session) {
	switch {
	case s.Bars&msg.Collecting != 0: // nothing of the transaction will be carried out
	case cmd.answer == answerSelect:
		p.failSelect(req, s)
	case cmd.answer == answerWatch && req.Error != wrongArity:
		s.Bars |= msg.RefusedWatch
	}
}

// answer answers a command that the proxy serves itself.
func (p *Protocol) answer(req *msg.Request, cmd *command, s *msg.Session, w writer) {
	switch cmd.answer {
	case answerACL:
		aclAnswer{p, w}.answer(req, cmd, s)
	case answerAuth:
		p.answerAuth(req, s, w)
	case answerHello:
		p.answerHello(req, s, w)
	case answerClient:
		p.answerClient(req, s, w)
	case answerCluster, answerEmulated, answerMyID:
		emulated{&p.rules, &p.wordReader}.answer(req, cmd, w)
	case answerCommand:
		p.answerCommand(req, s, w)
	case answerEcho:
		echo(req, 1, w)
	case answerHelp:
		answerHelpOf(cmd, p.mayAdminister(s), p.emulate != nil, w)
	case answerPing:
		if s.Bars&msg.Listening != 0 && !w.resp3 && len(req.Args) <= 2 {
			replyPong(req, w)
			return
		}
		replyPing(req, w)
	case answerReset:
		p.answerReset(s, w)
	case answerSelect:
		p.answerSelect(req, s, w)
	case answerConfig, answerInfo, answerLolwut, answerRole:
		p.answerReport(req, cmd, w)
	case answerLastSave:
		w.integer(p.started.Unix())
	case answerLatency:
		replyLatency(p.slow, req, cmd, w)
	case answerSlowlog:
		replySlowlog(p.slow, req, cmd, w)
	case answerQuit:
		w.ok()
	case answerTime:
		w.time(s.WallMicros)
	case answerUnwatch:
		s.Bars &^= msg.RefusedWatch
		s.Watched = 0
		w.ok()
	case answerWatch: // outside a transaction it is refused
		w.raw(watchInside)
	case answerPause:
		p.unsupported(req, p.whyNoPause(s), w)
	case answerNone:
		p.unsupported(req, everyServer, w)
	case answerHTTP, answerMulti, answerExec, answerDiscard:
	}
}

// beforeAuth tells who answers clients that have not said AUTH.
func beforeAuth(a answer) bool {
	return a == answerAuth || a == answerHello || a == answerQuit || a == answerReset || a == answerHTTP
}

// refuse appends why a request is not served.
func (p *Protocol) refuse(req *msg.Request, cmd *command, w writer) {
	switch req.Error {
	case unknownCommand:
		p.refuseUnknown(req, w)
	case unknownSubcommand:
		w.fail("ERR unknown subcommand '", plain(p.word(req, 1), maxShown), "'. Try ", strings.ToUpper(cmd.name), " HELP.")
	case wrongArity:
		name := cmd.name
		if cmd.id == unknown { // a learnt one
			name = plain(lower(nil, p.word(req, 0)), maxShown)
		}
		w.fail("ERR ", req.Error, " for '", name, "' command")
	case syntaxError, invalidCursor, invalidSlot, invalidSlotKeys, notInteger, notInt32, badDatabase, pauseTimeout, pauseNegative, pauseMode:
		w.fail("ERR ", req.Error)
	case readOnlyPool:
		w.fail(req.Error)
	default:
		if cmd.treatment == msg.Gather && isInquiryFault(req.Error) {
			w.fail("ERR ", req.Error)
			return
		}
		if cmd.treatment == msg.Track && !isOwnRefusal(req.Error) {
			w.fail("ERR ", req.Error)
			return
		}
		if strings.HasPrefix(req.Error, noSetting) {
			w.fail("ERR ", req.Error)
			return
		}
		why := req.Error
		if why == usersInFile && p.passes {
			why = usersAtServers
		}
		p.unsupported(req, why, w)
	}
}

// unsupported says why nuthatch does not do what Redis does.
func (p *Protocol) unsupported(req *msg.Request, why string, w writer) {
	w.fail("ERR '", p.shownName(req), "' is not supported by nuthatch: ", why)
}

// refuseUnknown appends Redis's error, with the command and its first words.
func (p *Protocol) refuseUnknown(req *msg.Request, w writer) {
	name := plain(p.word(req, 0), maxShown)
	args := make([]byte, 0, maxShown+8)
	for i := 1; i < len(req.Args) && len(args) < maxShown; i++ {
		args = append(args, '\'')
		args = append(args, plain(p.word(req, i), maxShown+1-len(args))...)
		args = append(args, "' "...)
	}
	w.fail("ERR unknown command '", name, "', with args beginning with: ", string(args))
}

// echo appends the i-th word as it came, line end and length included.
func echo(req *msg.Request, i int, w writer) {
	off := req.Args[i-1].End() + 2
	req.View.AppendTo(w.pool, w.out, off, req.Args[i].End()+2-off)
}

// replyPing answers PING outside a transaction.
func replyPing(req *msg.Request, w writer) {
	switch len(req.Args) {
	case 1:
		w.raw("+PONG\r\n")
	case 2:
		echo(req, 1, w)
	default:
		w.fail("ERR wrong number of arguments for 'ping' command")
	}
}
