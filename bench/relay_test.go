package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain lets the test's program take the relay's role, as bench does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == relayName {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// restorePinning undoes at the end of a test what a rig does to its process.
func restorePinning(t *testing.T) {
	t.Helper()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pinSelf(before); err != nil {
			t.Error(err)
		}
	})
}

// framingTests are streams, each message on a line of its own.
var framingTests = []struct {
	name   string
	framer func() framer
	stream []string
}{
	{"RESP requests", resp, []string{
		"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
		"*1\r\n$4\r\nPING\r\n",
		"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n",
		"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$24\r\n$3\r\nabc\r\n*1\r\n+OK\r\n:12345\r\n",
	}},
	{"RESP replies", resp, []string{
		"+OK\r\n", "-ERR no\r\n", ":-12\r\n", "$3\r\nabc\r\n", "$-1\r\n", "$0\r\n\r\n", "+12-3\r\n",
		"*0\r\n", "*-1\r\n", "*2\r\n$3\r\nabc\r\n$-1\r\n", "*3\r\n*2\r\n:1\r\n+a\r\n*0\r\n*1\r\n$1\r\nx\r\n", "+\r\n",
	}},
	{"memcached requests", text, []string{
		"get k\r\n", "get key:000000000012 sk\r\n", "set k 7 0 3\r\nabc\r\n", "set k 0 0 0\r\n\r\n", "set k 0 0 12\r\nget k\r\nEND\r\n\r\n",
	}},
	{"memcached replies", text, []string{
		"END\r\n", "VALUE k1 12 3\r\nabc\r\nEND\r\n", "STORED\r\n", "VALUE a 0 5\r\nEND\r\n\r\nVALUE b 0 0 99\r\n\r\nEND\r\n",
		"NOT_STORED\r\n", "SERVER_ERROR no\r\n", "CLIENT_ERROR 1 2 3 4 5\r\n", "ERROR\r\n",
	}},
}

func resp() framer { return &respFramer{} }
func text() framer { return &textFramer{} }

// lengths feeds pieces to a framer, and returns the lengths of the messages that it
// finds, the last of which may be unfinished.
func lengths(f framer, pieces ...string) ([]int, error) {
	found := []int{0}
	for _, piece := range pieces {
		for b := []byte(piece); len(b) > 0; {
			n, done, err := f.next(b)
			if err != nil {
				return found, err
			}
			if n == 0 {
				return found, fmt.Errorf("takes nothing of %q", b)
			}
			found[len(found)-1] += n
			if b = b[n:]; done {
				found = append(found, 0)
			}
		}
	}
	return found, nil
}

// TestFraming splits the streams in two at each point, and into single bytes.
func TestFraming(t *testing.T) {
	for _, tt := range framingTests {
		var want []int
		for _, message := range tt.stream {
			want = append(want, len(message))
		}
		want = append(want, 0)
		stream := strings.Join(tt.stream, "")
		splits := [][]string{strings.Split(stream, "")}
		for i := range stream {
			splits = append(splits, []string{stream[:i], stream[i:]})
		}
		for _, pieces := range splits {
			if got, err := lengths(tt.framer(), pieces...); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s, %q: messages of %v bytes, want %v (%v)", tt.name, pieces, got, want, err)
				break // the others look the same
			}
		}
	}
}

func TestFramingRefuses(t *testing.T) {
	for _, tt := range []struct {
		framer func() framer
		stream string
	}{
		{resp, "PING\r\n"},
		{resp, "$3\r\nabc\r\n%1\r\n"},
		{resp, "$3x\r\nabc\r\n"},
		{resp, "*1-\r\n"},
		{resp, "$99999999999999999999999\r\n"},
		{text, "delete k\r\n"},
		{text, "set k 0 0\r\n"},
		{text, "VALUE k\r\n"},
		{text, "set k 0 0 99999999999999999999999\r\n"},
	} {
		if got, err := lengths(tt.framer(), tt.stream); err == nil {
			t.Errorf("%q: messages of %v bytes", tt.stream, got)
		}
	}
}

