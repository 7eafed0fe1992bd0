// Package tlsstage is TLS as a stage of the event loop: crypto/tls over a connection in
// memory.
//
//	loop                                     goroutine (Handshakes bounds them)
//	Begin, ClientHello ─► Handshakes ──────► tls.Conn.Handshake over a pipe
//	                      Wire.Post ◄─────── what it writes, and how it ended
//	Unwrap ─► tls.Conn.Read,  Wrap ─► tls.Conn.Write: on the loop, nothing waits
//
// An End has the certificates of one side of a pool, and is loaded anew when their
// files change. The proxy knows only eventloop's interface: it gets stages from a Pool.
package tlsstage

import (
	"crypto/tls"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/msg"
	"nuthatch/internal/proxyheader"
)

// Reasons why a handshake fails, besides those of crypto/tls.
var (
	// ErrPlain: the client does not speak TLS. ErrPlainServer: the server does not.
	ErrPlain       error = &fault{"a client without TLS on a port with TLS", true, false}
	ErrPlainServer error = &fault{"the server does not speak TLS at this address", true, false}
	// ErrSilentServer: the server says nothing in answer to the handshake.
	ErrSilentServer error = &fault{silentServer, true, true}
	// ErrHeader: a PROXY header from an address from which none is expected.
	ErrHeader error = &fault{"a PROXY header on a port with TLS, from an address that is not in proxy_protocol_from", true, false}
	// ErrSlow: the handshake has taken too long.
	ErrSlow error = &fault{"the TLS handshake has taken too long", false, true}
	// ErrHeldUp: the handshake waited for its client while others waited for its place.
	ErrHeldUp error = &fault{"the client has kept its TLS handshake waiting while others waited for its place (tls_handshakes)", false, true}
	// ErrLongHello: the client's first message is too long.
	ErrLongHello error = &fault{"the first message of the client's TLS handshake has more than 16 KB", false, false}
	// ErrBusy: too many handshakes wait.
	ErrBusy error = &fault{"too many TLS handshakes wait", false, true}
	errOver       = errors.New("the connection is closed")
)

// A fault is why a handshake fails.
type fault struct {
	text        string
	plain, late bool
}

func (f *fault) Error() string { return f.text }

// Plain reports whether the peer does not speak TLS.
func (f *fault) Plain() bool { return f.plain }

// Late reports whether the handshake took, or would have taken, too long.
func (f *fault) Late() bool { return f.late }

// A stage is TLS on one connection.
type stage struct {
	handshakes *Handshakes
	conn       *tls.Conn
	mem        memConn
	wire       *eventloop.Wire
	late       *time.Timer
	// client: it is the client's side, which begins. plainReply is what a client
	// without TLS is told.
	client     bool
	plainReply string
	// chosen is the name of the pool that the client has asked for, if it is another
	// one. The handshake sets it.
	chosen string
	// begun: its handshake is under way, or waits for its turn. A client's first message has
	// come by then.
	begun, ready bool
	// said: what the handshake says has begun to go. sealed: some of it is encrypted. heard: something
	// has come.
	said, sealed, heard bool
	// shaking: the handshake is under way. Its goroutine sets it.
	shaking atomic.Bool
}

// newStage makes a stage. conn makes its TLS connection.
func newStage(h *Handshakes, client bool, conn func(s *stage) *tls.Conn) *stage {
	s := &stage{handshakes: h, client: client}
	s.mem.pipe = newPipe()
	s.conn = conn(s)
	return s
}

// Begin implements eventloop.Stage. A server's handshake begins when its client's first message
// has come.
func (s *stage) Begin(w *eventloop.Wire) {
	s.wire = w
	p := s.mem.pipe
	p.tell = func() { w.Post(s.say) }
	s.mem.write = w.Write
	if t := s.handshakes.Timeout(); t > 0 {
		s.late = time.AfterFunc(t, func() { w.Post(s.expire) })
	}
	if s.client {
		s.begun = true
		s.handshakes.begin(s)
	}
}

// expire ends a handshake that has taken too long.
func (s *stage) expire() {
	switch {
	case s.ready:
	case s.Unanswered():
		s.fail(ErrSilentServer)
	default:
		s.fail(ErrSlow)
	}
}

// giveWay ends a handshake whose client keeps others waiting.
func (s *stage) giveWay() {
	if !s.ready {
		s.fail(ErrHeldUp)
	}
}

// Unanswered reports whether a server has said nothing in answer to the handshake.
func (s *stage) Unanswered() bool { return s.client && s.said && !s.heard }

func (s *stage) fail(err error) {
	if f, ok := errors.AsType[*fault](err); ok && f.late {
		s.alert()
	}
	if p := s.mem.pipe; p != nil {
		p.fail(err)
	}
	s.wire.Fail(err)
}

// alert tells a client without a certain answer that it gets none. Once the handshake encrypts what
// it says, which with TLS 1.3 is from its first answer on, the alert would have to be encrypted, too,
// and crypto/tls sends only alerts of its own choice.
func (s *stage) alert() {
	if s.client || s.sealed {
		return
	}
	refusal := []byte(msg.TLSRefusal)
	if s.said { // the version is known by then
		refusal[versionAt] = tls.VersionTLS12 & 0xff
	}
	_, _ = s.wire.Write(refusal)
}

// seals tells whether one of the records is encrypted, or the next one will be.
func seals(records []byte) bool {
	for len(records) >= recordHeader {
		if records[0] == recordCipherChange || records[0] == recordData {
			return true
		}
		size := recordHeader + int(records[3])<<8 + int(records[4])
		records = records[min(size, len(records)):]
	}
	return false
}

