package eventloop

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// A Peer is the test's end of a connection of a Network. Its calls never wait.
type Peer struct{ s *fakeSocket }

// Dial connects to a listening socket of the network.
func (n *Network) Dial(sa unix.Sockaddr) (*Peer, error) { return peerOf(n.connect(sa)) }

// DialFrom connects from an IP address.
func (n *Network) DialFrom(from netip.AddrPort, sa unix.Sockaddr) (*Peer, error) {
	return peerOf(n.connectFrom(from.String(), sa))
}

// peerOf is the test's end of a connection; nil: nobody listens.
func peerOf(s *fakeSocket) (*Peer, error) {
	if s == nil {
		return nil, unix.ECONNREFUSED
	}
	return &Peer{s}, nil
}

// Read takes what has come. The error is EAGAIN if there is nothing, and ECONNRESET if
// the connection is broken; n is 0 without an error at the end of the stream.
func (p *Peer) Read(b []byte) (n int, err error) { return p.s.read(b) }

// Write sends what the other end has room for. The error is EAGAIN if there is none,
// and EPIPE if there is nobody.
func (p *Peer) Write(b []byte) (n int, err error) { return p.s.write(b) }

// CloseWrite says that no more comes.
func (p *Peer) CloseWrite() { p.s.shutdown() }

// Close gives the connection up: with bytes that were not read, that is a reset.
func (p *Peer) Close() { p.s.close() }

// A Port is a listening socket of the test's.
type Port struct{ s *fakeSocket }

// Serve listens for connections at the address.
func (n *Network) Serve(sa unix.Sockaddr) *Port { return &Port{n.listen(sa)} }

// Accept returns the next connection, nil if none waits.
func (p *Port) Accept() *Peer {
	if len(p.s.waiting) == 0 {
		return nil
	}
	s := p.s.waiting[0]
	p.s.waiting = p.s.waiting[1:]
	return &Peer{s}
}

// Close listens no more. Connections that were not accepted are reset.
func (p *Port) Close() { p.s.close() }
