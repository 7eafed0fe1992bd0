package scramble

import (
	"errors"

	"golang.org/x/sys/unix"
)

// A Socket is one end of a connection. Nothing in it waits: the error is EAGAIN where
// there is nothing, or no room.
type Socket interface {
	Read(b []byte) (int, error)
	Write(b []byte) (int, error)
	CloseWrite()
	Close()
}

// An End is a Socket that speaks to a Stage through another Socket.
type End struct {
	raw Socket
	// out is what is still to be written.
	out        []byte
	w          stream
	r          reader
	in, plain  []byte
	dials, met bool
	over       bool
	// stopping: the socket is to end behind out.
	stopping, silent bool
	moved            func()
	// turn makes one record differ from the next.
	turn int
}

// NewEnd begins to speak. One that dials speaks first. How it ends is told by odd:
// by its last word alone, or with the socket's end behind it. moved is called whenever
// something has come.
func NewEnd(raw Socket, dials, odd bool, moved func()) *End {
	e := &End{raw: raw, dials: dials, silent: odd, moved: moved}
	if dials {
		e.out = e.w.appendRecord(e.out, hello, nil)
		e.met = true
	}
	e.Flush()
	return e
}

// Flush writes what there is room for, and reports whether that is all.
func (e *End) Flush() bool {
	for len(e.out) > 0 {
		n, err := e.raw.Write(e.out)
		if err != nil || n <= 0 {
			if err != nil && !errors.Is(err, unix.EAGAIN) {
				e.out = nil
			}
			break
		}
		e.out = e.out[n:]
	}
	if len(e.out) == 0 && e.stopping {
		e.stopping = false
		e.raw.CloseWrite()
	}
	return len(e.out) == 0
}

// Write puts bytes into records. As long as some wait it takes no more.
func (e *End) Write(b []byte) (int, error) {
	if !e.met {
		if err := e.fill(1); err != nil && !errors.Is(err, unix.EAGAIN) {
			return 0, err
		}
		switch {
		case e.over:
			return 0, unix.EPIPE
		case !e.met:
			return 0, unix.EAGAIN
		}
	}
	if !e.Flush() {
		return 0, unix.EAGAIN
	}
	n := 0
	for n < len(b) && len(e.out) < 32<<10 {
		e.turn++
		k := min(len(b)-n, 1+e.turn*137%900)
		if e.turn%11 == 0 {
			k = min(len(b)-n, maxBody)
		}
		e.out = e.w.appendRecord(e.out, data, b[n:n+k])
		if e.turn%7 == 0 {
			e.out = e.w.appendRecord(e.out, ping, nil)
		}
		n += k
	}
	// The first try tells whether there is anybody.
	k, err := e.raw.Write(e.out)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		e.out = nil
		return 0, err
	}
	e.out = e.out[max(k, 0):]
	e.Flush()
	return n, nil
}

// Read takes what records carry.
func (e *End) Read(b []byte) (int, error) {
	e.Flush()
	for len(e.plain) == 0 {
		if e.over {
			return 0, nil
		}
		if err := e.fill(len(b)); err != nil {
			return 0, err
		}
	}
	n := copy(b, e.plain)
	e.plain = e.plain[n:]
	return n, nil
}

// fill reads at most n bytes, or takes a record off what was read.
func (e *End) fill(n int) error {
	if len(e.in) == 0 {
		buf := make([]byte, min(n, 32<<10))
		n, err := e.raw.Read(buf)
		if err != nil {
			return err
		}
		e.moved()
		e.in = buf[:n]
		e.over = n == 0
	}
	k, body, used, err := e.r.take(e.in)
	e.in = e.in[used:]
	switch k {
	case hello:
		if !e.dials {
			e.out = e.w.appendRecord(e.out, hello, nil)
			e.met = true
		}
	case data:
		e.plain = append(e.plain, body...)
	case ping:
		e.out = e.w.appendRecord(e.out, pong, nil)
	case bye:
		e.over = true
	case pong:
	}
	e.Flush()
	return err
}

// Ready reports whether what is written goes out.
func (e *End) Ready() bool { return e.met && len(e.out) == 0 }

// CloseWrite says that no more comes.
func (e *End) CloseWrite() {
	if e.met {
		e.out = e.w.appendRecord(e.out, bye, nil)
	}
	e.stopping = !e.silent || !e.met
	e.Flush()
}

// Close gives the socket up.
func (e *End) Close() { e.raw.Close() }
