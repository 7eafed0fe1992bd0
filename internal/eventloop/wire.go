package eventloop

import (
	"errors"
	"io"
	"syscall"

	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
)

// A Wire stands below the handler of a connection with a stage. It is the engine's
// handler, and what the stage writes to.
//
// The handler's output stays where it is until the records that carry it have been
// sent. So what is unsent, what may be on its way, and what can be sent on another
// connection is the same with a stage and without. Only a few records are wrapped at a
// time, so that little of a slow reader's output is held twice.
type Wire struct {
	conn    *Conn // nil once the connection is closed
	loop    *Loop
	handler Handler
	stage   Stage

	// out is what goes to the peer: records, in their order.
	out     mbuf.Chain
	records []record
	// wrapped is how many bytes of the handler's output the records carry.
	wrapped int
	// back is what has come and could not be unwrapped yet.
	//
	// Invariant: empty unless the engine does not read.
	back mbuf.Chain
	// held is what is counted of the stage's memory.
	held int
	// granted is what the handler has granted for what the engine receives.
	granted int

	// queued is how many bytes of the records were not reported to the handler.
	queued int

	// begun: the stage knows that bytes can be sent. stirred: in the loop's list.
	// paused: the handler wants nothing. more: the stage, or back, has something for
	// the handler. wrapping: what the stage writes belongs to the last record. flooded:
	// the peer does not read what the stage writes by itself.
	begun, stirred, paused, more, wrapping, flooded bool
	// over: the stage gives nothing more. ended: nothing comes after what the stage
	// has. endingTold, eof: the handler knows that the end is near, or there. shut: the
	// peer was told that we send no more. ending: after that the socket's side is to be
	// closed.
	over, ended, endingTold, eof, shut, ending bool
	fault                                      error
}

// A record is what one Wrap has written, or what the stage has written by itself.
type record struct{ plain, wire int }

// maxOwn is how many bytes that the stage has written by itself, such as answers to key
// updates, may wait for the peer to read them, once the stage is ready.
const maxOwn = 64 << 10

// ErrUnread means that the peer has the stage answer again and again, and reads no answer.
var ErrUnread = errors.New("the peer does not read the answers to its key updates")

// Write puts the stage's bytes into the output. It must be called on the loop.
func (w *Wire) Write(b []byte) (int, error) {
	if w.conn == nil {
		return 0, io.ErrClosedPipe
	}
	if !w.wrapping && w.conn.state == open && w.own()+len(b) > maxOwn {
		w.flooded = true
		return 0, ErrUnread
	}
	if n := len(w.records); n > 0 && (w.wrapping || w.records[n-1].plain == 0) {
		w.records[n-1].wire += len(b)
	} else {
		w.records = append(w.records, record{wire: len(b)})
	}
	w.queued += len(b)
	w.out.Append(&w.loop.bufs, b)
	if !w.wrapping {
		w.conn.sendLater()
	}
	return len(b), nil
}

// Post has f run on the loop, unless the connection is closed by then. It may be
// called from any goroutine. It reports false if the loop has ended.
func (w *Wire) Post(f func()) bool {
	return w.loop.Post(func() {
		if w.conn != nil {
			f()
			w.account()
		}
	})
}

// Ready says that the stage carries the handler's bytes from now on. The handler gets
// those that have come before it sends anything. It must be called from a posted
// function.
func (w *Wire) Ready() {
	c := w.conn
	invariant.Check(c.state == securing, "eventloop: a stage is ready twice")
	c.noRead, w.more = true, true
	c.made()
	if w.conn != nil {
		w.goOn()
	}
}

// More gives the stage again what it has left, before it is ready.
func (w *Wire) More() { w.stir() }

// Fail ends the connection. The handler gets an error or, if all that is wrong is that the
// peer ended the connection before the stage was ready (err is then io.EOF or
// io.ErrUnexpectedEOF), the end. A stage may find a fault, say so to its peer, and hear of
// the end before it can tell the fault.
func (w *Wire) Fail(err error) {
	if w.conn == nil || w.fault != nil {
		return
	}
	w.fault = err
	if w.ended && w.conn.state == securing && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
		w.eof = true
		w.handler.OnEOF()
		return
	}
	if w.wrapped == 0 {
		w.say() // the stage may have said why
	}
	w.handler.OnError(syscall.EPROTO)
}

// account counts what the stage holds.
func (w *Wire) account() {
	held := 0
	if w.conn != nil {
		held = w.stage.Held()
	}
	w.loop.staged += held - w.held
	w.held = held
}

// stir lets the wire go on in the next turn.
func (w *Wire) stir() {
	if !w.stirred {
		w.stirred = true
		w.loop.stirred = append(w.loop.stirred, w)
	}
}

