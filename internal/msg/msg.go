// Package msg is what travels between connections: a Request as a parser found
// it in a client's bytes, and the Msg that stands for it until its reply has
// gone out.
//
//	client's bytes ─parse─► Request (a view) ─forward─► Msg
//
//	            client conn                     server conn
//	out-queue:  Msg ─► Msg ─► Msg      queue:   Msg ─► Msg ─► Msg
//	            (order of requests)             (order of replies)
//
// A Msg stands in both queues at once. The server's queue says which request the next
// reply answers. The client's queue says which reply is sent next.
package msg

import (
	"fmt"
	"slices"

	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
)

// Type is a command: the number of its row in its protocol's table.
type Type uint16

// A Way is the server that a message was for, or the connection that it was sent on. It
// outlives a reload, which may give servers other places and other connections.
type Way interface {
	// ServerName is what the statistics call the server.
	ServerName() string
	// ReadyAt is when the connection was ready for requests, in the loop's
	// nanoseconds; 0: not yet, or there is none.
	ReadyAt() int64
}

// A Reply is the bytes of one whole reply. It is valid during the call that it is
// passed to. Exactly one of its two fields is set. Flat lies in the connection's
// receive buffer, and must be copied to be kept. Chain may be spliced away; if it is
// not, the caller releases it.
type Reply struct {
	Flat  []byte
	Chain *mbuf.Chain
}

// Len is the number of bytes of the reply.
func (r Reply) Len() int {
	if r.Chain != nil {
		return r.Chain.Len()
	}
	return len(r.Flat)
}

// MoveTo appends the reply to dst, by reference if it is a large chain.
func (r Reply) MoveTo(p *mbuf.Pool, dst *mbuf.Chain) {
	if r.Chain != nil {
		dst.Splice(p, r.Chain)
		return
	}
	dst.Append(p, r.Flat)
}

// A Msg is one request on its way: from the moment it is understood until its
// reply stands in the client's output. It comes from an event loop's Pool and
// belongs to that loop.
type Msg struct {
	// What every request uses. It fills the first two cache lines. The next two are not
	// touched for a request that needs no more.

	// next are the message's links in the client's out-queue (and on the free list), and
	// in the server connection's queue.
	next [numLinks]*Msg
	// Owner gets the reply. Nil: the reply is dropped.
	Owner Owner
	// End is the offset in the server connection's output stream just after this
	// message's last byte.
	End uint64
	// Deadline is when the server must have answered, in the loop's
	// nanoseconds; 0: never.
	Deadline int64
	// Start is when the request was taken, and Sent when its last byte was handed to
	// the kernel, in the loop's nanoseconds; 0: not yet, or never.
	Sent, Start int64

	// Len is the number of bytes of this message in the server connection's output
	// stream: those before End. It is 0 for a message that is not sent itself, such as
	// a request that was split.
	Len int
	// Held is the number of bytes that count against the client's bound.
	Held int
	// Via is how the message went to its server; nil if it went to none. For a request
	// that was split, it is that of the fragment that was answered last.
	Via Way
	// Parent is the request that this message is a fragment of, or nil.
	Parent *Msg
	// Expected is the number of bytes that count against the memory of the process for
	// the reply to come.
	Expected uint32
	// Ahead is how many replies the server has yet to send to the block of a
	// transaction. Only the last of them is the client's. It is Struck if another
	// request was sent in place of the block; the reply to that is dropped. It is Series
	// for a series.
	//
	// Invariant: Ahead is 0 for all other messages.
	Ahead int32
	Type  Type
	// If a fragment goes to one of all servers, Server is the server's number, and
	// Servers of its parent is how many servers there were.
	Server, Servers uint16
	// Err is why there is no reply; OK: there is one, or there will be.
	Err Reason
	// Done: the reply, or the failure, is here.
	Done bool
	// NoReply: the client does not wait for an answer. The server's is dropped.
	NoReply bool
	// Quiet: the client may not want to hear the reply.
	Quiet bool
	// Muted: the client does not want to hear the reply, whatever it is. It is
	// dropped when its turn comes.
	Muted bool
	// Working: a job deals the request to its servers, or merges its replies, in
	// slices. To give the request up, set Owner to nil; the job then releases it.
	Working bool
	// Keep: the bytes that are sent to the server are kept. Retried: they have been
	// sent again.
	Keep, Retried bool
	// RESP3: the client gets the reply in RESP3.
	RESP3 bool
	// Rare: fields of the second half, besides Replied, Reply and Kept, may be in use.
	// Code that sets such a field sets Rare.
	Rare bool

	// What only some requests use.

	// Replied is when the reply came, in the loop's nanoseconds, if it had to wait for
	// its turn; otherwise 0. It is set with Done.
	Replied int64
	// Expires is when the client must have its reply, in the loop's nanoseconds;
	// 0: never.
	Expires int64
	// extra is what few requests use, or nil.
	extra *extra
	// Reply holds the reply while it waits for its turn, or for the replies to other
	// fragments.
	Reply mbuf.Chain
	// Kept is what was sent to the server, if it may have to be sent again.
	Kept mbuf.Chain
	// Frags are the fragments of a request that was split. Seq says, for each of its
	// keys, which fragment has it. Both are owned by the parent, kept with it on the
	// free list, and empty for a request that was not split.
	Frags []*Msg
	Seq   []uint16
	// Nkeys is the number of keys of a request that was split, or of a fragment.
	// Pending is the number of fragments without a reply; of a series, that of replies
	// to come.
	Nkeys, Pending int32
}

// Struck is the Ahead of a block that was not sent after all.
const Struck = -1

