package stats

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nutcracker finds the program that these tests compare with.
func nutcracker(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nutcracker", "/usr/sbin/nutcracker"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("these tests compare with the real nutcracker 0.5.0: install the package `nutcracker`")
	return ""
}

// freePort picks a loopback port that nobody uses.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// refusingPort binds a loopback port for the length of the test without
// listening on it, so that who connects is refused, and nobody else gets it.
func refusingPort(t *testing.T) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return sa.(*syscall.SockaddrInet4).Port
}

// startNutcracker runs it with the configuration and returns the address of
// its statistics port, which is listening by then.
func startNutcracker(t *testing.T, dir, conf string) string {
	t.Helper()
	confFile := filepath.Join(dir, "nutcracker.yml")
	if err := os.WriteFile(confFile, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	logFile := filepath.Join(dir, "nutcracker.log")
	cmd := exec.Command(nutcracker(t), "-c", confFile, "-o", logFile, "-p", filepath.Join(dir, "pid"),
		"-a", "127.0.0.1", "-s", fmt.Sprint(port), "-i", "20")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })

	addr := fmt.Sprintf("127.0.0.1:%d", port)
	await(t, "nutcracker's statistics port", func() bool {
		select {
		case <-ended:
			text, _ := os.ReadFile(logFile)
			t.Fatalf("nutcracker ended at once:\n%s", text)
		default:
		}
		c, err := net.Dial("tcp4", addr)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
	return addr
}

// await asks again and again until the condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func readDocument(t *testing.T, addr string) []byte {
	t.Helper()
	c, err := net.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	doc, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func number(t *testing.T, v any, what string) int64 {
	t.Helper()
	n, ok := v.(json.Number)
	if !ok {
		t.Fatalf("%s is %T (%v), not a number", what, v, v)
	}
	i, err := n.Int64()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return i
}

// snapshotOf gives the snapshot that has nutcracker's values, for our layout.
func snapshotOf(t *testing.T, doc []byte, layout Layout) *Snapshot {
	t.Helper()
	var m map[string]any
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	if err := dec.Decode(&m); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	object := func(in map[string]any, key string) map[string]any {
		o, ok := in[key].(map[string]any)
		if !ok {
			t.Fatalf("%q is %T, not an object, in %s", key, in[key], doc)
		}
		return o
	}
	shard := NewShard(layout)
	for i, l := range layout {
		pool := object(m, l.Name)
		for f, field := range PoolFields[:NutcrackerPoolFields] {
			shard.Pools[i].Values[f] = number(t, pool[field.Name], field.Name)
		}
		for j, name := range l.Servers {
			server := object(pool, name)
			for f, field := range ServerFields[:NutcrackerServerFields] {
				shard.Pools[i].Servers[j][f] = number(t, server[field.Name], field.Name)
			}
		}
	}
	shard.TotalConnections = number(t, m["total_connections"], "total_connections")
	shard.CurrConnections = number(t, m["curr_connections"], "curr_connections")
	s := Sum(layout, []*Shard{shard})
	s.Source, _ = m["source"].(string)
	s.Version, _ = m["version"].(string)
	s.Uptime = number(t, m["uptime"], "uptime")
	s.Timestamp = number(t, m["timestamp"], "timestamp")
	return s
}

// With nutcracker's values in it, our document must be nutcracker's, byte for
// byte: keys, nesting, order, types, white space.
func TestDocumentIsNutcrackers(t *testing.T) {
	dir, err := os.MkdirTemp("", "nc") // a short path: socket names have at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p1, p2, p3 := refusingPort(t), refusingPort(t), refusingPort(t)
	alpha := filepath.Join(dir, "alpha.sock")
	conf := fmt.Sprintf(`
zeta-long:
  listen: %s
  redis: true
  servers:
   - 127.0.0.1:%d:1
   - 127.0.0.1:%d:1 named
   - 127.0.0.1:%d:1 b
   - 127.0.0.1:11211:1
   - %s:1
alpha:
  listen: %s
  redis: true
  auto_eject_hosts: true
  server_failure_limit: 1
  servers:
   - localhost:%d:2
`, filepath.Join(dir, "zeta.sock"), p1, p2, p3, filepath.Join(dir, "server.sock"), alpha, p1)
	layout := Layout{
		{Name: "zeta-long", Servers: []string{
			fmt.Sprintf("127.0.0.1:%d", p1), "named", "b", "127.0.0.1", filepath.Join(dir, "server.sock") + ":",
		}},
		{Name: "alpha", Servers: []string{fmt.Sprintf("localhost:%d", p1)}},
	}
	addr := startNutcracker(t, dir, conf)

	doc := readDocument(t, addr)
	if got := snapshotOf(t, doc, layout).AppendJSON(nil); !bytes.Equal(got, doc) {
		t.Errorf("before any traffic\nnutcracker: %s\nnuthatch:   %s", doc, got)
	}

	var client net.Conn
	await(t, "alpha's listener", func() bool { // nutcracker opens the statistics port before it
		client, err = net.Dial("unix", alpha)
		return err == nil
	})
	defer func() { _ = client.Close() }()
	if _, err := io.WriteString(client, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n"); err != nil {
		t.Fatal(err)
	}
	var s *Snapshot
	await(t, "the ejection of alpha's server in nutcracker's document", func() bool {
		doc = readDocument(t, addr)
		s = snapshotOf(t, doc, layout)
		return s.Pools[1].Servers[0].Values[ServerEjectedAt] != 0
	})
	if got := s.AppendJSON(nil); !bytes.Equal(got, doc) {
		t.Errorf("after an ejection\nnutcracker: %s\nnuthatch:   %s", doc, got)
	}
	// The units that the documentation of Snapshot and ServerEjectedAt states.
	ejected := time.UnixMicro(s.Pools[1].Servers[0].Values[ServerEjectedAt])
	if age := time.Since(ejected); age < 0 || age > time.Minute {
		t.Errorf("server_ejected_at in microseconds would be %v", ejected)
	}
	if age := time.Since(time.Unix(s.Timestamp, 0)); age < 0 || age > time.Minute {
		t.Errorf("timestamp in seconds would be %v", time.Unix(s.Timestamp, 0))
	}
	if s.Uptime < 0 || s.Uptime > 60 {
		t.Errorf("uptime in seconds would be %d", s.Uptime)
	}
	if host, err := os.Hostname(); err != nil || s.Source != host {
		t.Errorf("source is %q, the host's name %q (%v)", s.Source, host, err)
	}
}

// -D must list the same statistics in the same layout. Two differences are
// meant: the version lines at the top belong to the command, and the quoted
// help texts are nuthatch's own.
func TestDescribeIsLaidOutAsNutcrackers(t *testing.T) {
	out, err := exec.Command(nutcracker(t), "-D").CombinedOutput()
	if err != nil {
		t.Fatalf("nutcracker -D: %v\n%s", err, out)
	}
	_, listing, found := strings.Cut(string(out), "\n\n")
	if !found {
		t.Fatalf("no version lines at the top of\n%s", out)
	}
	help := regexp.MustCompile(`"[^"\n]*"`)
	want := help.ReplaceAllString(listing, `"…"`)

	var b strings.Builder
	Describe(&b)
	if got := help.ReplaceAllString(b.String(), `"…"`); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
