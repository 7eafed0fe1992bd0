package redis

import (
	"nuthatch/internal/config"
	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// Merge appends to out the one reply to parent, which went to several servers.
//
// If a fragment failed, the reply is an error that names the reason of the first
// that did, and failed is true. If a server answered with an error, that error
// is the reply: the one that concerns the first key, if there are several, or
// that of the first server. The pool's partial_results may have it otherwise,
// and so may the command's mergeKind.
//
// The fragments' Reply chains are empty afterwards.
func (p *Protocol) Merge(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) (failed bool) {
	invariant.Check(len(parent.Seq) == parent.Nkeys, "redis: a split request without the order of its keys")
	why := p.merge(parent, pool, out)
	for _, f := range parent.Frags {
		f.Reply.Release(pool)
	}
	clear(p.cursors)
	if why == msg.OK {
		return false
	}
	p.AppendError(pool, out, parent.Why(why))
	return true
}

// merge appends the reply, or returns why there is none. In the latter case
// nothing was appended.
func (p *Protocol) merge(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	p.cursors = p.cursors[:0]
	var failure msg.Reason
	refused, good := false, false
	for _, f := range parent.Frags {
		c := newCursor(&f.Reply)
		switch {
		case f.Err != msg.OK:
			c.absent = true
			if failure == msg.OK {
				failure = f.Err
			}
		case c.isError():
			c.absent, refused = true, true
		default:
			good = true
			p.skipAttributes(&c)
		}
		p.cursors = append(p.cursors, c)
	}
	cmd := &commands[parent.Type]
	switch {
	case cmd.merge == mergeOneOK:
		return p.mergeOneOK(parent, failure, pool, out)
	case cmd.merge == mergeAny && good:
		return p.mergeAny(parent, failure, pool, out)
	case cmd.merge == mergeLoad && !refused && good:
		return p.mergeLoad(parent, failure, pool, out)
	case !refused && failure == msg.OK, good && p.allows(cmd):
	case failure != msg.OK:
		return failure
	default:
		p.passError(parent, pool, out)
		return msg.OK
	}
	if len(parent.Frags) == 1 && cmd.merge != mergeScan {
		out.Splice(pool, &parent.Frags[0].Reply)
		return msg.OK
	}
	return p.mergeReplies(cmd.merge, parent, pool, out)
}

// mergeReplies merges the replies of all servers, but for those that the pool
// lets be absent.
func (p *Protocol) mergeReplies(kind mergeKind, parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	switch kind {
	case mergeElements:
		return p.mergeElements(parent, pool, out)
	case mergeStatus:
		return p.mergeStatus(pool, out)
	case mergeSum:
		return p.mergeSum(pool, out)
	case mergeMin, mergeAllOf:
		return p.mergeMin(pool, out)
	case mergeConcat:
		return p.mergeConcat(parent, pool, out)
	case mergePairSums:
		return p.mergePairSums(pool, out)
	case mergeBusy:
		return p.mergeBusy(parent, pool, out)
	case mergeScan:
		return p.mergeScan(parent, pool, out)
	case mergeNone, mergeSame, mergeAny, mergeOneOK, mergeLoad:
	}
	return p.mergeSame(parent, pool, out)
}

// passError moves a server's error to out: the first, in the order of the keys
// or else of the servers.
func (p *Protocol) passError(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) {
	for _, f := range parent.Seq {
		if p.cursors[f].isError() {
			out.Splice(pool, &parent.Frags[f].Reply)
			return
		}
	}
	for i := range p.cursors {
		if p.cursors[i].isError() {
			out.Splice(pool, &parent.Frags[i].Reply)
			return
		}
	}
}

// allows tells whether a command may be answered without some of its servers, as
// the pool's partial_results has it. One that writes may not: nobody is to
// believe done what is not. Nor is there less than an error to be said of the
// least of numbers, or of what all servers must have.
func (p *Protocol) allows(cmd *command) bool {
	switch cmd.merge {
	case mergeElements:
		return p.partial != config.PartialError
	case mergeSum, mergeConcat, mergePairSums:
		return p.partial == config.PartialNulls && cmd.access != write
	case mergeNone, mergeStatus, mergeMin, mergeAny, mergeSame, mergeAllOf, mergeOneOK, mergeScan, mergeBusy, mergeLoad:
	}
	return false
}
