package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// serverCount is how many servers the demo shards over.
const serverCount = 3

// server is one of the demo's own servers.
type server struct {
	name    string // the node name, which places it on the continuum whatever its port
	address string
	keys    []string // the sample keys that landed on it
	stop    func()
}

func stopAll(servers []*server) {
	for _, s := range servers {
		s.stop()
	}
}

// startRedis starts in-process Redis servers. Those that it returns run, with
// an error or without.
func startRedis(context.Context) ([]*server, error) {
	var servers []*server
	for i := range serverCount {
		m, err := miniredis.Run()
		if err != nil {
			return servers, fmt.Errorf("demo: start an in-memory Redis server: %w", err)
		}
		servers = append(servers, &server{
			name:    fmt.Sprintf("redis-%d", i+1),
			address: m.Addr(),
			stop:    m.Close,
		})
	}
	return servers, nil
}

// errNoMemcached means that there is no program to run.
var errNoMemcached = errors.New("--memcached needs the memcached program, and there is none in PATH; " +
	"install it (Debian: apt-get install memcached) or leave the flag out for in-memory Redis servers")

// startMemcached starts memcached programs. Those that it returns run, with an
// error or without.
func startMemcached(ctx context.Context) ([]*server, error) {
	path, err := exec.LookPath("memcached")
	if err != nil {
		return nil, errNoMemcached
	}
	var servers []*server
	for i := range serverCount {
		s, err := runMemcached(ctx, path, fmt.Sprintf("memcached-%d", i+1))
		if err != nil {
			return servers, err
		}
		servers = append(servers, s)
	}
	return servers, nil
}

// runMemcached starts one memcached and waits until it answers.
func runMemcached(ctx context.Context, path, name string) (*server, error) {
	port, err := tryPort("127.0.0.1", 0)
	if err != nil {
		return nil, fmt.Errorf("demo: find a free port: %w", err)
	}
	args := []string{"-l", "127.0.0.1", "-p", strconv.Itoa(port), "-U", "0", "-m", "16"}
	if os.Geteuid() == 0 {
		args = append(args, "-u", "root") // it refuses to guess a user to become
	}
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	// A group of its own, so that Ctrl-C ends the proxy first and this after it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("demo: start memcached: %w", err)
	}
	p := &program{process: cmd.Process, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()

	s := &server{name: name, address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), stop: p.end}
	if err := p.waitListening(ctx, s.address); err != nil {
		p.end()
		return nil, err
	}
	return s, nil
}

// program is a process of the demo's own.
type program struct {
	process *os.Process
	ended   chan struct{} // closed when it has ended
	err     error         // how; readable once ended is closed
}

// end asks the program to end and takes it down if it has not after a while.
func (p *program) end() {
	_ = p.process.Signal(syscall.SIGTERM) // an error means that it has ended already
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.process.Kill()
		<-p.ended
	}
}

// waitListening returns nil once the program accepts connections at address,
// or why it will not.
func (p *program) waitListening(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.ended:
			return fmt.Errorf("demo: memcached on %s ended at its start: %w", address, p.err)
		case <-ctx.Done():
			return fmt.Errorf("demo: memcached on %s does not listen: %w", address, err)
		case <-again.C:
		}
	}
}