// goOn does what was left for this turn.
func (w *Wire) goOn() {
	c := w.conn
	switch {
	case c.state == connecting:
		return
	case !w.begun:
		w.begun = true
		w.stage.Begin(w)
		w.account()
		if w.conn != nil && w.back.Len() > 0 { // it was received before there was a stage
			w.stir()
		}
		return
	case w.paused && c.state == open || w.eof:
		return
	case w.over:
		w.readOn()
		return
	case w.stirred:
		return // it has its turn
	case w.loop.load.receivedEnough():
		w.stir()
		return
	}
	w.granted = 0
	for {
		var src []byte
		if k := w.back.Head(); k != nil {
			src = k.Bytes()
		}
		rest := w.unwrap(src)
		if w.conn == nil {
			return
		}
		if w.over {
			w.back.Release(&w.loop.bufs)
			return
		}
		w.loop.load.received += len(src)
		w.back.Advance(&w.loop.bufs, len(src)-len(rest))
		w.more = w.more || w.back.Len() > 0
		if !w.more {
			break
		}
		if w.paused || w.back.Len() == 0 || c.state != open {
			return
		}
	}
	w.readOn()
}

// readOn has the engine receive, or tells the handler the end that was held back.
func (w *Wire) readOn() {
	switch c := w.conn; {
	case w.paused && c.state == open:
	case w.ended && c.state == open:
		w.eof = true
		w.handler.OnEOF()
	default:
		c.noRead = false
		w.loop.engine.receive(c)
	}
}

// unwrap gives the handler what src carries, and returns what is left of src. If
// something is left, the handler or the stage takes no more for now, and more is true.
func (w *Wire) unwrap(src []byte) (rest []byte) {
	c := w.conn
	for {
		var dst []byte
		var lent bool
		if c.state == open {
			var ok bool
			if dst, lent, ok = w.room(); !ok {
				w.more = true
				return src
			}
		}
		filled, dry := 0, false
		var err error
		for !dry && err == nil && (filled < len(dst) || dst == nil) {
			var n, used int
			n, used, err = w.stage.Unwrap(dst[filled:], src)
			filled += n
			src = src[used:]
			dry = n == 0
			if err == nil && w.flooded {
				err = ErrUnread
			}
		}
		w.account()
		if filled > 0 && !w.give(dst[:filled], lent) {
			return nil
		}
		switch {
		case err != nil:
			w.broke(err)
			return nil
		case dry:
			w.more = len(src) > 0
			return src
		case w.paused:
			w.more = true
			return src
		}
	}
}

// room is where the handler's bytes are put. ok is false if the handler wants none.
func (w *Wire) room() (dst []byte, lent, ok bool) {
	most := w.granted
	w.granted = 0
	if most == 0 {
		most = w.handler.Grant()
	}
	if w.conn == nil || w.paused {
		return nil, false, false
	}
	own := w.handler.Lend()
	if w.conn == nil || w.paused {
		return nil, false, false
	}
	if len(own) > 0 {
		return own, true, true
	}
	return w.loop.plain[:min(most, len(w.loop.plain))], false, true
}

// give gives the handler bytes, and reports whether the connection is still there.
func (w *Wire) give(b []byte, lent bool) bool {
	if lent {
		w.handler.OnLent(len(b))
		return w.conn != nil
	}
	w.handler.OnData(b)
	invariant.Poison(b)
	return w.conn != nil
}

// broke tells the handler of the end or the error that Unwrap has returned.
func (w *Wire) broke(err error) {
	w.over, w.more = true, false
	if !errors.Is(err, io.EOF) {
		w.Fail(err)
		return
	}
	// Bytes after the peer's last word are not read.
	w.conn.noRead, w.ended = true, true
	if w.paused && w.conn.state == open {
		w.tellEnding()
		return
	}
	w.eof = true
	w.handler.OnEOF()
}

// pause implements Conn.PauseRead. While the stage is not ready, reading goes on for
// the stage.
func (w *Wire) pause() {
	w.paused = true
	if w.conn.state == open {
		w.conn.noRead = true
	}
}

// resume implements Conn.ResumeRead.
func (w *Wire) resume() {
	if !w.paused {
		return
	}
	w.paused = false
	switch c := w.conn; {
	case c.state != open || w.eof:
	case w.more || w.ended:
		w.stir()
	default:
		w.readOn()
	}
}

// seal wraps as much of the handler's output as is to be sent now, and returns the
// output to the peer.
func (w *Wire) seal() *mbuf.Chain {
	c := w.conn
	if w.wrapped > 0 || c.state != open || c.out.Len() == 0 || w.fault != nil {
		return &w.out
	}
	plain := mbuf.Whole(&c.out)
	for n := 0; n < maxRecords && w.wrapped < plain.Len(); n++ {
		var b []byte
		b, w.loop.gathered = plain.Bytes(w.wrapped, min(MaxRecord, plain.Len()-w.wrapped), w.loop.gathered)
		w.records = append(w.records, record{plain: len(b)})
		w.wrapped += len(b)
		if err := w.wrap(b); err != nil {
			w.Fail(err)
			return &w.out
		}
	}
	w.account()
	return &w.out
}

