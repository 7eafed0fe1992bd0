package msg

import "nuthatch/internal/invariant"

// Series is the Ahead of a series: a fragment that stands for Nkeys requests for one key
// each, which go to one server in a row. Pending of their replies are to come. They are
// joined to one reply, as if one request for all these keys had been answered.
const Series = -2

// Insert puts by behind m in the queue. It belongs to the same one of the two queues as m,
// unless Sent says something else.
func (q *ServerQueue) Insert(m, by *Msg) {
	invariant.Check(by.next[inServer] == nil && q.tail != by, "msg: already in a queue of this kind")
	by.next[inServer], m.next[inServer] = m.next[inServer], by
	if q.tail == m {
		q.tail = by
	}
	q.n++
}
