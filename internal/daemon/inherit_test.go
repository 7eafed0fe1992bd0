package daemon

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/logging"
)

// What systemd listens at and nobody uses is told: its clients wait.
func TestUnusedSocketsOfSystemd(t *testing.T) {
	for name, tt := range map[string]struct {
		from  *predecessor
		lines int
	}{"systemd's": {nil, 1}, "an old program's": {&predecessor{}, 0}} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		_ = l.Close()
		s, err := eventloop.InheritSocket(f)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		log, err := logging.New(logging.Options{Level: logging.Notice, Writer: &text})
		if err != nil {
			t.Fatal(err)
		}
		in := &inherited{sockets: map[string]*eventloop.ListenSocket{s.Name(): s}, from: tt.from}
		in.closeRest(log)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(text.String(), "systemd listens at an address that the configuration does not have"); n != tt.lines ||
			n > 0 && !strings.Contains(text.String(), "addr="+addr) {
			t.Errorf("%s: %d lines, want %d: %s", name, n, tt.lines, text.String())
		}
		if len(in.sockets) > 0 {
			t.Errorf("%s: it is kept", name)
		}
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			t.Errorf("%s: it still listens", name)
		}
	}
}

// Process 1 is not replaced: its container would end.
func TestFirstProcessIsNotReplaced(t *testing.T) {
	if err := mayBeReplaced(1); !errors.Is(err, errFirst) {
		t.Errorf("process 1: %v", err)
	}
	if err := mayBeReplaced(os.Getpid()); err != nil {
		t.Errorf("another: %v", err)
	}
}
