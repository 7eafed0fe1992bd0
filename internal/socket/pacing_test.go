package socket

import (
	"testing"

	"golang.org/x/sys/unix"
)

// congestion is the name of a socket's congestion control.
func congestion(t *testing.T, fd int) string {
	t.Helper()
	name, err := unix.GetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// TestUnpace: BBR does not stay on a connection within the machine, at either end;
// what does not pace stays.
func TestUnpace(t *testing.T) {
	ln := listen(t, ListenSpec{Host: "127.0.0.1"})
	for _, name := range []string{"bbr", "reno"} {
		fd := dial(t, boundTo(t, ln))
		if err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, name); err != nil {
			if name == "bbr" {
				continue // a kernel without it has nothing to take off
			}
			t.Fatal(err)
		}
		Tune(fd, Keepalive{})
		if got := congestion(t, fd); got != "reno" {
			t.Errorf("the congestion control of a tuned connection is %q, was %q", got, name)
		}
	}
	fd := dial(t, boundTo(t, ln))
	for what, fd := range map[string]int{"listener": ln, "connection": fd} {
		if got := congestion(t, fd); got == "bbr" {
			t.Errorf("the congestion control of a %s within the machine is %q", what, got)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	tests := []struct {
		sa   unix.Sockaddr
		want bool
	}{
		{&unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, true},
		{&unix.SockaddrInet4{Addr: [4]byte{127, 9, 9, 9}}, true},
		{&unix.SockaddrInet4{Addr: [4]byte{10, 0, 0, 1}}, false},
		{&unix.SockaddrInet4{}, false},
		{&unix.SockaddrInet6{Addr: [16]byte{15: 1}}, true},
		{&unix.SockaddrInet6{Addr: [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}}, true},
		{&unix.SockaddrInet6{}, false},
		{&unix.SockaddrUnix{Name: "/s"}, false},
	}
	for _, tt := range tests {
		if got := isLoopback(tt.sa); got != tt.want {
			t.Errorf("%s stays within the machine: %t, want %t", Name(tt.sa), got, tt.want)
		}
	}
}
