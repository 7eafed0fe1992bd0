package redis

import (
	"math/rand/v2"

	"nuthatch/internal/config"
	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A merger makes one reply from the replies of several servers. It merges one request
// after the other. One more request may be merged in slices meanwhile.
type merger struct {
	// Static after construction.
	partial config.PartialResults
	loading *loading // the protocol's

	rnd rand.PCG
	// mergeState is how far the merging of a request's replies has come. aside is the
	// same for the request that is merged in slices.
	mergeState
	aside mergeState
	lineReader
}

// A mergeState is how far the replies of a split request have been merged.
type mergeState struct {
	// cursors stand in the replies.
	cursors []cursor
	kind    mergeKind
	// If elements are merged one by one, at is how many have been, and left how many
	// have not.
	at, left int
	// made is the part of the reply that has been made. It may still be dropped.
	made  mbuf.Chain
	begun bool
	// said, if not empty, is the error for the client in place of the reason's text.
	said string
}

func (s *mergeState) forget() {
	clear(s.cursors)
	*s = mergeState{cursors: s.cursors[:0]}
}

// Merge appends to out the one reply to parent, which went to several servers.
//
// If a fragment failed, the reply is an error with the reason of the first one that
// did, and failed is true. If servers answered with errors, the reply is the error
// about the first key or, without keys, that of the first server. The pool's
// partial_results, and the command's mergeKind, may change that.
//
// The fragments' Reply chains are empty afterwards.
func (m *merger) Merge(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) (failed bool) {
	invariant.Check(len(parent.Seq) == int(parent.Nkeys), "redis: a split request without the order of its keys")
	why := m.merge(parent, pool, out)
	for why == msg.OK && m.left > 0 {
		why = m.mergeMore(parent, m.left, pool, out)
	}
	return m.endMerge(parent, why, pool, out)
}

// MergeSome is Merge in slices: it merges what belongs to about keys keys, and is
// called again, with the same out, until it is done. Only one request is merged in
// slices at a time. MergeStop gives it up.
func (m *merger) MergeSome(parent *msg.Msg, keys int, pool *mbuf.Pool, out *mbuf.Chain) (done, failed bool) {
	m.mergeState, m.aside = m.aside, m.mergeState
	defer func() { m.mergeState, m.aside = m.aside, m.mergeState }()
	why := msg.OK
	if m.begun {
		why = m.mergeMore(parent, keys, pool, out)
	} else {
		why = m.merge(parent, pool, out)
		m.begun = true
	}
	if why == msg.OK && m.left > 0 {
		return false, false
	}
	return true, m.endMerge(parent, why, pool, out)
}

// MergeStop forgets the request that was merged in slices.
func (m *merger) MergeStop(pool *mbuf.Pool) {
	m.mergeState, m.aside = m.aside, m.mergeState
	m.made.Release(pool)
	m.forget()
	m.mergeState, m.aside = m.aside, m.mergeState
}

// endMerge ends what merge began. If there is no reply, the reply is why.
func (m *merger) endMerge(parent *msg.Msg, why msg.Reason, pool *mbuf.Pool, out *mbuf.Chain) (failed bool) {
	for _, f := range parent.Frags {
		f.Reply.Release(pool)
	}
	m.made.Release(pool)
	said := m.said
	m.forget()
	switch {
	case why == msg.OK:
		return false
	case said != "":
		writer{pool: pool, out: out}.fail(said)
	default:
		appendError(pool, out, parent.Why(why))
	}
	return true
}

// merge appends the reply, or its beginning (left is not 0 then). If there is none, it
// returns why, and has appended nothing.
func (m *merger) merge(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	m.cursors = m.cursors[:0]
	m.left = 0
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
			m.skipAttributes(&c)
		}
		m.cursors = append(m.cursors, c)
	}
	cmd := &commands[parent.Type]
	switch {
	case cmd.merge == mergeBlocks && good:
		return m.mergeReplies(mergeBlocks, parent, pool, out)
	case cmd.merge == mergeBlocks && failure != msg.OK:
		return m.noBlock(parent)
	case cmd.merge == mergeOneOK:
		return m.mergeOneOK(parent, failure, pool, out)
	case cmd.merge == mergeEvery:
		return m.mergeEvery(parent, failure, pool, out)
	case cmd.merge == mergeAny && good:
		return m.mergeAny(parent, failure, pool, out)
	case cmd.merge == mergeLoad && !refused && good:
		return m.mergeLoad(parent, failure, pool, out)
	case !refused && failure == msg.OK, good && m.allows(cmd):
	case failure != msg.OK:
		return failure
	default:
		moveError(m.cursors, parent, pool, out)
		return msg.OK
	}
	if len(parent.Frags) == 1 && cmd.merge != mergeScan {
		out.Splice(pool, &parent.Frags[0].Reply)
		return msg.OK
	}
	return m.mergeReplies(cmd.merge, parent, pool, out)
}

