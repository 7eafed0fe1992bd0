package testkit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A recorder is a test that may fail: it notes what it is told instead.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	messages []string
}

// record runs f on a recorder, to its end or to its first fatal failure, and
// returns the failures.
func record(t *testing.T, f func(testing.TB)) []string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

func (r *recorder) note(message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, message)
}

func (r *recorder) Helper()                           {}
func (r *recorder) Errorf(format string, args ...any) { r.note(fmt.Sprintf(format, args...)) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.note(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) {
	r.note(fmt.Sprint(args...))
	runtime.Goexit()
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.messages) > 0
}

// expectOne fails unless there is one message, with want in it.
func expectOne(t *testing.T, messages []string, want string) {
	t.Helper()
	if len(messages) != 1 || !strings.Contains(messages[0], want) {
		t.Errorf("it says %q, want one message with %q", messages, want)
	}
}

func TestReadReply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		protocol Protocol
		reply    string
	}{
		{Redis, "+OK\r\n"},
		{Redis, "-ERR x\r\n"},
		{Redis, ":1\r\n"},
		{Redis, "$-1\r\n"},
		{Redis, "$0\r\n\r\n"},
		{Redis, "$4\r\n\r\n+x\r\n"},
		{Redis, "*-1\r\n"},
		{Redis, "*0\r\n"},
		{Redis, "*2\r\n*1\r\n$1\r\na\r\n:2\r\n"},
		{Redis, "_\r\n"},
		{Redis, "#t\r\n"},
		{Redis, ",1.5\r\n"},
		{Redis, "(12345678901234567890\r\n"},
		{Redis, "=5\r\ntxt:a\r\n"},
		{Redis, "~2\r\n:1\r\n:2\r\n"},
		{Redis, "%1\r\n+a\r\n>1\r\n:2\r\n"},
		{Redis, "|1\r\n+a\r\n:1\r\n*1\r\n!3\r\nERR\r\n"},
		{Memcache, "STORED\r\n"},
		{Memcache, "END\r\n"},
		{Memcache, "12\r\n"},
		{Memcache, "VALUE a 0 5\r\nEND\r\n\r\nVALUE b 1 0 77\r\n\r\nEND\r\n"},
	} {
		r := bufio.NewReader(strings.NewReader(c.reply + "rest"))
		got, err := c.protocol.ReadReply(r)
		if err != nil || string(got) != c.reply {
			t.Errorf("%q: got %q, %v", c.reply, got, err)
		}
		if rest, err := io.ReadAll(r); err != nil || string(rest) != "rest" {
			t.Errorf("%q: left %q, %v", c.reply, rest, err)
		}
	}
}

func TestReadReplyRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		protocol Protocol
		reply    string
		want     error
	}{
		{Redis, "nonsense\r\n", errFraming},
		{Redis, "\r\n", errFraming},
		{Redis, "+no return\n", errFraming},
		{Redis, "$x\r\n", errFraming},
		{Redis, "$1\r\nabc", errFraming},
		{Redis, "*1\r\n!\r\n", errFraming},
		{Redis, "$5\r\nab", io.ErrUnexpectedEOF},
		{Redis, "+half", io.EOF},
		{Redis, "", io.EOF},
		{Memcache, "VALUE a 0\r\n", errFraming},
		{Memcache, "VALUE a 0 x\r\n", errFraming},
		{Memcache, "VALUE a 0 1\r\nx\r\n", io.EOF},
	} {
		if got, err := c.protocol.ReadReply(bufio.NewReader(strings.NewReader(c.reply))); !errors.Is(err, c.want) {
			t.Errorf("%q: got %q, %v, want %v", c.reply, got, err, c.want)
		}
	}
}

