package demo

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// patience is how long the demo waits for any one answer.
const patience = 5 * time.Second

// protocol is what the demo needs of Redis's or Memcached's protocol. Each
// request is answered by a single line.
type protocol struct {
	title string // what the page calls it
	redis bool   // the pool's "redis" key

	set    func(key, value string) string // request that stores a key
	stored string                         // its answer

	has     func(key string) string // request that asks for a key
	found   string                  // its answer if the key is there
	missing string                  // and if it is not

	session string   // what a reader without a client can send: an argument of the shell's printf
	client  []string // what a reader with a client can run; %s is host and port options
}

var redisProtocol = &protocol{
	title:   "Redis",
	redis:   true,
	set:     func(key, value string) string { return resp("SET", key, value) },
	stored:  "+OK",
	has:     func(key string) string { return resp("EXISTS", key) },
	found:   ":1",
	missing: ":0",
	session: `"SET a b\r\nGET a\r\nQUIT\r\n"`,
	client: []string{
		"redis-cli %s set a b",
		"redis-cli %s mget user:1 user:2 user:3",
	},
}

var memcachedProtocol = &protocol{
	title: "Memcached",
	set: func(key, value string) string {
		return fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", key, len(value), value)
	},
	stored:  "STORED",
	has:     func(key string) string { return "touch " + key + " 0\r\n" },
	found:   "TOUCHED",
	missing: "NOT_FOUND",
	session: `"set a 0 0 1\r\nb\r\nget a user:1 user:2\r\nquit\r\n"`,
}

// resp encodes a request as Redis clients do: an array of bulk strings.
func resp(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	return b.String()
}

// client is one connection to the proxy or to a server.
type client struct {
	conn net.Conn
	r    *bufio.Reader
}

func dial(address string) (*client, error) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return &client{conn: conn, r: bufio.NewReader(conn)}, nil
}

func (c *client) close() { c.conn.Close() }

// ask sends a request and returns the line that answers it.
func (c *client) ask(request string) (string, error) {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := c.conn.Write([]byte(request)); err != nil {
		return "", err
	}
	line, err := c.r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// write stores every key through the proxy at address.
func (p *protocol) write(address string, keys []string) error {
	c, err := dial(address)
	if err != nil {
		return err
	}
	defer c.close()
	for _, key := range keys {
		answer, err := c.ask(p.set(key, "value of "+key))
		if err != nil {
			return fmt.Errorf("demo: write %s through %s: %w", key, address, err)
		}
		if answer != p.stored {
			return fmt.Errorf("demo: write %s through %s: the answer is %q", key, address, answer)
		}
	}
	return nil
}

// held returns those of keys that the server at address has.
func (p *protocol) held(address string, keys []string) ([]string, error) {
	c, err := dial(address)
	if err != nil {
		return nil, err
	}
	defer c.close()
	var held []string
	for _, key := range keys {
		answer, err := c.ask(p.has(key))
		switch {
		case err != nil:
			return nil, fmt.Errorf("demo: look for %s on %s: %w", key, address, err)
		case answer == p.found:
			held = append(held, key)
		case answer != p.missing:
			return nil, fmt.Errorf("demo: look for %s on %s: the answer is %q", key, address, answer)
		}
	}
	return held, nil
}

// try returns the command lines that the page invites to.
func (p *protocol) try(host string, port int) []string {
	var lines []string
	options := "-p " + strconv.Itoa(port)
	if host != "127.0.0.1" {
		options = "-h " + host + " " + options
	}
	for _, line := range p.client {
		lines = append(lines, fmt.Sprintf(line, options))
	}
	return append(lines, fmt.Sprintf(`bash -c 'exec 3<>/dev/tcp/%s/%d; printf %s >&3; cat <&3'`,
		host, port, p.session))
}
