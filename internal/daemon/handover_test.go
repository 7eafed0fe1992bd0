package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nuthatch/internal/socket"
)

// talk returns both ends of the socket between two programs.
func talk(t *testing.T) (old, next *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "talk")
		if ends[i], err = unixConn(f); err != nil {
			t.Fatal(err)
		}
		f.Close()
		t.Cleanup(func() { _ = ends[i].Close() })
	}
	return ends[0], ends[1]
}

// TestNewProgramIsAlone: the old program ends, or says nothing that is known, at each
// moment: the new one does not serve.
func TestNewProgramIsAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		answer string
		want   error
	}{
		"it lets it serve": {sayGo, nil},
		"it ends":          {"", errAlone},
		"it ends half way": {"g", errAlone},
		"something else":   {"no\n", errAlone},
	} {
		t.Run(name, func(t *testing.T) {
			old, next := talk(t)
			p := newPredecessor(next, 0)
			p.watchEnd(func(err error) { t.Errorf("it is alone before it was ready: %v", err) })
			go func() {
				line, err := bufio.NewReader(old).ReadString('\n')
				if want := fmt.Sprintf("ready %d\n", os.Getpid()); line != want || err != nil {
					t.Errorf("it says %q, %v, want %q", line, err, want)
				}
				_, _ = io.WriteString(old, tt.answer)
				old.Close()
			}()
			if err := p.ask(); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
	t.Run("it ends before", func(t *testing.T) {
		old, next := talk(t)
		p := newPredecessor(next, 0)
		alone := make(chan error)
		p.watchEnd(func(err error) { alone <- err })
		old.Close()
		if err := <-alone; !errors.Is(err, errAlone) {
			t.Error(err)
		}
	})
}

// TestSocketsAreHandedOver: more than one message carries; and of a program that ends
// half way none is left.
func TestSocketsAreHandedOver(t *testing.T) {
	var files []*os.File
	for range 2*64 + 3 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		files = append(files, f)
	}
	for name, wanted := range map[string]int{"all": len(files), "half way": len(files) + 1} {
		t.Run(name, func(t *testing.T) {
			old, next := talk(t)
			p := newPredecessor(next, wanted)
			go func() {
				if line, err := bufio.NewReader(old).ReadString('\n'); line != saySockets || err != nil {
					t.Errorf("it asks for %q, %v", line, err)
				}
				if err := socket.Pass(old, files); err != nil {
					t.Error(err)
				}
				old.Close()
			}()
			taken, err := p.takeSockets()
			if (err == nil) != (wanted == len(files)) || err == nil && len(taken) != wanted {
				t.Errorf("%d sockets, %v", len(taken), err)
			}
			for _, f := range taken {
				if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
					t.Errorf("descriptor %d: flags %x, %v", f.Fd(), flags, err)
				}
				f.Close()
			}
		})
	}
}

// TestOldProgramWaits: what the new program says, and what the old one makes of it.
func TestOldProgramWaits(t *testing.T) {
	for name, tt := range map[string]struct {
		says  string
		stays bool // it does not end, and the old one is told to
		pid   int
		want  string // in the error
	}{
		"ready":        {"ready 17\n", true, 17, ""},
		"sockets":      {"sockets\nready 18\n", true, 18, ""},
		"failed":       {"failed\npool 'a': no\npool 'b': no", false, 0, "pool 'a': no\npool 'b': no"},
		"nothing":      {"", false, 0, errNoReport.Error()},
		"half a word":  {"rea", false, 0, errNoReport.Error()},
		"no pid":       {"ready x\n", true, 0, "invalid syntax"},
		"hangs":        {"", true, 0, context.Canceled.Error()},
		"hangs, asked": {"sockets\n", true, 0, context.Canceled.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			old, next := talk(t)
			s := &successor{conn: old, in: bufio.NewReader(old)}
			if _, err := io.WriteString(next, tt.says); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if !tt.stays {
				next.Close()
			} else if strings.Contains(tt.want, "canceled") {
				cancel()
			}
			err := s.awaitReady(ctx, nil)
			if s.pid != tt.pid || (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("pid %d, %v; want %d, %q", s.pid, err, tt.pid, tt.want)
			}
		})
	}
}
