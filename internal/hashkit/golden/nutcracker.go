package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"nuthatch/internal/hashkit/golden/record"
)

// nutcracker is a running nutcracker with one pool per pool of a list, pool i
// listening on the unix socket socket(i).
type nutcracker struct {
	dir string // configuration, sockets, log; removed by stop
	cmd *exec.Cmd
}

func startNutcracker(program string, list *record.List) (n *nutcracker, err error) {
	dir, err := os.MkdirTemp("", "golden")
	if err != nil {
		return nil, err
	}
	n = &nutcracker{dir: dir}
	stats, err := freePort()
	if err != nil {
		return nil, err
	}
	conf := n.path("nutcracker.yml")
	if err := os.WriteFile(conf, n.configuration(list), 0o600); err != nil {
		return nil, err
	}
	n.cmd = exec.Command(program, "-c", conf, "-o", n.path("log"), "-p", n.path("pid"),
		"-a", "127.0.0.1", "-s", strconv.Itoa(stats))
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	for i := range list.Pools {
		if err := n.awaitPool(i); err != nil {
			return nil, errors.Join(err, n.stop())
		}
	}
	return n, nil
}

func (n *nutcracker) path(name string) string { return filepath.Join(n.dir, name) }

func (n *nutcracker) socket(pool int) string { return n.path(fmt.Sprintf("pool%d", pool)) }

// stop kills nutcracker, waits for its end and removes its files.
func (n *nutcracker) stop() error {
	err := n.cmd.Process.Kill()
	waited := n.cmd.Wait()
	if _, killed := errors.AsType[*exec.ExitError](waited); killed {
		waited = nil
	}
	return errors.Join(err, waited, os.RemoveAll(n.dir))
}

func (n *nutcracker) awaitPool(pool int) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		conn, err := net.Dial("unix", n.socket(pool))
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			log, readErr := os.ReadFile(n.path("log"))
			return errors.Join(err, readErr, fmt.Errorf("nutcracker's log: %s", log))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// configuration gives every pool a retry timeout beyond the program's run: what
// is ejected stays so.
func (n *nutcracker) configuration(list *record.List) []byte {
	var yml bytes.Buffer
	for i, pool := range list.Pools {
		fmt.Fprintf(&yml, "pool%d:\n  listen: %s\n  redis: true\n", i, n.socket(i))
		fmt.Fprintf(&yml, "  hash: %s\n  distribution: %s\n", pool.Hash, pool.Distribution)
		if pool.HashTag != "" {
			fmt.Fprintf(&yml, "  hash_tag: %q\n", pool.HashTag)
		}
		if deadServers(list) > 0 {
			yml.WriteString("  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 3600000\n")
		}
		yml.WriteString("  servers:\n")
		for _, s := range list.Servers {
			fmt.Fprintf(&yml, "   - %s\n", configLine(s))
		}
	}
	return yml.Bytes()
}

// configLine is the server's entry in nutcracker's configuration.
func configLine(s record.Server) string {
	address := s.Host
	if !strings.HasPrefix(s.Host, "/") {
		address = fmt.Sprintf("%s:%d", s.Host, s.Port)
	}
	return strings.TrimSpace(fmt.Sprintf("%s:%d %s", address, s.Weight, s.Name))
}

func deadServers(list *record.List) int {
	dead := 0
	for _, s := range list.Servers {
		if s.Dead {
			dead++
		}
	}
	return dead
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// client asks one pool for keys.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	out  *bufio.Writer
}

func (n *nutcracker) dial(pool int) (*client, error) {
	conn, err := net.Dial("unix", n.socket(pool))
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, in: bufio.NewReader(conn), out: bufio.NewWriter(conn)}, nil
}

// batch is how many requests are in flight at a time; nutcracker's cost per
// request grows with it.
const batch = 128

// owners sends all keys and returns, for each, the position of the recorder
// that got it.
func (c *client) owners(keys [][]byte) ([]byte, error) {
	owners := make([]byte, 0, len(keys))
	for len(keys) > 0 {
		now := keys[:min(batch, len(keys))]
		keys = keys[len(now):]
		if err := c.send(now); err != nil {
			return nil, err
		}
		for _, key := range now {
			owner, err := c.receive(key)
			if err != nil {
				return nil, err
			}
			owners = append(owners, owner)
		}
	}
	return owners, nil
}

// eject sends keys one at a time until so many of them have failed. With a
// failure limit of 1, each failure ejects the server that it met.
func (c *client) eject(keys [][]byte, failures int) error {
	for _, key := range keys {
		if failures == 0 {
			return nil
		}
		if err := c.send([][]byte{key}); err != nil {
			return err
		}
		_, err := c.receive(key)
		if errors.Is(err, errNoBulk) {
			failures--
		} else if err != nil {
			return err
		}
	}
	return fmt.Errorf("%d dead servers were never asked", failures)
}

func (c *client) send(keys [][]byte) error {
	for _, key := range keys {
		if _, err := c.out.WriteString("*2\r\n$3\r\nGET\r\n"); err != nil {
			return err
		}
		if err := writeBulk(c.out, key); err != nil {
			return err
		}
	}
	return c.out.Flush()
}

func (c *client) receive(key []byte) (owner byte, err error) {
	reply, err := readBulk(c.in, nil)
	if err != nil {
		return 0, err
	}
	if len(reply) == 0 || !bytes.Equal(reply[1:], key) {
		return 0, fmt.Errorf("asked for %q, a recorder answered %q", key, reply)
	}
	return reply[0], nil
}