// wrap has the stage write a record that carries b.
func (w *Wire) wrap(b []byte) error {
	w.wrapping = true
	err := w.stage.Wrap(b)
	w.wrapping = false
	return err
}

// took removes n sent bytes, and returns how many of the handler's bytes have been sent
// with them.
func (w *Wire) took() (plain int) {
	gone := w.queued - w.out.Len()
	w.queued = w.out.Len()
	i := 0
	for ; i < len(w.records); i++ {
		r := &w.records[i]
		if gone < r.wire {
			r.wire -= gone
			break
		}
		gone -= r.wire
		plain += r.plain
	}
	w.records = w.records[:copy(w.records, w.records[i:])]
	w.wrapped -= plain
	w.conn.out.Advance(&w.loop.bufs, plain)
	return plain
}

// own is how many bytes of the stage's own are not known to have been sent.
func (w *Wire) own() (n int) {
	for _, r := range w.records {
		if r.plain == 0 {
			n += r.wire
		}
	}
	return n
}

// inFlight is how many of the handler's bytes may have been sent if n bytes of the
// output have been.
func (w *Wire) inFlight(wire int) (plain int) {
	for _, r := range w.records {
		if wire <= 0 {
			break
		}
		wire -= r.wire
		plain += r.plain
	}
	return plain
}

// say sends the output at once, if possible, ahead of the handler's output.
func (w *Wire) say() {
	if w.out.Len() > 0 {
		w.loop.gathered = w.out.AppendTo(w.loop.gathered[:0])
		w.loop.engine.lastWords(w.conn.fd, w.loop.gathered)
		w.out.Release(&w.loop.bufs)
	}
}

// lastWords implements Conn.LastWords.
func (w *Wire) lastWords(b []byte) {
	if w.wrap(b) == nil {
		w.say()
	}
}

// closeWrite implements Conn.CloseWrite: the stage's last word goes first.
func (w *Wire) closeWrite() {
	if w.shut || w.conn.state != open {
		w.loop.engine.closeWrite(w.conn)
		return
	}
	w.shut, w.ending = true, true
	w.stage.CloseNotify()
	w.conn.sendLater()
}

// farewell tells the peer that no more comes, if no other output waits.
func (w *Wire) farewell() {
	if w.conn.state == open && w.fault == nil && !w.shut && w.out.Len() == 0 {
		w.shut = true
		w.wrapping = true
		w.stage.CloseNotify()
		w.say()
	}
}

// release releases what the wire holds. The connection is closed.
func (w *Wire) release() {
	w.conn = nil
	w.account()
	w.out.Release(&w.loop.bufs)
	w.back.Release(&w.loop.bufs)
	w.stage.End()
}

// OnConnect implements Handler.
func (w *Wire) OnConnect() { w.handler.OnConnect() }

// OnData implements Handler.
func (w *Wire) OnData(data []byte) {
	if w.over {
		return
	}
	invariant.Check(w.back.Len() == 0, "eventloop: bytes came before those that wait")
	rest := w.unwrap(data)
	if w.conn != nil && w.more {
		w.conn.noRead = true
		w.back.Append(&w.loop.bufs, rest)
	}
}

// OnEOF implements Handler.
func (w *Wire) OnEOF() {
	switch {
	case w.eof || w.ended:
	case w.conn.state != open:
		w.ended = true
		w.stage.Ended()
	default:
		w.eof = true
		w.handler.OnEOF()
	}
}

// OnEnding implements Handler.
func (w *Wire) OnEnding() {
	if w.conn.state == open && !w.eof {
		w.tellEnding()
	}
}

func (w *Wire) tellEnding() {
	if !w.endingTold {
		w.endingTold = true
		w.handler.OnEnding()
	}
}

// OnError implements Handler.
func (w *Wire) OnError(err syscall.Errno) {
	w.took() // by a write before the one that failed
	w.handler.OnError(err)
}

// OnSent implements Handler.
func (w *Wire) OnSent(int) {
	c, plain := w.conn, w.took()
	if w.ending && w.out.Len() == 0 {
		w.ending = false
		w.loop.engine.closeWrite(c)
	}
	if c.state != open {
		return
	}
	if w.wrapped == 0 && c.out.Len() > 0 {
		c.sendLater()
	}
	w.handler.OnSent(plain)
}

// Grant implements Handler.
func (w *Wire) Grant() int {
	if w.conn.state != open {
		return Unlimited
	}
	w.granted = w.handler.Grant()
	return w.granted
}

// Lend implements Handler: what comes are not the handler's bytes yet.
func (w *Wire) Lend() []byte { return nil }

// OnLent implements Handler.
func (w *Wire) OnLent(int) {}
