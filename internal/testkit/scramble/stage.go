package scramble

import (
	"io"

	"nuthatch/internal/eventloop"
)

// A Stage is an eventloop.Stage.
type Stage struct {
	// Early has a stage that dials carry bytes before the other side has answered.
	Early bool
	// Dials: it speaks first.
	Dials bool
	// Ends is called when the connection is closed, if it is not nil.
	Ends func()

	wire  *eventloop.Wire
	out   stream
	in    reader
	buf   []byte
	plain []byte // of a record that was not given wholly
	// waits is what came before it was ready.
	waits            []byte
	met, ready, over bool
}

// Begin implements eventloop.Stage.
func (s *Stage) Begin(w *eventloop.Wire) {
	s.wire = w
	if s.Dials {
		s.write(hello, nil)
	}
	if s.Dials && s.Early {
		s.becomeReady()
	}
}

// becomeReady does so in another turn, as if the handshake ended elsewhere.
func (s *Stage) becomeReady() {
	s.wire.Post(func() {
		if !s.ready {
			s.ready = true
			s.wire.Ready()
		}
	})
}

func (s *Stage) write(k kind, body []byte) {
	s.buf = s.out.appendRecord(s.buf[:0], k, body)
	_, _ = s.wire.Write(s.buf) // fails on a closed connection only
}

// Unwrap implements eventloop.Stage.
func (s *Stage) Unwrap(dst, src []byte) (n, used int, err error) {
	if !s.ready {
		return 0, len(src), s.meet(src)
	}
	for s.over || len(s.plain) == 0 {
		if s.over {
			return 0, used, io.EOF
		}
		if len(s.waits) > 0 {
			k, err := s.read(s.waits)
			s.waits = s.waits[k:]
			if err != nil {
				return 0, used, err
			}
			continue
		}
		k, err := s.read(src[used:])
		used += k
		if err != nil || used == len(src) && len(s.plain) == 0 && !s.over {
			return 0, used, err
		}
	}
	n = copy(dst, s.plain)
	s.plain = s.plain[n:]
	return n, used, nil
}

// read takes one record off src, or what there is of one.
func (s *Stage) read(src []byte) (used int, err error) {
	k, body, used, err := s.in.take(src)
	switch k {
	case data:
		s.plain = append(s.plain[:0], body...)
	case ping:
		s.write(pong, nil)
	case bye:
		s.over = true
	case hello, pong:
	}
	return used, err
}

// meet takes what comes before the stage is ready.
func (s *Stage) meet(src []byte) error {
	if !s.met {
		k, _, used, err := s.in.take(src)
		src = src[used:]
		switch {
		case err != nil:
			return err
		case k != 0:
			s.met = true
			if !s.Dials {
				s.write(hello, nil)
			}
			s.becomeReady()
		}
	}
	s.waits = append(s.waits, src...)
	return nil
}

// Ended implements eventloop.Stage.
func (s *Stage) Ended() {
	if !s.met {
		s.wire.Post(func() { s.wire.Fail(io.ErrUnexpectedEOF) })
	}
}

// Wrap implements eventloop.Stage. Now and then the peer is asked for an answer.
func (s *Stage) Wrap(b []byte) error {
	s.write(data, b)
	if s.out.records%5 == 0 {
		s.write(ping, nil)
	}
	return nil
}

// CloseNotify implements eventloop.Stage.
func (s *Stage) CloseNotify() { s.write(bye, nil) }

// Partial implements eventloop.Stage.
func (s *Stage) Partial() int { return len(s.plain) + len(s.in.in) + len(s.waits) }

// Held implements eventloop.Stage.
func (s *Stage) Held() int { return cap(s.plain) + cap(s.in.in) + cap(s.waits) + cap(s.buf) }

// End implements eventloop.Stage.
func (s *Stage) End() {
	if s.Ends != nil {
		s.Ends()
	}
}
