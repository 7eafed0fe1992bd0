package proxy

import (
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A wait is a set of reasons why a client's next request is not taken, even if
// there is room. The reasons are independent of each other: each is set in one place and
// cleared in one, both in its owner's file. The client goes on when none is left.
type wait uint32

const (
	// waitsForReplies: the client's lane has changed, or the connections of its lane. A
	// request on the new connections could overtake one that is still on the old ones.
	// Set by AwaitReplies, cleared by hasReplies.
	waitsForReplies wait = 1 << iota
	// waitsForAnswer: a server was asked what the request means. The request is back in
	// the stash. Set by question.add, cleared by question.remove.
	waitsForAnswer
	// waitsForPool: the pool is paused, and the client collects no transaction. Set by
	// pause, cleared by goOnWithPool.
	waitsForPool
	// waitsForSlices: the client's last request is large, and not wholly sent. Set by
	// largeRequest.begin, cleared by its end.
	waitsForSlices
	// waitsToGo: the client's next request goes over another connection to its server
	// than the earlier ones, or may make it another user. It is back in the stash. Set by mayGo,
	// cleared by goOther.
	waitsToGo
	// waitsForElement: the client's last request waits at its server, or at several. Set by
	// blocking.begin, cleared by its detach.
	waitsForElement
	// waitsToBlock: such a request is back in the stash until the pool is resumed. Set
	// by blocking.again, cleared by blockAgain.
	waitsToBlock
	// waitsToExec: the client's EXEC came while the pool is paused. It is back in the stash.
	// Set by execLater, cleared by goOnToExec.
	waitsToExec
	// waitsForMoves: clients that listen move to other servers, and the next request is
	// about channels. It is back in the stash. Set by awaitMoves, cleared by movesOver.
	waitsForMoves
	// waitsForRate: the pool's limits are reached. Set by rates.hold, cleared by
	// rates.free.
	waitsForRate
	// waitsForTrial: servers were asked whether the client may send a request that the proxy
	// answers itself. The request is back in the stash. Set by awaitTrial, cleared by
	// endTrial.
	waitsForTrial
	// waitsForMap: no node of the cluster has said yet which slots it has. The request is
	// back in the stash. Set by awaitMap, cleared by hasMap.
	waitsForMap
	// waitsForLook: the request concerns all nodes of a cluster, and these are looked at.
	// It is back in the stash. Set by hasLooked, cleared by hasLook.
	waitsForLook

	// waitsForServer: the request needs private connections that are being made, or cannot be made
	// yet. It is back in the stash. Set by awaitServer, cleared by hasServer.
	waitsForServer

	// takenAgain are the reasons for which a request that was taken is back in the
	// stash.
	takenAgain = waitsForAnswer | waitsToGo | waitsToExec | waitsForMoves | waitsForTrial | waitsForMap | waitsForLook |
		waitsForServer
)

// An intake is the bytes that have come from a client and are not taken yet:
//
//	received ─► skip ─► parser ──────────────► a request is taken
//	              │        │ half of one            │ it must be parsed again
//	              │        └─► partial              ▼
//	              └─ no room, or it waits ─► stash ◄─ again
//
// It belongs to the loop.
type intake struct {
	// partial is the request that has come only in part, or nil.
	partial *partial
	// stash is what was received while there was no room for its requests.
	//
	// Invariant: empty unless the connection is not read from, or only for its end.
	stash mbuf.Chain
	// stashedAt is when what is first in the stash came.
	stashedAt int64
	// again is a request that is to be parsed again, on its way to the stash.
	//
	// Invariant: empty between two calls of the loop's.
	again mbuf.Chain
	// skip is how many of the bytes that come next are neither parsed nor kept; unseen before
	// the first.
	skip int
	// waits are the reasons why the next request is not taken, however much room
	// there is.
	waits wait
	// overdue is why what is in the stash has waited too long; OK: it has not. Its requests are taken whatever
	// the client waits for: those for servers are refused, others are answered.
	overdue   msg.Reason
	resumable bool // in ctx.resumable
	ending    bool // the client will send no more, and has not been read to the end
	starved   bool // in ctx.memory.clients
}

// skipped takes the bytes off data that are to be skipped, and returns how many.
func (in *intake) skipped(data []byte) int {
	n := min(in.skip, len(data))
	in.skip -= n
	return n
}

// keep puts data, which came now, behind what is in the stash.
func (in *intake) keep(bufs *mbuf.Pool, data []byte, now int64) {
	if in.stash.Len() == 0 {
		in.stashedAt = now
	}
	in.stash.Append(bufs, data)
}

// takeAgain has the request in q parsed again.
func (in *intake) takeAgain(bufs *mbuf.Pool, q *mbuf.Chain) { in.again.Splice(bufs, q) }

// putBack moves a request that is to be parsed again to the front of the stash, and
// reports whether there was one.
func (in *intake) putBack(bufs *mbuf.Pool, now int64) bool {
	if in.again.Len() == 0 {
		return false
	}
	if in.stash.Len() == 0 {
		in.stashedAt = now
	}
	in.again.Splice(bufs, &in.stash)
	in.stash, in.again = in.again, mbuf.Chain{}
	return true
}

// received is how many bytes have come and are not taken.
func (in *intake) received() int {
	n := in.stash.Len()
	if in.partial != nil {
		n += in.partial.bytes.Len()
	}
	return n
}

// holds is received, and the memory of the parser of a partial request.
func (in *intake) holds() int {
	n := in.received()
	if in.partial != nil {
		n += in.partial.held
	}
	return n
}

// hasMore reports whether bytes have come that are not taken yet.
func (in *intake) hasMore() bool { return in.partial != nil || in.skip > 0 || in.stash.Len() > 0 }

// cameAt is when the request that is taken now came.
func (in *intake) cameAt(now int64) int64 {
	if in.stash.Len() > 0 {
		return in.stashedAt
	}
	return now
}

// dueAt is when the requests in the stash are refused, if they may wait for patience;
// 0: never.
func (in *intake) dueAt(patience int64) int64 {
	if patience == 0 || in.stash.Len() == 0 {
		return 0
	}
	return in.stashedAt + patience
}

// patience is how long the client's bytes may wait to be taken. limit is the pool's
// bound. 0 is no bound.
func (in *intake) patience(limit int64) int64 {
	if in.ending && in.waits&(waitsForPool|waitsToExec) != 0 {
		return soonest(limit, endingPatience)
	}
	if in.waits&(waitsForElement|waitsToBlock) != 0 || in.waits&(waitsForServer|waitsForPool) == waitsForServer { // search.by
		return 0
	}
	if in.waits&(waitsForMap|waitsForLook) != 0 {
		return soonest(limit, mapMost)
	}
	return limit
}

// mayGoOn reports whether a client that waits may go on. answered says that it has the
// replies to all its requests.
func (in *intake) mayGoOn(answered bool) bool {
	if answered {
		in.hasReplies()
		in.goOther()
	}
	return in.waits == 0
}

// dropStash gives up what is in the stash.
func (in *intake) dropStash(bufs *mbuf.Pool) { in.stash.Release(bufs) }
