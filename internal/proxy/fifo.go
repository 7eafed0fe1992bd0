package proxy

// A fifo is a queue. The zero value is empty.
type fifo[T any] struct {
	all []T
	// from is the place of the first element.
	from int
}

// keptFifo is for how many elements an empty fifo keeps its room.
const keptFifo = 64

func (q *fifo[T]) push(x T) { q.all = append(q.all, x) }

// len is how many elements there are.
func (q *fifo[T]) len() int { return len(q.all) - q.from }

// first is the oldest element; the zero value if there is none.
func (q *fifo[T]) first() (x T) {
	if q.len() > 0 {
		x = q.all[q.from]
	}
	return x
}

// last is the newest element; the zero value if there is none.
func (q *fifo[T]) last() (x T) {
	if q.len() > 0 {
		x = q.all[len(q.all)-1]
	}
	return x
}

// pop removes the oldest element, of which there must be one. In the long run an element
// is moved once.
func (q *fifo[T]) pop() {
	var none T
	q.all[q.from] = none
	q.from++
	switch {
	case q.len() == 0 && cap(q.all) > keptFifo:
		*q = fifo[T]{}
	case q.len() == 0:
		q.all, q.from = q.all[:0], 0
	case q.from >= keptFifo && q.from >= q.len():
		n := copy(q.all, q.all[q.from:])
		clear(q.all[n:])
		q.all, q.from = q.all[:n], 0
	}
}