func BenchmarkFraming(b *testing.B) {
	for _, tt := range framingTests {
		stream := []byte(tt.stream[0])
		b.Run(tt.name, func(b *testing.B) {
			f := tt.framer()
			b.ReportAllocs()
			for b.Loop() {
				if n, done, err := f.next(stream); n != len(stream) || !done || err != nil {
					b.Fatal(n, done, err)
				}
			}
		})
	}
}

// TestRelayQueue: order is kept, and neighbours of one client are one, while the
// ring turns and grows.
func TestRelayQueue(t *testing.T) {
	clients := [3]relayClient{}
	var q relayQueue
	pushed, popped := 0, 0
	for round := range 100 {
		for range 5 + round {
			q.push(&clients[pushed%3], pushed)
			q.push(&clients[pushed%3], 1)
			pushed++
		}
		for range 4 + round {
			if got := q.first(); got.client != &clients[popped%3] || got.requests != popped+1 {
				t.Fatalf("entry %d is of %d requests", popped, got.requests)
			}
			q.pop()
			popped++
		}
	}
	for ; popped < pushed; popped++ {
		q.pop()
	}
	if q.first() != nil {
		t.Error("something is left")
	}
}

// startRelay starts a relay in front of a server of the test, and returns both ends.
func startRelay(t *testing.T, redis bool) (p *proxy, server net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var everywhere unix.CPUSet
	if err := unix.SchedGetaffinity(0, &everywhere); err != nil {
		t.Fatal(err)
	}
	dir, addr := t.TempDir(), []string{ln.Addr().String()}
	found, err := locate(t.Context(), []proxyKind{relayKind()}, dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err = found[0].start(t.Context(), dir, everywhere, servers{redis: addr, memcached: addr}, topology{redis: redis, servers: 1, pools: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return p, server
}

func dialRelay(t *testing.T, p *proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("got %s, want %s (%v)", abridged(got[:n]), abridged([]byte(want)), err)
	}
}

// TestRelayKeepsRequestsWhole: a request that comes in parts is not mixed with
// another client's, and replies go to who has asked.
func TestRelayKeepsRequestsWhole(t *testing.T) {
	p, server := startRelay(t, true)
	a, b := dialRelay(t, p), dialRelay(t, p)
	set := string(respRequest("SET", "k", strings.Repeat("x", 3*relayRoom)))
	get, echo := string(respRequest("GET", "k")), string(respRequest("ECHO", "PONG"))
	say(t, a, get+set[:100])
	hear(t, server, get+set[:100])
	say(t, b, echo)
	go func() { _, _ = io.WriteString(a, set[100:]+echo) }() // what is missing of it is missed below
	hear(t, server, set[100:])
	rest := make([]byte, 2*len(echo)) // a's and b's, whichever comes first
	if _, err := io.ReadFull(server, rest); err != nil || string(rest) != echo+echo {
		t.Fatalf("%q, %v", rest, err)
	}
	say(t, server, "$1\r\nx\r")
	hear(t, a, "$1\r\nx\r")
	say(t, server, "\n+OK\r\n$4\r\nPONG\r\n$4\r\nPONG\r\n")
	hear(t, a, "\n+OK\r\n$4\r\nPONG\r\n")
	hear(t, b, "$4\r\nPONG\r\n")
}

// TestRelayAnswersPing: a PING by itself does not go to the server.
func TestRelayAnswersPing(t *testing.T) {
	p, server := startRelay(t, true)
	a := dialRelay(t, p)
	say(t, a, relayPing)
	hear(t, a, string(relayPong))
	get := string(respRequest("GET", "k"))
	say(t, a, get)
	hear(t, server, get)
	say(t, server, "$1\r\nx\r\n")
	hear(t, a, "$1\r\nx\r\n")
}

// TestRelayWaitsForWhoDoesNotRead: neither a client nor a server that reads late
// holds up others, or loses a byte.
func TestRelayWaitsForWhoDoesNotRead(t *testing.T) {
	p, server := startRelay(t, true)
	slow, quick, gone := dialRelay(t, p), dialRelay(t, p), dialRelay(t, p)
	request, huge := string(respRequest("GET", "k")), bulk(strings.Repeat("x", 16<<20))
	for _, conn := range []net.Conn{gone, slow, quick} {
		say(t, conn, request)
		hear(t, server, request)
	}
	gone.Close()
	say(t, server, "+lost\r\n"+huge+"+OK\r\n")
	hear(t, quick, "+OK\r\n")
	hear(t, slow, huge)

	set := string(respRequest("SET", "k", strings.Repeat("y", 16<<20)))
	go func() { _, _ = io.WriteString(slow, set) }() // what is missing of it is missed below
	say(t, quick, request)
	got := make([]byte, len(set)+len(request))
	if _, err := io.ReadFull(server, got); err != nil || !bytes.Contains(got, []byte(set)) || !bytes.Contains(got, []byte(request)) {
		t.Fatalf("a request is torn (%v)", err)
	}
}

// TestRelayGivesUp: what cannot be framed ends a relay, which says why.
func TestRelayGivesUp(t *testing.T) {
	for _, tt := range []struct {
		name  string
		redis bool
		spoil func(client, server net.Conn)
		want  string
	}{
		{"an inline request", true, func(client, _ net.Conn) { say(t, client, "PING\r\n") }, `relay: request: a line begins with 'P': "PING`},
		{"another command", false, func(client, _ net.Conn) { say(t, client, "incr k 1\r\n") }, `a line begins with 'i'`},
		{"half a request", true, func(client, server net.Conn) { say(t, client, "*1"); hear(t, server, "*1"); client.Close() }, "in the middle of a request"},
		{"an odd reply", true, func(client, server net.Conn) {
			say(t, client, "*1\r\n$4\r\nTIME\r\n")
			hear(t, server, "*1\r\n$4\r\nTIME\r\n")
			say(t, server, "_\r\n")
		}, `relay: reply: a line begins with '_'`},
		{"a reply too many", false, func(_, server net.Conn) { say(t, server, "END\r\n") }, `nobody asked for: "END\r\n"`},
		{"no server", true, func(_, server net.Conn) { server.Close() }, "the server closed the connection"},
	} {
		p, server := startRelay(t, tt.redis)
		tt.spoil(dialRelay(t, p), server)
		select {
		case <-p.exited:
		case <-time.After(patience):
			t.Fatalf("%s: it goes on", tt.name)
		}
		if err := p.ended(); !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestRelayCarries each work that it says it can, with the servers of a run: what
// the load gets is what it wants of every proxy.
func TestRelayCarries(t *testing.T) {
	restorePinning(t)
	opts, err := parseArgs([]string{"-works", "all", "-proxies", relayName}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRig(t.Context(), opts, t.TempDir(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	}()
	if err := r.startServers(t.Context()); err != nil {
		t.Fatal(err)
	}
	carried := map[bool]int{}
	for _, w := range opts.works {
		if !r.programs[0].can(w) || r.tooManyFor(w) != "" {
			continue
		}
		carried[w.topology.redis]++
		if err := carry(t.Context(), r, w); err != nil {
			t.Errorf("%s: %v", w.name, err)
		}
	}
	if carried[true] < 10 || carried[false] < 2 {
		t.Errorf("%d works for Redis and %d for memcached", carried[true], carried[false])
	}
}

// carry has all clients of a work speak three times.
func carry(ctx context.Context, r *rig, w work) (err error) {
	p, err := r.start(ctx, r.programs[0], w)
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = p.stop()
		}
		p.kill()
	}()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := openSession(ctx, variants(w.one), w.clients, p.addrs...)
	if err != nil {
		return errors.Join(err, p.ended())
	}
	defer s.close()
	for range 2 {
		if _, err := s.closedLoop(ctx, 0); err != nil {
			return errors.Join(err, p.ended())
		}
	}
	return nil
}
