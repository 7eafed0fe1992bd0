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
// The handler cannot tell that there is a stage: all numbers that it gets are about its
// own bytes. A connection without a stage has no Wire.
//
// All methods are called on the loop. Work that must be done elsewhere, such as a
// handshake, comes back by Wire.Post.
type Stage interface {
	// Begin is called once, when bytes can be sent and received. The stage calls
	// w.Ready when it can carry the handler's bytes, but not before Begin has returned.
	Begin(w *Wire)
	// Unwrap takes bytes off the front of src, which came from the wire, and puts what
	// they carry into dst. It returns how many bytes it put there and how many it took.
	// If n is 0, all of src was taken, and more must come first. io.EOF means that the
	// peer said that no more comes. Any other error ends the connection. What was put
	// into dst counts all the same.
	//
	// While the stage is not ready, dst is nil. It may then leave a part of src. It
	// gets that again when it is ready, or when it calls w.More.
	Unwrap(dst, src []byte) (n, used int, err error)
	// Ended: nothing more comes, and the stage is not ready yet. If it cannot become
	// ready any more, it calls w.Fail, but not before Ended has returned.
	Ended()
	// Wrap writes a record that carries all of b, at most MaxRecord bytes, to the Wire.
	// The peer must not be able to read any of b before it has the whole record, so
	// that it is known what has been sent.
	Wrap(b []byte) error
	// CloseNotify writes to the Wire that no more comes.
	CloseNotify()
	// Partial is how many bytes the stage has taken that have not brought the handler
	// any bytes yet, but may.
	Partial() int
	// Held is how many bytes of memory the stage holds.
	Held() int
	// End is called once, when the connection is closed. No method is called after it.
	End()
}

const (
	// MaxRecord is how many bytes a stage wraps at most at a time.
	MaxRecord = 16 << 10
	// maxRecords is how many records of a connection's output are wrapped ahead of
	// what the kernel takes.
	maxRecords = 4
)

// attachStaged is attach with a stage between the connection and its handler; nil:
// there is none. When the stage is ready, the connection is made, and OnConnect is
// called.
func (l *Loop) attachStaged(c *Conn, fd int, inProgress bool, h Handler, st Stage) error {
	if st == nil {
		return l.attach(c, fd, inProgress, h)
	}
	w := &Wire{conn: c, loop: l, handler: h, stage: st}
	if err := l.attach(c, fd, inProgress, w); err != nil {
		return err
	}
	w.stands(inProgress)
	return nil
}

// stands puts the wire between its connection and the handler.
func (w *Wire) stands(inProgress bool) {
	l := w.loop
	if l.plain == nil {
		l.plain = make([]byte, recvSize)
	}
	w.conn.staged = w
	if !inProgress {
		// Nothing is told from within attach.
		w.conn.state = securing
		w.stir()
	}
}

// Fault is why the stage has ended the connection; nil if it has not. It is for a
// handler's OnError.
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

// StageBytes is how many bytes the connection's stage holds, and the records that were not
// sent or not unwrapped yet; 0 without a stage.
func (c *Conn) StageBytes() int {
	w := c.staged
	if w == nil {
		return 0
	}
	return w.held + w.out.Len() + w.back.Len()
}

// stir lets the wires go on that have something left to do.
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
