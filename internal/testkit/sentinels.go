package testkit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Watched is a primary with replicas, and the sentinels that watch it.
type Watched struct {
	// Name is what the sentinels call the primary.
	Name string
	// Servers are those that have the data, the first primary first.
	Servers, Sentinels []*Server
	t                  testing.TB
}

// StartWatched starts a primary with replicas that sentinels watch, and waits until all know
// each other. A primary that is silent for down is taken to be down.
func StartWatched(t testing.TB, name string, replicas, sentinels int, down time.Duration) *Watched {
	t.Helper()
	w := &Watched{Name: name, t: t}
	replication := []string{"--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}
	if InTLS() {
		replication = append(replication, "--tls-replication", "yes")
	}
	primary := StartRedis(t, replication...)
	w.Servers = append(w.Servers, primary)
	host, port := splitAddr(t, primary.Addr())
	for range replicas {
		// Not by its arguments: it may be the primary when it is started again.
		s := StartRedis(t, replication...)
		c := s.Dial()
		if reply := c.Do("REPLICAOF", host, port); reply != "+OK\r\n" {
			t.Fatalf("%s does not follow %s: %s", s.Name(), primary.Name(), reply)
		}
		c.Close()
		w.Servers = append(w.Servers, s)
	}
	for range sentinels {
		w.Sentinels = append(w.Sentinels, startSentinel(t, name, primary.Addr(), sentinels/2+1, down))
	}
	for _, s := range w.Sentinels {
		Await(t, s.Name()+" knows the others", func() error {
			about := w.ask(s, "SENTINEL", "MASTER", name)
			for field, n := range map[string]int{"num-slaves": replicas, "num-other-sentinels": sentinels - 1} {
				if about[field] != strconv.Itoa(n) {
					return fmt.Errorf("%s is %s", field, about[field])
				}
			}
			return nil
		})
	}
	return w
}

// startSentinel starts one sentinel on a free port.
func startSentinel(t testing.TB, name, primary string, quorum int, down time.Duration) *Server {
	t.Helper()
	addr, dir := FreeAddr(t), shortTempDir(t)
	host, port := splitAddr(t, addr)
	at, atPort := splitAddr(t, primary)
	conf := fmt.Sprintf("bind %s\ndir %s\nsentinel monitor %s %s %s %d\nsentinel down-after-milliseconds %s %d\nsentinel failover-timeout %s 4000\n",
		host, dir, name, at, atPort, quorum, name, down.Milliseconds(), name)
	line := redisPort(t, port, []string{"--replicaof"})
	for pair := range slices.Chunk(line, 2) {
		conf = strings.Join([]string{conf, strings.TrimPrefix(pair[0], "--"), " ", pair[1], "\n"}, "")
	}
	file := filepath.Join(dir, "sentinel.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	speaks(t, addr, InTLS())
	s := &Server{addr: addr, protocol: Redis}
	s.Process = &Process{
		t: t, name: "redis-sentinel " + addr, path: lookProgram(t, "redis-server"),
		args: []string{file, "--sentinel"}, abrupt: true, logs: []string{filepath.Join(dir, "redis.log")},
		ready: func() error { return answers(t, addr, "PING\r\n", "+PONG") },
	}
	s.start()
	return s
}

// ask returns the fields of a flat reply.
func (w *Watched) ask(s *Server, args ...string) map[string]string {
	w.t.Helper()
	c := s.Dial()
	defer c.Close()
	lines := strings.Split(c.Do(args...), "\r\n")
	fields := make(map[string]string)
	for i := 2; i+2 < len(lines); i += 4 {
		fields[lines[i]] = lines[i+2]
	}
	return fields
}

// Primary is the server that the i-th sentinel takes to be the primary.
func (w *Watched) Primary(i int) *Server {
	w.t.Helper()
	c := w.Sentinels[i].Dial()
	defer c.Close()
	lines := strings.Split(c.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", w.Name), "\r\n")
	for _, s := range w.Servers {
		host, port := splitAddr(w.t, s.Addr())
		if len(lines) > 4 && lines[2] == host && lines[4] == port {
			return s
		}
	}
	return nil
}

// Others are the servers but for s.
func (w *Watched) Others(s *Server) (others []*Server) {
	for _, o := range w.Servers {
		if o != s {
			others = append(others, o)
		}
	}
	return others
}

// AwaitPrimaryOtherThan waits until the i-th sentinel names another primary than old, and
// returns it.
func (w *Watched) AwaitPrimaryOtherThan(i int, old *Server) (now *Server) {
	w.t.Helper()
	Await(w.t, "a failover", func() error {
		if now = w.Primary(i); now == old || now == nil {
			return fmt.Errorf("the primary is %v", old.Addr())
		}
		return nil
	})
	return now
}

// Entry is the primary's line in a pool's server list.
func (w *Watched) Entry(name string) string { return "sentinel://" + w.Name + ":1 " + name }

// Line is the pool's key that names the sentinels.
func (w *Watched) Line() string {
	addrs := make([]string, len(w.Sentinels))
	for i, s := range w.Sentinels {
		addrs[i] = `"` + s.Addr() + `"`
	}
	return "sentinels: [" + strings.Join(addrs, ", ") + "]"
}

// AwaitSettled waits until the sentinels agree on a primary that is up, and all other servers
// are its replicas, and have what it has. It makes them its replicas, as Sentinel does in the end,
// which may take it twenty seconds.
func (w *Watched) AwaitSettled() {
	w.t.Helper()
	Await(w.t, "a primary and its replicas", func() error {
		primary := w.Primary(0)
		for i, s := range w.Sentinels {
			if about := w.ask(s, "SENTINEL", "MASTER", w.Name); primary == nil || w.Primary(i) != primary || about["flags"] != "master" {
				return fmt.Errorf("%s says %v", s.Name(), about)
			}
		}
		host, port := splitAddr(w.t, primary.Addr())
		about, err := w.replication(primary)
		if err != nil || about["role"] != "master" {
			return fmt.Errorf("%s, which sentinels name, says %v: %w", primary.Name(), about, errors.Join(err, errNotYet))
		}
		for _, s := range w.Others(primary) {
			is, err := w.replication(s)
			if err == nil && (is["role"] != "slave" || is["master_port"] != port) {
				_, err = w.tryDo(s, "REPLICAOF", host, port)
			}
			if err != nil || is["master_link_status"] != "up" || number(is["slave_repl_offset"]) < number(about["master_repl_offset"]) {
				return fmt.Errorf("%s says %v: %w", s.Name(), is, errors.Join(err, errNotYet))
			}
		}
		return nil
	})
}

var errNotYet = errors.New("not yet")

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return n
}

// replication is what a server says of its replication.
func (w *Watched) replication(s *Server) (map[string]string, error) {
	text, err := w.tryDo(s, "INFO", "replication")
	about := make(map[string]string)
	for line := range strings.SplitSeq(text, "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			about[name] = value
		}
	}
	return about, err
}

// tryDo asks a server, which may be about to close its connections.
func (w *Watched) tryDo(s *Server, args ...string) (string, error) {
	c, err := TryDial(w.t, Redis, s.Addr())
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.TrySend(RESP(args...)); err != nil {
		return "", err
	}
	b, err := c.TryReply()
	return string(b), err
}
