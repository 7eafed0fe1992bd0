package eventloop

import "testing"

func TestEngineNames(t *testing.T) {
	for e, want := range map[Engine]string{Epoll: "epoll", IOUring: "io_uring", IOUring + 1: "engine 2"} {
		if got := e.String(); got != want {
			t.Errorf("engine %d is %q, want %q", e, got, want)
		}
	}
}
