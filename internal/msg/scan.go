package msg

import "time"

// A ScanPlace is where a SCAN of a cluster is. A client's cursor is the cursor of a node, and
// this beside it. It has a bit for which of two layouts the cursor has:
//
//	             node's cursor  began              tag  back  layout
//	bits         28             22, ScanTicks      12   1     1: 0
//	             40             10, of 256 s       12   1     1: 1
//
// The second one is for nodes with cursors of more than 28 bits, whose scan takes long.
type ScanPlace struct {
	// Began is when the present two passes began, in ScanTicks since the epoch. Of it the cursor
	// has the last 22 bits, three days.
	Began int64
	// Tag is the node's; 0: the pass is over.
	Tag int
	// Back: this is the second pass, from the last node to the first.
	Back bool
}

const (
	scanBackBit, scanTagBits = 1, 12
	scanTagAt                = scanBackBit + 1
	scanBeganAt              = scanTagAt + scanTagBits
	// ScanShort is what a node's cursor is multiplied by.
	ScanShort = 1 << 36
	// ScanLong is the same in the second layout.
	ScanLong = 1 << 24
	// ScanTick is the unit of Began.
	ScanTick = time.Second / 16
	// scanWrap is when Began begins anew. A step of the second layout is 1<<scanStep ticks.
	scanWrap = 1 << (36 - scanBeganAt)
	scanStep = 12
)

// Cursor is the place in a cursor of the first layout. It is never 0.
func (p ScanPlace) Cursor() int {
	n := max(int(p.Began%scanWrap), 1)<<scanBeganAt | p.Tag<<scanTagAt
	if p.Back {
		n |= 1 << scanBackBit
	}
	return n
}

// LongScan turns Cursor into that of the second layout.
func LongScan(cursor int) int {
	return cursor>>scanBeganAt>>scanStep<<scanBeganAt | cursor&(1<<scanBeganAt-1) | 1
}

// scanAhead is how many ticks later than here it may be elsewhere.
const scanAhead = int64(time.Hour / ScanTick)

// ScanPlaceOf reads what a cursor has beside that of the node, which is multiplied by base.
// low is the cursor modulo ScanShort, and now the present time in ticks. What the cursor does
// not have of Began is the latest that is not later than an hour from now.
func ScanPlaceOf(low int, now int64) (p ScanPlace, base int) {
	base, began := ScanShort, int64(low>>scanBeganAt)
	if low&1 != 0 {
		base, began = ScanLong, int64(low%ScanLong>>scanBeganAt<<scanStep)
	}
	p.Tag, p.Back = low>>scanTagAt&(1<<scanTagBits-1), low>>scanBackBit&1 != 0
	latest := now + scanAhead
	p.Began = latest - (latest-began)%scanWrap
	return p, base
}
