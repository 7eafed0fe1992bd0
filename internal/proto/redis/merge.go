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
	invariant.Check(len(parent.Seq) == int(parent.Nkeys), "redis: a split request without the order of its keys")
	why := p.merge(parent, pool, out)
	for why == msg.OK && p.left > 0 {
		why = p.mergeMore(parent, p.left, pool, out)
	}
	return p.endMerge(parent, why, pool, out)
}

// MergeSome is Merge in slices: it merges what belongs to about so many keys, and is
// called again, with the same out, until it is done. Only one request is merged in
// slices at a time; to give it up call MergeStop.
func (p *Protocol) MergeSome(parent *msg.Msg, keys int, pool *mbuf.Pool, out *mbuf.Chain) (done, failed bool) {
	p.mergeState, p.aside = p.aside, p.mergeState
	defer func() { p.mergeState, p.aside = p.aside, p.mergeState }()
	why := msg.OK
	if p.begun {
		why = p.mergeMore(parent, keys, pool, out)
	} else {
		why = p.merge(parent, pool, out)
		p.begun = true
	}
	if why == msg.OK && p.left > 0 {
		return false, false
	}
	return true, p.endMerge(parent, why, pool, out)
}

// MergeStop forgets the request that was merged in slices.
func (p *Protocol) MergeStop(pool *mbuf.Pool) {
	p.mergeState, p.aside = p.aside, p.mergeState
	p.made.Release(pool)
	p.forgetMerge()
	p.mergeState, p.aside = p.aside, p.mergeState
}

// A mergeState is how far the replies of a split request have been merged.
type mergeState struct {
	// cursors stand in the replies.
	cursors []cursor
	kind    mergeKind
	// at is how many elements have been merged, left how many have not, of those that
	// are merged one by one.
	at, left int
	// made is the part of a reply that has been made; it may still be given up.
	made  mbuf.Chain
	begun bool
}

func (m *mergeState) forgetMerge() {
	clear(m.cursors)
	*m = mergeState{cursors: m.cursors[:0]}
}

// endMerge ends what merge began. If there is no reply, the reply is why.
func (p *Protocol) endMerge(parent *msg.Msg, why msg.Reason, pool *mbuf.Pool, out *mbuf.Chain) (failed bool) {
	for _, f := range parent.Frags {
		f.Reply.Release(pool)
	}
	p.made.Release(pool)
	p.forgetMerge()
	if why == msg.OK {
		return false
	}
	p.AppendError(pool, out, parent.Why(why))
	return true
}

// merge appends the reply, or the beginning of it (left is not 0 then), or returns
// why there is none. In the latter case nothing was appended.
func (p *Protocol) merge(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	p.cursors = p.cursors[:0]
	p.left = 0
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

// mergeMore merges the next n elements, of a reply that is merged one by one.
func (p *Protocol) mergeMore(parent *msg.Msg, n int, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	n = min(n, p.left)
	ok := true
	switch p.kind {
	case mergeElements:
		p.moveElements(parent, parent.Seq[p.at:p.at+n], pool, out)
	case mergeMin, mergeAllOf:
		ok = p.moveLeast(n, pool)
	case mergePairSums:
		ok = p.movePairSums(n, pool)
	case mergeNone, mergeStatus, mergeSum, mergeConcat, mergeBusy, mergeScan, mergeSame, mergeAny, mergeOneOK, mergeLoad:
	}
	if !ok {
		return msg.BadReply
	}
	p.at += n
	p.left -= n
	if p.left == 0 {
		out.Splice(pool, &p.made)
	}
	return msg.OK
}

// mergeReplies merges the replies of all servers, but for those that the pool
// lets be absent.
func (p *Protocol) mergeReplies(kind mergeKind, parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	p.kind, p.at = kind, 0
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
// the pool's partial_results has it. One that writes may not, since the client
// would believe it done. Nor may one whose reply is the least of the servers'
// numbers, or must be the same on all servers.
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