// say sends what the handshake has written so far.
func (s *stage) say() {
	if p := s.mem.pipe; p != nil {
		if out := p.take(); len(out) > 0 {
			_, _ = s.wire.Write(out) // fails on a closed connection only
			s.said, s.sealed = true, s.sealed || seals(out)
		}
		s.wire.More()
	}
}

// run is the handshake. It runs on a goroutine of its own.
func (s *stage) run() {
	s.shaking.Store(true)
	err := s.conn.Handshake()
	s.wire.Post(func() { s.done(err) })
}

// done runs on the loop when the handshake has ended.
func (s *stage) done(err error) {
	if s.late != nil {
		s.late.Stop()
	}
	if s.mem.pipe == nil {
		return
	}
	s.say()
	p := s.mem.pipe
	if err != nil {
		if _, ok := errors.AsType[tls.RecordHeaderError](err); ok && s.client {
			err = ErrPlainServer
		}
		s.fail(err)
		return
	}
	s.mem.pipe = nil
	if len(p.in) > 0 { // an empty one would keep what it is a part of
		s.mem.rest = p.in
	}
	s.late = nil
	s.ready = true
	s.wire.Ready()
}

// Unwrap implements eventloop.Stage.
func (s *stage) Unwrap(dst, src []byte) (n, used int, err error) {
	if !s.ready {
		return s.shake(src)
	}
	s.mem.src = src
	n, err = s.conn.Read(dst)
	used, s.mem.src = len(src)-len(s.mem.src), nil
	switch {
	case err == nil || errors.Is(err, errNothing):
		return n, used, nil
	case errors.Is(err, io.EOF):
		return n, used, io.EOF
	}
	return n, used, fmt.Errorf("tls: %w", err)
}

// shake gives the handshake what has come. It begins when the client's first message is whole.
func (s *stage) shake(src []byte) (n, used int, err error) {
	p := s.mem.pipe
	s.heard = s.heard || len(src) > 0
	if s.begun || len(src) == 0 {
		return 0, p.feed(src), nil
	}
	if p.hello.size == 0 && src[0] != recordContent {
		_, _ = s.wire.Write([]byte(s.plainReply))
		if begins, _ := proxyheader.Begins(src); begins {
			return 0, len(src), ErrHeader
		}
		return 0, len(src), ErrPlain
	}
	whole := p.hello.take(src)
	switch used = p.feed(src); {
	case whole:
		s.begun = true
		if !s.handshakes.begin(s) {
			s.alert()
			return 0, len(src), ErrBusy
		}
	case p.hello.size > maxHello:
		s.alert()
		return 0, len(src), ErrLongHello
	}
	return 0, used, nil
}

// Ended implements eventloop.Stage. Whoever says no more before it was answered cannot answer.
func (s *stage) Ended() {
	p := s.mem.pipe
	p.fail(io.EOF)
	if !s.begun || s.handshakes.forget(p.turn) {
		s.wire.Post(func() { s.wire.Fail(io.EOF) })
	}
}

// Wrap implements eventloop.Stage.
func (s *stage) Wrap(b []byte) error {
	_, err := s.conn.Write(b)
	return err
}

// CloseNotify implements eventloop.Stage.
func (s *stage) CloseNotify() {
	// If the alert cannot be sent, the peer sees the end of the stream.
	_ = s.conn.CloseWrite()
}

// Partial implements eventloop.Stage.
func (s *stage) Partial() int {
	if !s.ready {
		return 0
	}
	return s.mem.frames.partial() + len(s.mem.rest)
}

const (
	// idleSize is about what a connection holds before and after its handshake, in
	// bytes, besides the buffer of its records.
	idleSize = 8 << 10
	// HandshakeSize is about what it holds during the handshake, in bytes.
	HandshakeSize = 48 << 10
)

// Held implements eventloop.Stage.
func (s *stage) Held() int {
	switch {
	case s.ready:
		largest := s.mem.frames.largest
		return idleSize + largest + largest/8 + len(s.mem.rest) // its buffer has been rounded up
	case s.shaking.Load():
		return HandshakeSize
	case s.mem.pipe != nil:
		return idleSize + s.mem.pipe.fed
	}
	return idleSize
}

// End implements eventloop.Stage.
func (s *stage) End() {
	if s.late != nil {
		s.late.Stop()
	}
	if p := s.mem.pipe; p != nil {
		p.fail(errOver)
		s.handshakes.forget(p.turn)
	}
}

// Chosen is the name of the pool that the client has asked for; empty: it stays where
// it came to. The handshake must be over.
func (s *stage) Chosen() string { return s.chosen }

// Secured tells what the handshake has agreed on. The handshake must be over.
func (s *stage) Secured() (version string, resumed bool) {
	if !s.ready {
		return "", false
	}
	c := s.conn.ConnectionState()
	switch c.Version {
	case tls.VersionTLS12:
		version = "TLSv1.2"
	case tls.VersionTLS13:
		version = "TLSv1.3"
	}
	return version, c.DidResume
}

// Names are the common names of the peer's certificate, and its alternative names: of hosts,
// of mail, and URIs. There are none without a certificate. The handshake must be over.
func (s *stage) Names() (common, alternative []string) {
	if !s.ready {
		return nil, nil
	}
	certs := s.conn.ConnectionState().PeerCertificates
	if len(certs) == 0 {
		return nil, nil
	}
	c := certs[0]
	for _, attribute := range c.Subject.Names {
		if name, ok := attribute.Value.(string); ok && attribute.Type.Equal(commonName) {
			common = append(common, name)
		}
	}
	alternative = slices.Concat(c.DNSNames, c.EmailAddresses)
	for _, uri := range c.URIs {
		alternative = append(alternative, uri.String())
	}
	return common, alternative
}

// commonName is the attribute of a subject that RFC 5280 calls so.
var commonName = asn1.ObjectIdentifier{2, 5, 4, 3}
