package memcache

import (
	"bytes"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// mergeSame appends the one reply of servers that were told the same: the first
// error, or else the first reply.
func (p *Protocol) mergeSame(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) (failed bool) {
	if p.mergeFailures(parent, pool, out) {
		return true
	}
	chosen := parent.Frags[0]
	for _, f := range parent.Frags {
		if p.firstKind(&f.Reply) == errorLine {
			chosen = f
			break
		}
	}
	out.Splice(pool, &chosen.Reply)
	return false
}

// firstKind tells what the first line of a reply is.
func (p *Protocol) firstKind(c *mbuf.Chain) lineKind {
	return kindOf(bytes.TrimRight(p.firstLine(c), crlf))
}

// mergeStats begins to append the lines of all servers and one END. Each line gets its
// server's name before its second word:
//
//	STAT pid 17        STAT alpha:pid 17
//	                ─► STAT beta:pid 19
//	STAT pid 19        END
//
// All but the lines that list a server's items: those tell keys, which belong to
// the pool, whichever server they are on.
//
// Of a server that failed, or that answered in one line, such as an error, that
// is told in a STAT line of its own. But a line that is all that any server
// answered, the same from all, is the client's reply as it is.
func (p *Protocol) mergeStats(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) (failed bool) {
	if p.allFailed(parent) {
		return p.mergeFailures(parent, pool, out)
	}
	if p.allSay(parent) {
		out.Splice(pool, &parent.Frags[0].Reply)
		return false
	}
	p.left = len(parent.Frags)
	return false
}

// moveServers appends the statistics of n servers.
func (p *Protocol) moveServers(parent *msg.Msg, from, n int, pool *mbuf.Pool, out *mbuf.Chain) {
	for _, f := range parent.Frags[from : from+n] {
		server := f.Via.ServerName()
		if f.Err != msg.OK {
			p.appendStat(pool, out, server, "STAT", "error SERVER_ERROR "+parent.Why(f.Err))
			continue
		}
		p.moveStats(pool, out, server, &f.Reply)
	}
}

// moveStats moves the lines of a server's reply, but for its END.
func (p *Protocol) moveStats(pool *mbuf.Pool, out *mbuf.Chain, server string, reply *mbuf.Chain) {
	for reply.Len() > 0 {
		line := p.firstLine(reply)
		n := len(line)
		line = bytes.TrimRight(line, crlf)
		switch kindOf(line) {
		case moreLine:
			if bytes.HasPrefix(line, []byte("ITEM ")) {
				move(pool, out, reply, n)
				continue
			}
			word, rest, _ := bytes.Cut(line, []byte{' '})
			p.appendStat(pool, out, server, string(word), string(rest))
		case endLine:
		case errorLine:
			p.appendStat(pool, out, server, "STAT", "error "+string(line))
		case soleLine, textLine, valueLine, lastValueLine, foreignLine:
			p.appendStat(pool, out, server, "STAT", "reply "+string(line))
		}
		reply.Advance(pool, n)
	}
}

// appendStat appends "word server:rest".
func (p *Protocol) appendStat(pool *mbuf.Pool, out *mbuf.Chain, server, word, rest string) {
	out.AppendString(pool, word)
	out.AppendString(pool, " ")
	out.AppendString(pool, server)
	out.AppendString(pool, ":")
	out.AppendString(pool, rest)
	out.AppendString(pool, crlf)
}

func (p *Protocol) allFailed(parent *msg.Msg) bool {
	for _, f := range parent.Frags {
		if f.Err == msg.OK {
			return false
		}
	}
	return true
}

// allSay tells whether every server gave the same answer, of one line.
func (p *Protocol) allSay(parent *msg.Msg) bool {
	first := string(p.firstLine(&parent.Frags[0].Reply))
	for _, f := range parent.Frags {
		if f.Err != msg.OK || f.Reply.Len() != len(first) || string(p.firstLine(&f.Reply)) != first {
			return false
		}
	}
	return true
}
