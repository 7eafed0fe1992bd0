package memcache

import (
	"bytes"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// FragmentHead appends the command of a sub-request: "get", or "gat 60".
func (p *Protocol) FragmentHead(req *msg.Request, _ int, pool *mbuf.Pool, out *mbuf.Chain) {
	c := &commands[req.Type]
	out.AppendString(pool, c.name)
	for _, word := range req.Args[1:c.key] {
		appendWord(req, word, pool, out)
	}
}

// FragmentKeys appends as many keys, the first of them number from, as dealt is long,
// and a space before each, to the request that it is dealt to.
func (p *Protocol) FragmentKeys(req *msg.Request, from int, dealt []uint16, pool *mbuf.Pool, outs []*mbuf.Chain) {
	at := req.FirstKey + from*req.KeyStep
	for len(dealt) > 0 {
		pieces := p.pieces[:min(len(p.pieces), len(dealt))]
		for i := range pieces {
			word := req.Args[at]
			at += req.KeyStep
			pieces[i] = mbuf.Span{Off: word.Off - 1, Len: word.Len + 1}
		}
		req.View.Deal(pool, pieces, dealt, outs)
		dealt = dealt[len(pieces):]
	}
}

// FragmentTail appends the line's end.
func (p *Protocol) FragmentTail(_ *msg.Request, pool *mbuf.Pool, out *mbuf.Chain) {
	out.AppendString(pool, crlf)
}

// appendWord appends a word that is not its line's first, with the space that
// stands before it.
func appendWord(req *msg.Request, word msg.Span, pool *mbuf.Pool, out *mbuf.Chain) {
	req.View.AppendTo(pool, out, int(word.Off)-1, int(word.Len)+1)
}

// Merge makes one reply of the fragments'.
//
// One fragment that failed fails the request. So does one that its server
// answered with an error, which is then the client's reply as it is. Statistics
// alone are of use without those of a server that failed.
func (p *Protocol) Merge(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) (failed bool) {
	failed = p.merge(parent, pool, out)
	for p.left > 0 {
		p.mergeMore(parent, p.left, pool, out)
	}
	p.endMerge(parent, pool)
	return failed
}

// MergeSome is Merge in slices: it merges what belongs to about so many keys, and is
// called again, with the same out, until it is done. Only one request is merged in
// slices at a time; to give it up call MergeStop.
func (p *Protocol) MergeSome(parent *msg.Msg, keys int, pool *mbuf.Pool, out *mbuf.Chain) (done, failed bool) {
	p.mergeState, p.aside = p.aside, p.mergeState
	if p.begun {
		p.mergeMore(parent, keys, pool, out)
	} else {
		p.begun = true
		failed = p.merge(parent, pool, out)
	}
	done = p.left == 0
	if done {
		p.endMerge(parent, pool)
	}
	p.mergeState, p.aside = p.aside, p.mergeState
	return done, failed
}

// MergeStop forgets the request that was merged in slices.
func (p *Protocol) MergeStop(*mbuf.Pool) { p.aside.forgetMerge() }

// A mergeState is how far the replies of a split request have been merged.
type mergeState struct {
	// sources are where the fragments stand.
	sources []source
	// at is how many keys have been merged, or servers' statistics, left how many have
	// not.
	at, left int
	begun    bool
}

func (m *mergeState) forgetMerge() {
	clear(m.sources)
	*m = mergeState{sources: m.sources[:0]}
}

// merge appends the reply, or the beginning of it: left is not 0 then.
func (p *Protocol) merge(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) (failed bool) {
	switch commands[parent.Type].merge {
	case mergeValues:
		failed = p.mergeValues(parent, pool, out)
	case mergeSame:
		failed = p.mergeSame(parent, pool, out)
	case mergeStats:
		failed = p.mergeStats(parent, pool, out)
	}
	return failed
}

// statsOfServer is how many keys a server's statistics cost as much as.
const statsOfServer = 64

// mergeMore goes on with what merge has begun, for that many keys.
func (p *Protocol) mergeMore(parent *msg.Msg, keys int, pool *mbuf.Pool, out *mbuf.Chain) {
	n := min(keys, p.left)
	if commands[parent.Type].merge == mergeValues {
		p.moveValues(parent, parent.Seq[p.at:p.at+n], pool, out)
	} else {
		n = min(max(1, keys/statsOfServer), p.left)
		p.moveServers(parent, p.at, n, pool, out)
	}
	p.at += n
	p.left -= n
	if p.left == 0 {
		out.AppendString(pool, "END\r\n")
	}
}

func (p *Protocol) endMerge(parent *msg.Msg, pool *mbuf.Pool) {
	for _, f := range parent.Frags {
		f.Reply.Release(pool)
	}
	p.forgetMerge()
}

// mergeErrors appends the first error among the fragments, those of the proxy
// before those of servers. It is ok if there is none.
func (p *Protocol) mergeErrors(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) (failed, ok bool) {
	if p.mergeFailures(parent, pool, out) {
		return true, false
	}
	for _, f := range parent.Frags {
		if endsWithEnd(&f.Reply) {
			continue
		}
		for n := p.blockLen(&f.Reply); n > 0; n = p.blockLen(&f.Reply) {
			f.Reply.Advance(pool, n)
		}
		if kindOf(bytes.TrimRight(p.firstLine(&f.Reply), crlf)) != errorLine {
			p.AppendError(pool, out, msg.BadReply.String())
			return true, false
		}
		out.Splice(pool, &f.Reply)
		return false, false
	}
	return false, true
}

// mergeFailures appends the error of the first fragment that failed, if any did.
func (p *Protocol) mergeFailures(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) (failed bool) {
	for _, f := range parent.Frags {
		if f.Err != msg.OK {
			p.AppendError(pool, out, parent.Why(f.Err))
			return true
		}
	}
	return false
}

// end is how a reply of values ends, seen with the byte before it: the LF of the
// last value.
const end = "\nEND\r\n"

// endsWithEnd tells whether c is a reply of values, or of none, without an
// error.
func endsWithEnd(c *mbuf.Chain) bool {
	last := [len(end)]byte{'\n'}
	if c.Len() < len(end)-1 {
		return false
	}
	have := 1
	for k := c.Head(); k != nil; k = k.Next() {
		b := k.Bytes()
		b = b[max(0, len(b)-len(last)):]
		keep := min(have, len(last)-len(b))
		copy(last[:], last[have-keep:have])
		have = keep + copy(last[keep:], b)
	}
	return string(last[:have]) == end
}

// blockLen returns the length of the value that c begins with, from VALUE to the
// line end behind the body, or 0 if it does not begin with one.
func (p *Protocol) blockLen(c *mbuf.Chain) int {
	if k := c.Head(); k != nil {
		if _, head, body := plainValue(k.Bytes()); head > 0 {
			return min(head+body+len(crlf), c.Len())
		}
	}
	line := p.firstLine(c)
	if len(line) < len(crlf) || line[0] != 'V' {
		return 0
	}
	n, ok := valueLength(line[:len(line)-len(crlf)], 4)
	if !ok {
		return 0
	}
	return min(len(line)+n+len(crlf), c.Len())
}

// firstLine returns c's first line, its end included. It is valid until the next
// call, or until c changes.
func (p *Protocol) firstLine(c *mbuf.Chain) []byte {
	k := c.Head()
	if k == nil {
		return nil
	}
	if n := bytes.IndexByte(k.Bytes(), '\n'); n >= 0 {
		return k.Bytes()[:n+1]
	}
	p.scratch = p.scratch[:0]
	for ; k != nil; k = k.Next() {
		b := k.Bytes()
		if n := bytes.IndexByte(b, '\n'); n >= 0 {
			p.scratch = append(p.scratch, b[:n+1]...)
			break
		}
		p.scratch = append(p.scratch, b...)
	}
	return p.scratch
}