// Why is the error text for the client if there is no reply to m, for the reason why.
func (m *Msg) Why(why Reason) string {
	if why == ReplyTooLarge && m.MaxReply() > 0 {
		return fmt.Sprintf("the reply has %d bytes or more, and server_max_reply allows %d", m.Come(), m.MaxReply())
	}
	text := why.String()
	if why == ServerEOF && (m.Block() > 0 || m.Waits()) { // nutcracker has no text for it, and no such request
		text = ServerClosed.String()
	}
	if (why == ConnReplaced || why == ServerClosed) && m.Block() == 0 && m.Sent != 0 {
		text += "; it is not known whether the request was carried out"
	}
	// What has waited too long for a client stays on its way.
	if m.Block() > 0 && (m.Sent != 0 || why == RequestTimedout) && m.Ahead != Struck && why != MultiRefused {
		text += "; it is not known whether the transaction was carried out"
	}
	return text
}

// maxFree is how many unused messages a Pool keeps. A message keeps a Seq of at most
// maxSeq keys on the free list. The Pool keeps up to maxLong longer Seqs, each for up
// to longSeq keys.
const (
	maxFree = 16 << 10
	maxSeq  = 1 << 10
	maxLong = 64
	longSeq = 16 << 10
)

// A Pool is the free list of messages of one event loop. The zero value is
// ready to use.
type Pool struct {
	free  *Msg
	nfree int
	live  int
	// long are unused Seqs that are too long to be kept with messages. All have room
	// for longSeq keys.
	long [][]uint16
	// seqs is how many bytes the Seqs of messages in use take.
	seqs   int
	extras *extra // unused ones
}

// seqSize is how many bytes a Seq takes for a key.
const seqSize = 2

// SeqBytes is how many bytes the Seqs of messages in use take.
func (p *Pool) SeqBytes() int { return p.seqs }

// Live is the number of messages in use.
func (p *Pool) Live() int { return p.live }

// Free is the number of messages that wait to be used again.
func (p *Pool) Free() int { return p.nfree }

// Trim leaves all unused messages to the garbage collector.
func (p *Pool) Trim() { p.free, p.nfree = nil, 0 }

// Get returns a zeroed message.
func (p *Pool) Get() *Msg {
	p.live++
	m := p.free
	if m == nil {
		return &Msg{}
	}
	p.free = m.next[inClient]
	p.nfree--
	m.next[inClient] = nil
	return m
}

// SetSeq makes m's Seq a copy of seq.
func (p *Pool) SetSeq(m *Msg, seq []uint16) {
	p.MakeSeq(m, len(seq))
	copy(m.Seq, seq)
}

// MakeSeq gives m a Seq of n keys, with undefined contents.
func (p *Pool) MakeSeq(m *Msg, n int) {
	if n > maxSeq && cap(m.Seq) < n {
		if last := len(p.long) - 1; last >= 0 && n <= longSeq {
			m.Seq, p.long = p.long[last], p.long[:last]
		} else {
			m.Seq = make([]uint16, 0, max(n, longSeq))
		}
	}
	m.Seq, m.Rare = slices.Grow(m.Seq[:0], n)[:n], true
	p.seqs += cap(m.Seq) * seqSize
}

// Put gives m back. Its reply must have been moved or released, and it must be
// in no queue.
func (p *Pool) Put(m *Msg) {
	invariant.Check(m.Reply.Head() == nil, "msg: put with a reply in it")
	invariant.Check(m.Kept.Head() == nil, "msg: put with a request in it")
	invariant.Check(m.next[inClient] == nil && m.next[inServer] == nil, "msg: put while in a queue")
	p.live--
	if m.Done {
		m.Replied = 0
	}
	if m.Rare {
		p.clear(m)
	}
	if invariant.On {
		m.checkClear()
	}
	if p.nfree >= maxFree {
		return
	}
	m.cool()
	m.next[inClient], p.free = p.free, m
	p.nfree++
}

// clear clears the rare fields of m.
func (p *Pool) clear(m *Msg) {
	if x := m.extra; x != nil {
		x.reset()
		x.next, p.extras = p.extras, x
	}
	if len(m.Seq) > 0 {
		p.seqs -= cap(m.Seq) * seqSize
	}
	frags, seq := m.Frags[:0], m.Seq[:0]
	clear(m.Frags)
	if cap(seq) > maxSeq {
		if cap(seq) == longSeq && len(p.long) < maxLong {
			p.long = append(p.long, seq)
		}
		seq = nil
	}
	m.Replied, m.Expires, m.extra, m.Frags, m.Seq, m.Nkeys, m.Pending = 0, 0, nil, frags, seq, 0, 0
}

// cool clears the fields of m that every request uses, except the links of the queues,
// which are clear already.
func (m *Msg) cool() {
	m.Owner, m.Via, m.Parent = nil, nil, nil
	m.End, m.Deadline, m.Sent, m.Start = 0, 0, 0, 0
	m.Len, m.Held, m.Expected, m.Ahead = 0, 0, 0, 0
	m.Type, m.Server, m.Servers, m.Err = 0, 0, 0, OK
	m.Done, m.NoReply, m.Quiet, m.Muted, m.Working = false, false, false, false, false
	m.Keep, m.Retried, m.RESP3, m.Rare = false, false, false, false
}

// checkClear checks that the rare fields of m are clear.
func (m *Msg) checkClear() {
	rest := m.Replied == 0 && m.Expires == 0 && m.extra == nil && m.Nkeys == 0 && m.Pending == 0
	invariant.Check(rest && len(m.Frags) == 0 && len(m.Seq) == 0, "msg: more of a message is in use than it says")
}
