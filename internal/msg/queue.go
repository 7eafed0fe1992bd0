package msg

import (
	"iter"

	"nuthatch/internal/invariant"
)

// A link says which of its two queues a message is linked in. It is a constant in every
// call, and the calls are inlined: the code is that of two types written out.
type link uint8

const (
	inClient link = iota
	inServer
	numLinks
)

// A queue is a first-in first-out list of messages. The zero value is empty. A
// message is in at most one ClientQueue and one ServerQueue.
//
// Invariant: n is the number of messages from head to tail.
type queue struct {
	head, tail *Msg
	n          int
}

// Len is the number of messages in the queue.
func (q *queue) Len() int { return q.n }

// Head is the oldest message, or nil: in a ServerQueue the one whose reply comes next.
func (q *queue) Head() *Msg { return q.head }

// Tail is the newest message, or nil.
func (q *queue) Tail() *Msg { return q.tail }

// push appends m.
func (q *queue) push(m *Msg, in link) {
	invariant.Check(m.next[in] == nil && q.tail != m, "msg: already in a queue of this kind")
	if q.tail == nil {
		q.head = m
	} else {
		q.tail.next[in] = m
	}
	q.tail = m
	q.n++
}

// pop takes the oldest message out. The queue must not be empty.
func (q *queue) pop(in link) *Msg {
	m := q.head
	q.head = m.next[in]
	if q.head == nil {
		q.tail = nil
	}
	m.next[in] = nil
	q.n--
	return m
}

// ClientQueue is a client's out-queue: its requests in the order they came.
type ClientQueue struct{ queue }

// Push appends m.
func (q *ClientQueue) Push(m *Msg) { q.push(m, inClient) }

// Pop takes the oldest message out. The queue must not be empty.
func (q *ClientQueue) Pop() *Msg { return q.pop(inClient) }

// HasCome reports whether a message in the queue has its reply, or a part of it. It
// looks at n messages and fragments at the most; if there are more, it reports true.
func (q *ClientQueue) HasCome(n int) bool {
	for m := q.head; m != nil; m = m.next[inClient] {
		n -= 1 + len(m.Frags)
		if n < 0 || m.Done || m.Working {
			return true
		}
		for _, f := range m.Frags {
			if f.Done {
				return true
			}
		}
	}
	return false
}

// Reschedule gives every message of the queue the same time to expire, except those
// that wait at a server for any time.
func (q *ClientQueue) Reschedule(expires int64) {
	for m := q.head; m != nil; m = m.next[inClient] {
		if !m.Waits() {
			m.Expires, m.Rare = expires, true
		}
	}
}

// ServerQueue is a server connection's two queues in one list: first the
// messages that are sent and wait for their replies (nutcracker's out-queue),
// then those that are not yet wholly sent (its in-queue).
//
//	head ─► sent ─► sent ─► unsent ─► unsent ◄─ tail
//	        out-queue     │ in-queue
type ServerQueue struct {
	queue
	// unsent is the first message of the in-queue, or nil.
	unsent *Msg
}

// Unsent is the first message not yet wholly sent, or nil.
func (q *ServerQueue) Unsent() *Msg { return q.unsent }

// All yields the messages of both queues, the oldest first. None may be added or
// removed meanwhile.
func (q *ServerQueue) All() iter.Seq[*Msg] {
	return func(yield func(*Msg) bool) {
		for m := q.head; m != nil; m = m.next[inServer] {
			if !yield(m) {
				return
			}
		}
	}
}

// Push appends m to the in-queue.
func (q *ServerQueue) Push(m *Msg) {
	q.push(m, inServer)
	if q.unsent == nil {
		q.unsent = m
	}
}

// Sent moves the first message of the in-queue to the out-queue.
func (q *ServerQueue) Sent() *Msg {
	m := q.unsent
	q.unsent = m.next[inServer]
	return m
}

// Pop takes the oldest message out, and reports whether it was in the out-queue: a
// server may answer before it has read the whole request. The queues must not be empty.
func (q *ServerQueue) Pop() (m *Msg, sent bool) {
	sent = q.head != q.unsent
	if !sent {
		q.unsent = q.head.next[inServer]
	}
	return q.pop(inServer), sent
}

// ReplaceHead puts by in the place of the head, and returns the old head. Both must
// have the same place in the server connection's output.
func (q *ServerQueue) ReplaceHead(by *Msg) *Msg {
	m := q.head
	invariant.Check(by.next[inServer] == nil && by.End == m.End && by.Len == m.Len, "msg: a replacement for another place")
	by.next[inServer], m.next[inServer] = m.next[inServer], nil
	q.head = by
	if q.tail == m {
		q.tail = by
	}
	if q.unsent == m {
		q.unsent = by
	}
	return m
}

// Reschedule gives every message of both queues the same deadline, except those that
// wait at the server for any time.
func (q *ServerQueue) Reschedule(deadline int64) {
	for m := q.head; m != nil; m = m.next[inServer] {
		if !m.Waits() {
			m.Deadline = deadline
		}
	}
}