// mergeMore merges the next n elements of a reply whose elements are merged one by one.
func (m *merger) mergeMore(parent *msg.Msg, n int, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	n = min(n, m.left)
	ok := true
	switch m.kind {
	case mergeElements, mergeBlocks:
		m.moveElements(parent, parent.Seq[m.at:m.at+n], pool, out)
	case mergeMin, mergeAllOf:
		ok = m.moveLeast(n, pool)
	case mergePairSums:
		ok = m.movePairSums(n, pool)
	case mergeNone, mergeStatus, mergeSum, mergeMax, mergeConcat, mergeUnion, mergeBusy, mergeScan, mergeSame, mergeAny, mergeOneOK, mergeLoad, mergeEvery:
	}
	if !ok {
		return msg.BadReply
	}
	m.at += n
	m.left -= n
	if m.left == 0 {
		out.Splice(pool, &m.made)
	}
	return msg.OK
}

// mergeReplies merges the replies of all servers, except those that the pool allows to
// be absent.
func (m *merger) mergeReplies(kind mergeKind, parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	m.kind, m.at = kind, 0
	switch kind {
	case mergeElements, mergeBlocks:
		return m.mergeElements(parent, pool, out)
	case mergeStatus:
		return mergeStatuses(m.cursors, pool, out)
	case mergeSum:
		return m.mergeSum(pool, out)
	case mergeMax:
		return m.mergeMax(pool, out)
	case mergeMin, mergeAllOf:
		return m.mergeMin(pool, out)
	case mergeConcat:
		return m.mergeConcat(parent, pool, out)
	case mergeUnion:
		return m.mergeUnion(parent, pool, out)
	case mergePairSums:
		return m.mergePairSums(pool, out)
	case mergeBusy:
		return m.mergeBusy(parent, pool, out)
	case mergeScan:
		return m.mergeScan(parent, pool, out)
	case mergeNone, mergeSame, mergeAny, mergeOneOK, mergeLoad, mergeEvery:
	}
	return m.mergeSame(parent, pool, out)
}

// moveError moves a server's error to out: the first in the order of the keys or,
// without keys, of the servers.
func moveError(cursors []cursor, parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) {
	for _, f := range parent.Seq {
		if cursors[f].isError() {
			out.Splice(pool, &parent.Frags[f].Reply)
			return
		}
	}
	for i := range cursors {
		if cursors[i].isError() {
			out.Splice(pool, &parent.Frags[i].Reply)
			return
		}
	}
}

// allows tells whether a command may be answered without some of its servers, by the
// pool's partial_results. A command that writes may not, since the client would believe
// that all was written. Nor may a command whose reply is the least of the servers'
// numbers, or must be the same on all servers.
func (m *merger) allows(cmd *command) bool {
	switch cmd.merge {
	case mergeElements:
		return m.partial != config.PartialError
	case mergeSum, mergeMax, mergeConcat, mergeUnion, mergePairSums:
		return m.partial == config.PartialNulls && cmd.access != write
	case mergeNone, mergeStatus, mergeMin, mergeAny, mergeSame, mergeAllOf, mergeOneOK, mergeScan, mergeBusy, mergeLoad, mergeBlocks, mergeEvery:
	}
	return false
}
