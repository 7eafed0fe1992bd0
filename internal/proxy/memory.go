package proxy

import (
	"cmp"
	"math"
	"reflect"
	"time"

	"nuthatch/internal/msg"
)

// The memory of the process is bounded (max_memory). Each loop tells a shared account
// what it holds: chunks, messages, parsers of partial requests, and clients.
//
//	0 ──────────────────────────── soft ─────────────── hard
//	a client may hold half of      only clients that    nobody is read from, but for what
//	what is left below soft: the   hold nothing are     brings an end: one request and one
//	more is held, the fewer of     read from; servers,  reply at a time that have begun
//	the large holders are read     unless the reply is
//	from                           for one who does not
//	                               read
//	                               ── clients that do not read or send are cut, the largest first ──
//
// The rule below soft is that of Choudhury and Hahne for switches ("Dynamic Queue
// Length Thresholds for Shared-Memory Packet Switches", 1998). It needs no list of
// holders and no hysteresis, and always leaves room for one more.
//
// Between soft and hard a request that has begun goes on if the rest of it fits. At
// hard one request per loop, the favoured one, goes on in any case. Otherwise requests
// that together fill the memory would wait for each other for ever.
//
// While there is room, a read costs two additions: what the loop holds is compared with
// what it has reported.

const (
	// grain is by how many bytes a loop's memory must change before the loop tells the
	// account.
	grain = 64 << 10
	// keptPart: the loops' free lists may keep the soft mark divided by it.
	keptPart = 8
	// outFull is how many bytes of unread replies a client may have, above the
	// soft mark, before its servers are not read.
	outFull = 64 << 10
	// plenty is the soft mark, in bytes, above which the unknown size of a reply does
	// not matter. largeReply is the largest size that is assumed for an unknown reply.
	plenty     = 1 << 30
	largeReply = 1 << 20
	// sip is how many bytes are read at a time above the soft mark.
	sip = 2 << 10
	// reliefPeriod is how often, in nanoseconds, connections that are not read from are
	// checked, and cutPeriod how often clients are that may be closed.
	reliefPeriod = int64(2 * time.Millisecond)
	cutPeriod    = int64(50 * time.Millisecond)
	// longGrace to hardGrace are how long a client may neither send nor read before
	// it is closed; memory.patience chooses one. lastGrace is how long memory may be
	// above the hard mark before the largest holder is closed in any case: longer than
	// it takes to find that a request comes too slowly.
	longGrace  = int64(5 * time.Second)
	softGrace  = int64(time.Second)
	blockGrace = int64(250 * time.Millisecond)
	hardGrace  = int64(100 * time.Millisecond)
	lastGrace  = 2 * softGrace
	// tricklePeriod is how often, in nanoseconds, a large reply may begin to come at
	// the hard mark. Within hardGrace all loops together may receive the hard mark
	// divided by tricklePart of such replies. After that time clients that do not read
	// are closed.
	tricklePeriod = int64(10 * time.Millisecond)
	tricklePart   = 8
	// favour is how long the favoured client may send nothing. If its request is in
	// flight, softGrace holds instead.
	favour = int64(100 * time.Millisecond)
)

// msgSize and clientSize are what a message and a client count for, in bytes.
var (
	msgSize    = int64(reflect.TypeFor[msg.Msg]().Size())
	clientSize = int64(reflect.TypeFor[client]().Size()) + 128
)

// memory is what one loop knows of the process's memory.
type memory struct {
	// static after construction
	ctx *Context

	// owned by the loop
	//
	// expected is how many bytes of replies are to come, by estimate.
	expected int64
	// beside is what else is held, beside chunks and messages: by parsers of partial
	// requests, by requests about clients, and by clients' names.
	beside int64
	// collected is how many bytes are held by transactions that wait for their EXEC.
	collected int
	// told is what the account has for this loop, in bytes, and toldDue what it has for
	// expected.
	told, toldDue int64
	// held is what it has for all loops, at the last look.
	held int64
	// perClient is what one client may hold.
	perClient int64
	// room is what is left below the hard mark when all that is expected has come.
	room int64
	// tight: above the soft mark. full: above the hard mark.
	tight, full bool
	// soft and hard are the marks, at the last look.
	soft, hard int64
	fullSince  int64
	// lastRead is when a client of this loop last read replies that waited for it.
	lastRead int64
	// loops is how many loops share the account, at the last look.
	loops int64
	// clients and conns are not read from for lack of memory. They are in the order in
	// which that began.
	clients, conns []gate
	// favoured is the client whose request goes on at the hard mark, if it still has
	// one. favouredConn is the same for a reply.
	favoured     *client
	favouredConn *serverConn
	// favouredEnd is the End of that reply's message.
	favouredEnd uint64
	// nextLarge is when a large reply may begin to come at the hard mark.
	nextLarge int64
	// nextRelief is when to check clients and conns, nextCut when to check for clients
	// to close.
	nextRelief, nextCut int64
}