func TestReplies(t *testing.T) {
	t.Parallel()
	for request, want := range map[string]int{
		"get a\r\n": 1, "set a 0 0 9\r\n noreply\r\n\r\n": 1, "set a 0 0 1 noreply\r\nx\r\n": 0, "quit\r\n": 0, "incr a 1 noreply\r\n": 0,
	} {
		if got := Memcache.Replies([]byte(request)); got != want {
			t.Errorf("%q gets %d replies, want %d", request, got, want)
		}
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		"GET a":                     {"GET", "a"},
		`  SET  a "b c\r\n\x00\"" `: {"SET", "a", "b c\r\n\x00\""},
		`GET ""`:                    {"GET", ""},
		`SET a b"c`:                 {"SET", "a", `b"c`},
	} {
		if got := Command(line); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

func TestRandomSplit(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		offsets := RandomSplit(seed, 10)(100)
		if len(offsets) != 9 || !slices.IsSorted(offsets) || offsets[0] < 0 || offsets[8] > 100 {
			t.Errorf("seed %d cuts at %v", seed, offsets)
		}
		if again := RandomSplit(seed, 10)(100); !slices.Equal(again, offsets) {
			t.Errorf("seed %d cuts at %v, then at %v", seed, offsets, again)
		}
	}
}

func TestPool(t *testing.T) {
	t.Parallel()
	got := Pool{Protocol: Redis, Servers: []string{Entry("h:1", 2, "n"), Entry("/s", 1, "")}, Lines: []string{"timeout: 4"}}.String()
	const want = `alpha:
  listen: {{listen}}
  hash: fnv1a_64
  distribution: ketama
  redis: true
  timeout: 4
  servers:
    - h:1:2 n
    - /s:1
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestListenAddresses(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"  listen: 127.0.0.1:1": "127.0.0.1:1", "  listen: /tmp/x 0666": "/tmp/x", "  listen: ::1:7": "[::1]:7",
		`  listen: "[::1]:7"`: "[::1]:7",
	} {
		m := listenLine.FindStringSubmatch(line)
		if len(m) != 2 || dialable(m[1]) != want {
			t.Errorf("%s: %q, want %s", line, m, want)
		}
	}
}

// Addresses stay reserved until the test ends, and are free again then.
func TestFreeAddr(t *testing.T) {
	t.Parallel()
	var addrs []string
	t.Run("inner", func(t *testing.T) {
		for range 50 {
			addr := FreeAddr(t)
			if slices.Contains(addrs, addr) {
				t.Errorf("%s twice", addr)
			}
			addrs = append(addrs, addr)
			host, port := splitAddr(t, addr)
			if l, err := net.Listen("unix", "@nuthatch-testkit-"+host+"-"+port); err == nil {
				_ = l.Close()
				t.Errorf("%s is not reserved", addr)
			}
		}
	})
	for _, addr := range addrs {
		host, port := splitAddr(t, addr)
		l, err := net.Listen("unix", "@nuthatch-testkit-"+host+"-"+port)
		if err != nil {
			t.Errorf("%s is reserved after its test: %v", addr, err)
			continue
		}
		_ = l.Close()
	}
}

func TestAwait(t *testing.T) {
	t.Parallel()
	calls := 0
	err := await(func() error {
		if calls++; calls < 5 {
			return errors.New("not yet")
		}
		return nil
	}, time.Minute)
	if err != nil || calls != 5 {
		t.Errorf("%v after %d calls", err, calls)
	}
	never := errors.New("never")
	if err := await(func() error { return never }, 5*time.Millisecond); !errors.Is(err, never) {
		t.Errorf("got %v", err)
	}
}

func TestMissingProgram(t *testing.T) {
	t.Parallel()
	messages := record(t, func(t testing.TB) { lookProgram(t, "no-such-program") })
	expectOne(t, messages, "no-such-program is not installed: make deps")
}

func TestGoVerdict(t *testing.T) {
	t.Parallel()
	if err := goVerdict([]byte("all is well\n")); err != nil {
		t.Error(err)
	}
	for _, output := range []string{"x\npanic: y\n", "WARNING: DATA RACE\n", "fatal error: all goroutines are asleep"} {
		if err := goVerdict([]byte(output)); err == nil {
			t.Errorf("%q passes", output)
		}
	}
}

// A port is free although connections of its last owner are still in the kernel's
// memory: the server that accepts nobody starts there as well.
func TestPortOfEndedConnections(t *testing.T) {
	addr := FreeAddr(t)
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	// Who ends first keeps the connection in TIME_WAIT.
	for _, c := range []net.Conn{server, client} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	listenUnanswered(t, addr)
}
