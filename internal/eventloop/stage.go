package eventloop

// A Stage stands between the bytes on the wire and those of a connection's handler,
// as TLS does:
//
//	Handler ◄─ OnData, OnLent ── Wire ◄─ OnData ── engine
//	              Unwrap ▲        │ │
//	                     └─ Stage ┘ │
//	              Wrap ◄────┘       │
//	Handler ── Out, Flush ─► Wire ──┴── send ────► engine
//
// The handler cannot tell that there is one: what it is told, and what it asks, is
// in its own bytes. A connection without a stage has no Wire.
//
// All methods are called on the loop. What must be done elsewhere, such as a
// handshake, comes back by Wire.Post.
type Stage interface {
	// Begin is called once, when bytes can go to and fro. The stage calls w.Ready when
	// it can carry the handler's, not before Begin has returned.
	Begin(w *Wire)
	// Unwrap takes bytes off the front of src, which came from the wire, and puts what
	// they carry into dst. It returns how many bytes it put there and took. If n is 0
	// all of src was taken, and there is nothing more to be had until more comes. An
	// error of io.EOF is the peer's word that no more comes; any other one ends the
	// connection. What was put into dst counts all the same.
	//
	// As long as the stage is not ready dst is nil. It may then leave some of src, and
	// gets it again when it is ready, or calls w.More.
	Unwrap(dst, src []byte) (n, used int, err error)
	// Ended: nothing comes behind what the stage has, which is not ready yet. If it
	// cannot be any more it calls w.Fail, not before Ended has returned.
	Ended()
	// Wrap writes to the Wire what carries all of b, MaxRecord bytes at the most. The
	// peer must be able to read none of it before it has all, so that what has gone
	// can be told.
	Wrap(b []byte) error
	// CloseNotify writes to the Wire that no more comes.
	CloseNotify()
	// Partial is how many bytes it has taken that have not brought the handler any yet,
	// but may.
	Partial() int
	// Held is how many bytes of memory the stage holds.
	Held() int
	// End is called once, when the connection is closed. Nothing else is afterwards.
	End()
}

const (
	// MaxRecord is the most that a stage wraps at once, in bytes.
	MaxRecord = 16 << 10
	// maxRecords is how many records of a connection's output are wrapped ahead of
	// what the kernel takes.
	maxRecords = 4
)

// AttachStaged is Attach, with a stage between the connection and its handler; nil:
// there is none. The connection is made, and OnConnect told, when the stage is ready.
func (l *Loop) AttachStaged(c *Conn, fd int, inProgress bool, h Handler, st Stage) error {
	if st == nil {
		return l.Attach(c, fd, inProgress, h)
	}
	w := &Wire{conn: c, loop: l, handler: h, stage: st}
	if err := l.Attach(c, fd, inProgress, w); err != nil {
		return err
	}
	if l.plain == nil {
		l.plain = make([]byte, recvSize)
	}
	c.staged = w
	if !inProgress {
		// Nothing is told from within Attach.
		c.state = securing
		w.stir()
	}
	return nil
}

// Fault is why the stage has ended the connection, for a handler's OnError; nil if it
// has not.
func (c *Conn) Fault() error {
	if c.staged == nil {
		return nil
	}
	return c.staged.fault
}

// Staged is the connection's stage, nil if there is none.
func (c *Conn) Staged() Stage {
	if c.staged == nil {
		return nil
	}
	return c.staged.stage
}

// stir has the wires go on that have something left to do.
func (l *Loop) stir() {
	l.stirred, l.stirring = l.stirring, l.stirred
	for i, w := range l.stirring {
		l.stirring[i] = nil
		w.stirred = false
		if w.conn != nil {
			w.goOn()
		}
	}
	l.stirring = l.stirring[:0]
}
