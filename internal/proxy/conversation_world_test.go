package proxy_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
	"nuthatch/internal/proxy"
	"nuthatch/internal/testkit/scramble"
)

// A world is what a conversation's connections are made of.
type world interface {
	// newLoop is proxy.Options.NewLoop; nil for epoll.
	newLoop() func(epoch time.Time, hook eventloop.Hook) (*eventloop.Loop, error)
	// listen returns a listening socket for the proxy.
	listen(t testing.TB, sa unix.Sockaddr) *eventloop.ListenSocket
	// stages are what stands between the proxy's connections and the world; nil:
	// nothing.
	stages() proxy.Stages
	// serve listens for a stub, and dial connects a party to the proxy.
	serve(t testing.TB, sa unix.Sockaddr) port
	dial(t testing.TB, sa unix.Sockaddr) end
}

// A port is a stub's listening socket.
type port interface {
	accept() (end, bool)
	close()
}

// An end is the test's end of a connection. Nothing in it waits.
type end interface {
	Read(b []byte) (int, error)
	Write(b []byte) (int, error)
	CloseWrite()
	Close()
}

// A stagedEnd is one that speaks through a stage: what is written to it may wait there.
type stagedEnd interface {
	end
	// Flush writes what there is room for, and reports whether that is all.
	Flush() bool
	// Ready reports whether what is written goes out.
	Ready() bool
}

// worlds are all there are, by name.
var worlds = map[string]func() world{
	"epoll":                 func() world { return kernel{} },
	"fake":                  func() world { return network(false) },
	"completions":           func() world { return network(true) },
	"scrambled":             func() world { return &scrambled{world: network(false)} },
	"scrambled completions": func() world { return &scrambled{world: network(true)} },
	"scrambled epoll":       func() world { return &scrambled{world: kernel{}} },
	"io_uring":              func() world { return ring{} },
	"scrambled io_uring":    func() world { return &scrambled{world: ring{}} },
}

// scrambledLike are the worlds that are another with a stage, by the name of that.
var scrambledLike = map[string]string{"fake": "scrambled", "completions": "scrambled completions", "epoll": "scrambled epoll", "io_uring": "scrambled io_uring"}

// network is a world without descriptors.
func network(completions bool) fake {
	n := eventloop.NewNetwork()
	n.Completions = completions
	return fake{n}
}

// A scrambled is a world in whose connections a stage stands at either end.
type scrambled struct {
	world
	// early: a stage that dials waits for no answer, and whoever says that no more comes
	// ends the socket too.
	early bool
	// silent: a client that says that no more comes leaves the socket as it is.
	silent bool
	ends   int
	// moved is called when bytes have come to an end.
	moved func()
}

func (s *scrambled) stages() proxy.Stages { return s }

// Client implements proxy.Stages.
func (s *scrambled) Client() eventloop.Stage { return &scramble.Stage{} }

// Server implements proxy.Stages.
func (s *scrambled) Server(*config.Server) eventloop.Stage {
	return &scramble.Stage{Dials: true, Early: s.early}
}

// Until implements proxy.Stages.
func (s *scrambled) Until() int64 { return 0 }

func (s *scrambled) end(raw end, dials bool) end {
	s.ends++
	return scramble.NewEnd(raw, dials, !s.early && s.ends%2 != 0 || s.silent && dials, s.moved)
}

func (s *scrambled) serve(t testing.TB, sa unix.Sockaddr) port {
	return scrambledPort{s.world.serve(t, sa), s}
}

func (s *scrambled) dial(t testing.TB, sa unix.Sockaddr) end {
	return s.end(s.world.dial(t, sa), true)
}

type scrambledPort struct {
	port
	world *scrambled
}

func (p scrambledPort) accept() (end, bool) {
	raw, ok := p.port.accept()
	if !ok {
		return nil, false
	}
	return p.world.end(raw, false), true
}

// A fake is a world without descriptors.
type fake struct{ net *eventloop.Network }

func (f fake) newLoop() func(time.Time, eventloop.Hook) (*eventloop.Loop, error) { return f.net.New }

func (f fake) listen(_ testing.TB, sa unix.Sockaddr) *eventloop.ListenSocket { return f.net.Listen(sa) }

func (f fake) stages() proxy.Stages { return nil }

func (f fake) serve(_ testing.TB, sa unix.Sockaddr) port { return fakePort{f.net.Serve(sa)} }

func (f fake) dial(t testing.TB, sa unix.Sockaddr) end {
	p, err := f.net.Dial(sa)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type fakePort struct{ p *eventloop.Port }

func (f fakePort) accept() (end, bool) {
	p := f.p.Accept()
	return p, p != nil
}

func (f fakePort) close() { f.p.Close() }

// The kernel is a world of unix sockets and epoll.
type kernel struct{}

func (kernel) newLoop() func(time.Time, eventloop.Hook) (*eventloop.Loop, error) { return nil }

// A ring is the same with io_uring.
type ring struct{ kernel }

func (ring) newLoop() func(time.Time, eventloop.Hook) (*eventloop.Loop, error) {
	runtime.LockOSThread() // for the rest of the test: a ring is one thread's
	return func(epoch time.Time, hook eventloop.Hook) (*eventloop.Loop, error) {
		return eventloop.NewOn(eventloop.IOUring, epoch, hook)
	}
}

func (k kernel) listen(t testing.TB, sa unix.Sockaddr) *eventloop.ListenSocket {
	s, err := eventloop.InheritSocket(os.NewFile(uintptr(k.listening(t, sa)), "listening"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (kernel) listening(t testing.TB, sa unix.Sockaddr) int {
	fd := unixSocket(t)
	if err := unix.Bind(fd, sa); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 128); err != nil {
		t.Fatal(err)
	}
	return fd
}

func (kernel) stages() proxy.Stages { return nil }

func (k kernel) serve(t testing.TB, sa unix.Sockaddr) port { return unixPort(k.listening(t, sa)) }

func (kernel) dial(t testing.TB, sa unix.Sockaddr) end {
	fd := unixSocket(t)
	if err := unix.Connect(fd, sa); err != nil {
		t.Fatal(err)
	}
	return unixEnd(fd)
}

func unixSocket(t testing.TB) int {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

type unixPort int

func (p unixPort) accept() (end, bool) {
	fd, _, err := unix.Accept4(int(p), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	return unixEnd(fd), err == nil
}

func (p unixPort) close() { unix.Close(int(p)) }

type unixEnd int

func (e unixEnd) Read(b []byte) (int, error) { return unix.Read(int(e), b) }

func (e unixEnd) Write(b []byte) (int, error) {
	return unix.SendmsgN(int(e), b, nil, nil, unix.MSG_NOSIGNAL)
}

func (e unixEnd) CloseWrite() { _ = unix.Shutdown(int(e), unix.SHUT_WR) }

func (e unixEnd) Close() { unix.Close(int(e)) }

// names counts the socket names given out so far.
var names int

// abstract is a new socket name, that needs no file.
func abstract() string {
	names++
	return fmt.Sprintf("@nuthatch-%d-%d", os.Getpid(), names)
}
