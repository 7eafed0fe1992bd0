package testkit

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"nuthatch/internal/inet"
)

// A Proxy is a running nutcracker or nuthatch.
type Proxy struct {
	*Process
	// Addrs are the listen addresses of its pools, in the file's order.
	Addrs []string
	// StatsAddr is where it serves its statistics.
	StatsAddr string
	// Config, Log and PidFile are the files that it was started with.
	Config, Log, PidFile string
}

// An Option changes how a proxy is started.
type Option func(*launch)

type launch struct {
	threads int
	args    []string
	path    string
	crashes bool
}

// Threads sets nuthatch's number of event loops; nutcracker, which has one,
// ignores it.
func Threads(n int) Option { return func(l *launch) { l.threads = n } }

// Args adds to the command line, for example "-v", "8".
func Args(args ...string) Option {
	return func(l *launch) { l.args = append(l.args, args...) }
}

// From starts the program at another path, such as a copy that a test replaces.
func From(path string) Option { return func(l *launch) { l.path = path } }

// Crashes says that the test means to crash it.
func Crashes() Option { return func(l *launch) { l.crashes = true } }

// StartNutcracker starts nutcracker with a configuration, in which each
// ListenToken becomes a free address, and statistics brought up to date every
// 20 ms. It returns when every pool accepts connections: each listener then has
// seen one client come and go.
func StartNutcracker(t testing.TB, yaml string, opts ...Option) *Proxy {
	t.Helper()
	return startProxy(t, "nutcracker", lookProgram(t, "nutcracker"), yaml, opts)
}

// StartNuthatch does what StartNutcracker does with nuthatch, built from this
// module by Binary. A crash or a data race that it reports fails the test when
// it is stopped.
func StartNuthatch(t testing.TB, yaml string, opts ...Option) *Proxy {
	t.Helper()
	return startProxy(t, "nuthatch", Binary(t), yaml, opts)
}

var listenLine = regexp.MustCompile(`(?m)^\s+listen:\s+"?([^\s"]+)`)

func startProxy(t testing.TB, name, path, yaml string, opts []Option) *Proxy {
	t.Helper()
	var l launch
	for _, o := range opts {
		o(&l)
	}
	if l.path != "" {
		path = l.path
	}
	for strings.Contains(yaml, ListenToken) {
		yaml = strings.Replace(yaml, ListenToken, FreeAddr(t), 1)
	}
	if l.threads > 0 && filepath.Base(path) != "nutcracker" {
		yaml += fmt.Sprintf("\nnuthatch:\n  threads: %d\n", l.threads)
	}
	if name == "nuthatch" && filepath.Base(path) != "nutcracker" {
		yaml = vary(t, yaml)
	}
	dir := shortTempDir(t)
	p := &Proxy{
		StatsAddr: FreeAddr(t),
		Config:    filepath.Join(dir, "nutcracker.yml"),
		Log:       filepath.Join(dir, "proxy.log"),
		PidFile:   filepath.Join(dir, "proxy.pid"),
	}
	for _, m := range listenLine.FindAllStringSubmatch(yaml, -1) {
		p.Addrs = append(p.Addrs, dialable(m[1]))
	}
	if err := os.WriteFile(p.Config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	host, port := splitAddr(t, p.StatsAddr)
	args := []string{"-c", p.Config, "-a", host, "-s", port, "-i", "20", "-o", p.Log, "-p", p.PidFile}
	p.Process = &Process{
		t: t, name: name, path: path, args: append(args, l.args...),
		logs: []string{filepath.Join(dir, "output"), p.Log}, verdict: goVerdict,
		ready: acceptsAll(append([]string{p.StatsAddr}, p.Addrs...)),
	}
	if l.crashes {
		p.verdict = func([]byte) error { return nil }
	}
	p.start()
	return p
}

// dialable turns a listen address of a configuration file, which may have an
// IPv6 address without brackets or a numeric one that only getaddrinfo takes, into
// one for Dial.
func dialable(listen string) string {
	if network(listen) == "unix" {
		return listen
	}
	colon := strings.LastIndexByte(listen, ':')
	return net.JoinHostPort(inet.Canonical(strings.Trim(listen[:max(colon, 0)], "[]")), listen[colon+1:])
}

// acceptsAll returns a readiness check that connects to each address until it
// has succeeded once, so that a listener counts one client however long its
// process took to start. After its success it starts again.
func acceptsAll(addrs []string) func() error {
	done := 0
	return func() error {
		for ; done < len(addrs); done++ {
			conn, err := net.DialTimeout(network(addrs[done]), addrs[done], time.Second)
			if err != nil {
				return fmt.Errorf("connect: %w", err)
			}
			_ = conn.Close()
		}
		done = 0
		return nil
	}
}

// Addr is the listen address of its first pool.
func (p *Proxy) Addr() string { return p.Addrs[0] }

// Dial connects a Client to its first pool.
func (p *Proxy) Dial(protocol Protocol) *Client {
	p.t.Helper()
	return Dial(p.t, protocol, p.Addr())
}

// Stats is a proxy's statistics document. Numbers are json.Number.
type Stats map[string]any

// Stats reads the statistics port.
func (p *Proxy) Stats() Stats {
	p.t.Helper()
	var s Stats
	Await(p.t, p.name+"'s statistics", func() error {
		b, err := readAll(p.StatsAddr)
		if err != nil {
			return err
		}
		s = Stats{}
		dec := json.NewDecoder(strings.NewReader(string(b)))
		dec.UseNumber()
		if err := dec.Decode(&s); err != nil {
			return fmt.Errorf("%w in %q", err, b)
		}
		return nil
	})
	return s
}

func readAll(addr string) ([]byte, error) {
	conn, err := net.DialTimeout(network(addr), addr, Patience)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		return nil, fmt.Errorf("deadline: %w", err)
	}
	b, err := io.ReadAll(conn)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return b, nil
}

// Value finds the number at a path such as ("alpha", "s1", "requests"). It is
// -1 if there is none.
func (s Stats) Value(path ...string) int64 {
	var at any = map[string]any(s)
	for _, name := range path {
		object, ok := at.(map[string]any)
		if !ok {
			return -1
		}
		at = object[name]
	}
	number, ok := at.(json.Number)
	if !ok {
		return -1
	}
	n, err := number.Int64()
	if err != nil {
		return -1
	}
	return n
}

// AwaitStat waits until the number at path is want.
func (p *Proxy) AwaitStat(want int64, path ...string) {
	p.t.Helper()
	Await(p.t, fmt.Sprintf("%s's %s to be %d", p.name, strings.Join(path, "."), want), func() error {
		if got := p.Stats().Value(path...); got != want {
			return fmt.Errorf("it is %d", got)
		}
		return nil
	})
}

// RSS is the resident memory of the process, in bytes.
func (p *Process) RSS() int64 {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.Pid()))
	if err != nil {
		p.t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		p.t.Fatal(err)
	}
	return resident * int64(syscall.Getpagesize())
}
