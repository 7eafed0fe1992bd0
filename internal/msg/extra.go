package msg

// An extra has what few messages need beyond a Msg. It goes back to the Pool with its
// message.
type extra struct {
	note  Note
	noted bool
	// come is how large the reply is, in bytes, as far as is known. For a request that
	// was split, it is the sum of its fragments. It is set only for a reply that comes
	// in pieces, and maxReply only if the reply is larger than that.
	come, maxReply int64
	// block is the number of commands of a transaction that the message is the EXEC
	// of; 0: of none.
	block int
	// publishes: one of these commands publishes something.
	publishes bool
	// isError: the reply is an error, which has been counted.
	isError bool
	// waits: the server may take any time to answer, and that time is not measured.
	waits bool
	// asked is how often it was asked again, because a server did not carry it out.
	asked int
	// scan is what the cursor for the present node of a cluster ends with, and scanNext that
	// for the next one; 0: there is none. They belong to a SCAN.
	scan, scanNext int
	next           *extra // on the free list
}

// reset clears all but the note's key, which nobody reads any more.
func (x *extra) reset() {
	x.noted, x.come, x.maxReply, x.block, x.publishes, x.isError, x.waits, x.asked = false, 0, 0, 0, false, false, false, 0
	x.scan, x.scanNext = 0, 0
}

// extraOf returns m's extra, and makes one if m has none.
func (p *Pool) extraOf(m *Msg) *extra {
	if m.extra == nil {
		x := p.extras
		if x == nil {
			x = &extra{}
		}
		p.extras, x.next = x.next, nil
		m.extra, m.Rare = x, true
	}
	return m.extra
}

// Come is how large the reply to m is, in bytes, as far as is known. For a request that
// was split, it is the sum of its fragments. It is kept only for a reply that comes in
// pieces.
func (m *Msg) Come() int64 {
	if m.extra == nil {
		return 0
	}
	return m.extra.come
}

// SetCome notes how much has come of the reply to m.
func (p *Pool) SetCome(m *Msg, n int64) { p.extraOf(m).come = n }

// MaxReply is the bound that the reply to m exceeds; 0: none.
func (m *Msg) MaxReply() int64 {
	if m.extra == nil {
		return 0
	}
	return m.extra.maxReply
}

// SetMaxReply notes that the reply to m exceeds its bound of n bytes.
func (p *Pool) SetMaxReply(m *Msg, n int64) { p.extraOf(m).maxReply = n }

// Block is the number of commands of the transaction that m is the EXEC of; 0: of none.
func (m *Msg) Block() int {
	if m.extra == nil {
		return 0
	}
	return m.extra.block
}

// Waits reports whether the server may take any time to answer m. That time is not
// measured.
func (m *Msg) Waits() bool { return m.Rare && m.extra != nil && m.extra.waits }

// SetWaits notes that it may.
func (p *Pool) SetWaits(m *Msg) { p.extraOf(m).waits = true }

// Asked is how often m was asked again, because a server did not carry it out.
func (m *Msg) Asked() int {
	if m.extra == nil {
		return 0
	}
	return m.extra.asked
}

// CountAsked counts that m is asked again, and returns how often it has been.
func (p *Pool) CountAsked(m *Msg) int {
	x := p.extraOf(m)
	x.asked++
	return x.asked
}

// Scan is what SetScan has noted; 0: nothing.
func (m *Msg) Scan() (at, next int) {
	if m.extra == nil {
		return 0, 0
	}
	return m.extra.scan, m.extra.scanNext
}

// SetScan notes what the cursor for the present node ends with, and that for the next one.
func (p *Pool) SetScan(m *Msg, at, next int) {
	x := p.extraOf(m)
	x.scan, x.scanNext = at, next
}

// SetBlock makes m the EXEC of a transaction of n commands, one of which publishes
// something or none.
func (p *Pool) SetBlock(m *Msg, n int, publishes bool) {
	x := p.extraOf(m)
	x.block, x.publishes = n, publishes
}

// Publishes reports whether m is the EXEC of a transaction in which something is
// published.
func (m *Msg) Publishes() bool { return m.extra != nil && m.extra.publishes }

// IsError reports whether SetError was called for m.
func (m *Msg) IsError() bool { return m.extra != nil && m.extra.isError }

// SetError notes that the reply to m is an error.
func (p *Pool) SetError(m *Msg) { p.extraOf(m).isError = true }

// NoteKey is how many bytes of a key a Note holds.
const NoteKey = 128

// A Note is the beginning of one of a request's keys, and how many keys there are. It
// lives as long as its message.
type Note struct {
	n, len      int
	index, keys int
	text        [NoteKey]byte
}

// Note is the note of one of m's keys, or nil.
func (m *Msg) Note() *Note {
	if m.extra == nil || !m.extra.noted {
		return nil
	}
	return &m.extra.note
}

// Key is the beginning of the key, valid as long as the message, and the length
// of the whole.
func (n *Note) Key() (text []byte, length int) { return n.text[:n.n], n.len }

// Keys is how many keys the request has.
func (n *Note) Keys() int { return n.keys }

// Index is which of them this is.
func (n *Note) Index() int { return n.index }

// Take gives m a note of one of its keys.
func (p *Pool) Take(m *Msg, key []byte, index, keys int) {
	x := p.extraOf(m)
	x.noted = true
	n := &x.note
	n.n, n.len, n.index, n.keys = copy(n.text[:], key), len(key), index, keys
}
