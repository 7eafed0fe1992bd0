package daemon

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/history"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
)

// TestTraffic: clients that came, their bytes in both directions, and their requests by
// command, also of large values and without measured times.
func TestTraffic(t *testing.T) {
	server, listen := testkit.StartRedis(t), testkit.FreeAddr(t)
	text := pool("alpha", listen, []string{testkit.Entry(server.Addr(), 1, "s1")})
	s := startStageWith(t, text, "  latency: false\n", server)
	conn, err := net.Dial("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	requests := "*3\r\n$3\r\nset\r\n$5\r\nlarge\r\n$3145728\r\n" + strings.Repeat("x", 3<<20) + "\r\n" + strings.Repeat("*2\r\n$3\r\nget\r\n$4\r\nnone\r\n", 3)
	replies := "+OK\r\n" + strings.Repeat("$-1\r\n", 3)
	if _, err := conn.Write([]byte(requests)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, len(replies))); err != nil {
		t.Fatal(err)
	}
	received, sent := int64(len(requests)), int64(len(replies))
	v := &s.Snapshot().Pools[0].Values
	if v[stats.ClientsAccepted] != 1 || v[stats.ClientBytesReceived] != received || v[stats.ClientBytesSent] != sent {
		t.Errorf("%d clients, %d bytes came, %d went; want 1, %d and %d",
			v[stats.ClientsAccepted], v[stats.ClientBytesReceived], v[stats.ClientBytesSent], received, sent)
	}
	calls := latencyOfAlpha(t, s).Calls()
	if len(calls) != 2 || calls["set"] != 1 || calls["get"] != 3 {
		t.Errorf("by command: %v", calls)
	}
	p, err := s.Pulse()
	if err != nil || len(p.Pools) != 1 || p.Pools[0].Name != "alpha" || p.Pools[0].Requests != 4 || p.Pools[0].Received != received ||
		p.Pools[0].Sent != sent || p.Pools[0].Clients != 1 || p.Memory <= 0 || len(p.CPU) == 0 {
		t.Errorf("the pulse is %+v, %v", p, err)
	}
}

// TestPulseTimes: of all commands and loops together, each time anew.
func TestPulseTimes(t *testing.T) {
	server, listen := testkit.StartRedis(t), testkit.FreeAddr(t)
	s := startStage(t, pool("alpha", listen, []string{testkit.Entry(server.Addr(), 1, "s1")}), server)
	for range 3 {
		c := redis.NewClient(&redis.Options{Addr: listen, Protocol: 2, DisableIdentity: true, PoolSize: 1})
		t.Cleanup(func() { _ = c.Close() })
		if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		p, err := s.Pulse()
		if err != nil || p.Pools[0].Times.Count() != 6 {
			t.Fatalf("%d times, %v; want 3 of HELLO and 3 of SET", p.Pools[0].Times.Count(), err)
		}
	}
	if n := latencyOfAlpha(t, s).Families()[msg.Writes].Count(); n != 3 {
		t.Errorf("%d writes", n)
	}
}

// TestHistoryMemoryIsApplied at the start and by a reload, within max_memory.
func TestHistoryMemoryIsApplied(t *testing.T) {
	server, listen := testkit.StartRedis(t), testkit.FreeAddr(t)
	text := pool("alpha", listen, []string{testkit.Entry(server.Addr(), 1, "s1")})
	s := startStageWith(t, text, "  history_memory: 3mb\n  max_memory: 1gb\n", server)
	check := func(want int64) {
		t.Helper()
		if _, limit := s.recorder.Memory(); limit != want {
			t.Errorf("the history may take %d bytes, want %d", limit, want)
		}
	}
	check(3 << 20)
	s.process = "  history_memory: 100mb\n  max_memory: 200mb\n"
	s.mustReload(text)
	check(200 << 20 / historyPart)
	s.process = "  history_memory: 0\n"
	s.mustReload(text)
	check(0)
}

// TestHistoryIsHandedOver behind the last word, and what ends half way is not taken.
func TestHistoryIsHandedOver(t *testing.T) {
	old, next := talk(t)
	before := history.New(1 << 20)
	before.AddFine(time.Now().Add(-time.Minute), []history.Subject{{}}, make([]float32, len(history.FineColumns)))
	s, p := &successor{conn: old}, newPredecessor(next, 0)
	p.watchEnd(func(err error) { t.Errorf("it is alone before it was ready: %v", err) })
	answered := make(chan error, 1)
	go func() { answered <- p.ask() }()
	said := make([]byte, 64)
	if _, err := old.Read(said); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Write([]byte(sayGo)); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	handed := make(chan error, 1)
	go func() {
		handed <- s.handHistory(func(w io.Writer) error { return before.HandOver(w, history.Beside{}) })
	}()
	after := history.New(1 << 20)
	if n, err := p.takeHistory(taking(after)); n != 1 || err != nil {
		t.Errorf("%d rounds, %v", n, err)
	}
	if err := <-handed; err != nil {
		t.Error(err)
	}
	if got := after.Of(history.Subject{}, time.Time{}); len(got.At) != 1 {
		t.Errorf("%+v", got)
	}
}

// taking takes a history into h.
func taking(h *history.Store) func(io.Reader) (int, error) {
	return func(from io.Reader) (int, error) {
		n, _, err := h.Merge(from)
		return n, err
	}
}

// TestNoHistoryIsHandedOver: by a program that has none, that ends half way, or to one that
// wants none.
func TestNoHistoryIsHandedOver(t *testing.T) {
	var whole bytes.Buffer
	full := history.New(1 << 20)
	full.AddFine(time.Now(), []history.Subject{{}}, make([]float32, len(history.FineColumns)))
	if err := full.HandOver(&whole, history.Beside{}); err != nil {
		t.Fatal(err)
	}
	for name, said := range map[string][]byte{"nothing": nil, "half": whole.Bytes()[:whole.Len()/2]} {
		old, next := talk(t)
		if _, err := old.Write(said); err != nil {
			t.Fatal(err)
		}
		old.Close()
		if n, err := newPredecessor(next, 0).takeHistory(taking(history.New(1 << 20))); n != 0 || (err != nil) != (said != nil) {
			t.Errorf("%s: %d rounds, %v", name, n, err)
		}
	}
	old, next := talk(t)
	next.Close()
	if err := (&successor{conn: old}).handHistory(func(w io.Writer) error { return full.HandOver(w, history.Beside{}) }); err != nil {
		t.Errorf("to a program that wants none: %v", err)
	}
}
