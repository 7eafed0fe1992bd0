package proxy_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"nuthatch/internal/hashkit"
)

// A deaf server reads as many bytes as one round of requests brings it, says
// what it has to say, and so on: it allocates nothing.
func deafServer(t *testing.T, l net.Listener, requests, replies string) {
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		buf, out := make([]byte, len(requests)), []byte(replies)
		for {
			if _, err := io.ReadFull(c, buf); err != nil {
				return
			}
			if string(buf) != requests {
				t.Errorf("server got %q, want %q", buf, requests)
				return
			}
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	}()
}

// The data path allocates nothing: neither for a request that is forwarded, nor
// for one that is split and merged.
func TestNoAllocationPerRequest(t *testing.T) {
	nodes := []hashkit.Node{{Name: "one", Weight: 1}, {Name: "two", Weight: 1}}
	ring := hashkit.Ring{Hash: hashkit.FNV1a_64, Continuum: hashkit.NewContinuum(hashkit.Modula, nodes)}
	keys := []string{"a", "b", "c", "d", "e", "f"}
	var parts [2][]string
	for _, k := range keys {
		s := ring.Server([]byte(k), 0)
		parts[s] = append(parts[s], k)
	}
	const get, many = 20, 10
	owner := ring.Server([]byte("a"), 0)
	var listeners [2]net.Listener
	for i := range listeners {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		listeners[i] = l
		n := len(parts[i])
		requests := strings.Repeat(command(append([]string{"mget"}, parts[i]...)...), many)
		replies := strings.Repeat(fmt.Sprintf("*%d\r\n%s", n, strings.Repeat(bulk("v"), n)), many)
		if i == owner {
			requests = strings.Repeat(command("GET", "a"), get) + requests
			replies = strings.Repeat(bulk("v"), get) + replies
		}
		deafServer(t, l, requests, replies)
	}
	r := startRig(t, twoServers(listeners[0].Addr().String(), listeners[1].Addr().String(), "  timeout: 5000\n"))
	u := r.dial()

	request := []byte(strings.Repeat(command("GET", "a"), get) +
		strings.Repeat(command(append([]string{"MGET"}, keys...)...), many))
	reply := strings.Repeat(bulk("v"), get) + strings.Repeat("*6\r\n"+strings.Repeat(bulk("v"), 6), many)
	got := make([]byte, len(reply))
	round := func() {
		if _, err := u.Write(request); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(u, got); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		round()
	}
	if string(got) != reply {
		t.Fatalf("got %q, want %q", got, reply)
	}
	// AllocsPerRun counts the whole process, and runs it on one thread at a
	// time; what is left is the loop, since the rest only reads and writes.
	if n := testing.AllocsPerRun(50, round); n != 0 {
		t.Errorf("%v allocations in %d requests", n, get+many)
	}
}
