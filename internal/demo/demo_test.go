package demo

import (
	"bytes"
	"context"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"nuthatch/internal/testkit"
)

// notifyingBuffer is what the demo writes its page to; ready is closed with
// the first write.
type notifyingBuffer struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	once  sync.Once
	ready chan struct{}
}

func (b *notifyingBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.once.Do(func() { close(b.ready) })
	return b.buf.Write(p)
}

func (b *notifyingBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// startDemo runs the demo until the test, or the returned stop, ends it. It
// returns the page.
func startDemo(t *testing.T, o Options) (page string, stop func() string) {
	t.Helper()
	out := &notifyingBuffer{ready: make(chan struct{})}
	o.Listen, o.Out = testkit.FreeAddr(t), out
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, o) }()
	select {
	case <-out.ready:
	case err := <-ended:
		cancel()
		t.Fatalf("the demo ended: %v", err)
	}
	return out.String(), func() string {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the demo ended with %v", err)
		}
		return out.String()
	}
}

// row returns the columns of the page's row for something.
func row(t *testing.T, page, name string) []string {
	t.Helper()
	for line := range strings.Lines(page) {
		if cols := strings.Fields(line); len(cols) > 1 && cols[0] == name {
			return cols
		}
	}
	t.Fatalf("no row for %s on the page:\n%s", name, page)
	return nil
}

func TestDemo(t *testing.T) {
	tests := []struct {
		name      string
		memcached bool
		server    string // prefix of the node names
		tries     int    // lines to try
	}{
		{"redis", false, "redis", 3},
		{"memcached", true, "memcached", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page, stop := startDemo(t, Options{Memcached: tt.memcached})

			seen := map[string]int{}
			addresses := []string{row(t, page, "proxy")[1], row(t, page, "statistics")[1]}
			for _, n := range []string{"-1", "-2", "-3"} {
				cols := row(t, page, tt.server+n)
				addresses = append(addresses, cols[1])
				if len(cols) == 2 {
					t.Errorf("%s holds none of the sample keys", tt.server+n)
				}
				for _, key := range cols[2:] {
					seen[key]++
				}
			}
			for _, key := range sampleKeys {
				if seen[key] != 1 {
					t.Errorf("%s is on %d servers, want 1", key, seen[key])
				}
			}
			for _, address := range addresses {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Errorf("the page names %s, but: %v", address, err)
					continue
				}
				conn.Close()
			}

			after := stop()
			if !strings.HasSuffix(after, "Stopped: the proxy and its servers are gone.\n") {
				t.Errorf("the page does not end with the farewell:\n%s", after)
			}
			for _, address := range addresses {
				if conn, err := net.Dial("tcp", address); err == nil {
					conn.Close()
					t.Errorf("something still listens on %s", address)
				}
			}
		})
	}
}

// TestLinesToTryWork runs what the page invites its reader to type.
func TestLinesToTryWork(t *testing.T) {
	tests := []struct {
		name      string
		memcached bool
		want      []string // parts of what each line answers
	}{
		{"redis", false, []string{"OK", "value of user:2", "$1\r\nb\r\n+OK"}},
		{"memcached", true, []string{"STORED\r\nVALUE a 0 1\r\nb\r\n"}},
	}
	line := regexp.MustCompile(`(?m)^  ((?:redis-cli|bash) .*)$`)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page, stop := startDemo(t, Options{Memcached: tt.memcached})
			defer stop()
			lines := line.FindAllStringSubmatch(page, -1)
			if len(lines) != len(tt.want) {
				t.Fatalf("%d lines to try, want %d:\n%s", len(lines), len(tt.want), page)
			}
			for i, l := range lines {
				out, err := exec.Command("bash", "-c", l[1]).CombinedOutput()
				if err != nil || !strings.Contains(string(out), tt.want[i]) {
					t.Errorf("%s\nanswers %q (%v), want %q in it", l[1], out, err, tt.want[i])
				}
			}
		})
	}
}

func TestDemoRefuses(t *testing.T) {
	taken := testkit.StartScripted(t, func(*testkit.Talk) {}).Addr()
	tests := []struct {
		name string
		o    Options
		want string
	}{
		{"taken", Options{Listen: taken}, taken + " is taken by another program; choose another address with --listen"},
		{"no port", Options{Listen: "127.0.0.1"}, "--listen 127.0.0.1: want host:port"},
		{"no number", Options{Listen: "127.0.0.1:http"}, `"http" is not a port`},
		{"too large", Options{Listen: "127.0.0.1:65536"}, `"65536" is not a port`},
		{"not ours", Options{Listen: "192.0.2.1:0"}, "--listen 192.0.2.1:0: listen tcp"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // should it start against expectation, it ends
			var out bytes.Buffer
			tt.o.Out = &out
			err := Run(ctx, tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestDemoWithoutMemcached(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := Run(t.Context(), Options{Listen: "127.0.0.1:0", Memcached: true, Out: &bytes.Buffer{}})
	if err == nil || !strings.Contains(err.Error(), "--memcached needs the memcached program") {
		t.Errorf("error %v, want one that names what is missing", err)
	}
}