// weigh tells the account what the loop holds and expects, if that has changed by
// grain.
func (m *memory) weigh() {
	ctx := m.ctx
	held := int64(ctx.bufs.Held()+ctx.msgs.SeqBytes()+ctx.loop.Ahead()) + m.beside + int64(ctx.msgs.Live())*msgSize + ctx.shard.CurrConnections*clientSize
	more, later := held-m.told, m.expected-m.toldDue
	if more >= grain || more <= -grain || later >= grain || later <= -grain || m.tight {
		m.told, m.toldDue = held, m.expected
		ctx.identity.Limits().Account(more, later)
		m.readAccount()
	}
}

// readAccount reads the account.
func (m *memory) readAccount() {
	ctx := m.ctx
	l := ctx.identity.Limits()
	held, soft, hard := l.Memory()
	if loops := int64(len(ctx.identity.Loops())); soft != m.soft || loops != m.loops {
		m.soft, m.loops = soft, loops
		ctx.bufs.Keep(int(cmp.Or(soft/keptPart/loops, math.MaxInt)))
	}
	if soft == 0 {
		m.perClient, m.room, m.tight, m.full = math.MaxInt64, math.MaxInt64, false, false
		return
	}
	due := l.Due()
	m.held, m.hard = held, hard
	m.perClient = max(0, soft-m.held-due) / 2
	m.room = hard - m.held - due
	m.tight = m.held >= soft
	full := m.held >= hard
	if full && !m.full {
		m.fullSince = ctx.loop.Now()
	}
	m.full = full
}

// Trim leaves the unused memory of the loop's free lists to the garbage collector. It
// must run on the loop.
func (ctx *Context) Trim() {
	ctx.bufs.Trim()
	ctx.msgs.Trim()
	for _, p := range ctx.pools {
		p.trim()
	}
}

// firstReply is the assumed size of the first replies to a client, in bytes. It is
// larger the less memory there is.
func (p *ServerPool) firstReply() int {
	guess := min(firstReplyGuess, p.conf.ClientMaxQueued/64)
	if soft := p.ctx.identity.Limits().SoftMark(); soft > 0 {
		guess = min(guess*max(1, plenty/soft), max(guess, largeReply))
	}
	return int(guess)
}

// expect counts n bytes for the reply to r that is to come, in place of what it counted
// for r before.
func (m *memory) expect(r *msg.Msg, n int) {
	n = min(n, math.MaxUint32)
	m.expected += int64(n) - int64(r.Expected)
	r.Expected = uint32(n)
}

// fits reports whether there is memory for one more request of a client that has none
// in flight, and for the reply if it is expected to be large. A client without a reply
// so far passes, so that a server that does not answer keeps nobody out.
func (m *memory) fits(c *client) bool {
	if n := c.expects(c.pool.largest); n > firstReplyGuess && !c.guesses && int64(n) > m.room && m.expected > 0 {
		return false
	}
	return !m.full || m.favour(c)
}

// Unsent implements msg.Party.
func (c *client) Unsent() int { return c.Out().Len() }

// holds is what is held for the client, in bytes.
func (c *client) holds() int {
	return c.held + c.Out().Len() + c.intake.holds()
}

// scarce reports whether it is memory that bounds the client.
func (m *memory) scarce(c *client) bool {
	return m.full || m.perClient < c.pool.conf.ClientMaxQueued || m.room < int64(c.expects(c.pool.largest))
}

// relieve reads again from connections for which there is memory, and closes clients if
// there is none. It returns when to do so next; 0: when memory is scarce again.
func (m *memory) relieve(now int64) int64 {
	m.weigh()
	if !m.tight && len(m.clients) == 0 && len(m.conns) == 0 {
		return 0
	}
	if now < m.nextRelief {
		return m.nextRelief
	}
	m.nextRelief = now + reliefPeriod
	m.readAccount()
	if m.full && m.collected > 0 {
		m.ctx.abortLargest()
	}
	m.feedAll()
	if m.tight && now >= m.nextCut {
		m.nextCut = now + cutPeriod
		m.cutHolders(now)
	}
	return m.nextRelief
}
