// Package check finds out where a running nutcracker looks for keys, and compares
// that with the ring that a configuration makes.
//
// It asks nutcracker for keys that do not exist, with a command that hardly anybody
// uses, and sees in the servers' own counters which of them was asked:
//
//	count ─► ask nutcracker for the keys of half of the servers ─► count
//
// There is one split for each bit of the servers' numbers, so that any two servers
// are on different sides once, and every misplaced key is seen. Nothing is written,
// unless that is asked for.
package check

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"net"
	"slices"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/hashkit"
	"nuthatch/internal/tlsstage"
)

var (
	// ErrRandom means that there is nothing to compare.
	ErrRandom = errors.New("the pool is distributed at random: no server owns a key")
	// ErrBusy means that other clients use all the commands that could be counted.
	ErrBusy = errors.New("every command that could be counted is in use by others; try again, or use --write")
)

const (
	// DefaultKeys is how many keys of each server are asked for.
	DefaultKeys = 100
	// maxTries bounds the search for keys of every server. Of a server whose share is
	// tiny there may be fewer keys than of others, or none.
	maxTries = 100_000
	// maxExamples is how many keys that are elsewhere are named.
	maxExamples = 5
	// quiet is how long a counter must not change to be used. attempts is how
	// often a disturbed count is repeated.
	quiet    = 200 * time.Millisecond
	attempts = 3
	// scratchTTL is after how many seconds a written key expires.
	scratchTTL = 60
	// ioTimeout is how long an answer may take.
	ioTimeout = 5 * time.Second
)

// Options is what to check.
type Options struct {
	Pool *config.Pool
	// Proxy is the address of nutcracker's listener, host:port or a path.
	Proxy string
	// Keys is how many keys of each server are asked for.
	Keys int
	// Write stores keys under a scratch prefix instead, and deletes them.
	Write bool
}

// A Result is what was found.
type Result struct {
	// Servers are those of the pool, one for each address.
	Servers []Server `json:"servers"`
	// Examples are some of the keys that are elsewhere.
	Examples []Example `json:"examples,omitempty"`
	// Command is the one that keys were asked for with.
	Command string `json:"command"`
	Coverage
}

// A Server is where keys should be, and were found.
type Server struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	// Keys is how many keys the ring gives it, Found how many nutcracker sends
	// there.
	Keys  int `json:"keys"`
	Found int `json:"found"`
	at    config.Address
}

// An Example is a key that is elsewhere.
type Example struct {
	Key  string `json:"key"`
	Ring string `json:"ring"`
	// Nutcracker is the server that nutcracker asks; empty: none of the file's.
	Nutcracker string `json:"nutcracker"`
}

// Same reports whether every key is where the ring has it.
func (r *Result) Same() bool {
	return len(r.Examples) == 0 && !slices.ContainsFunc(r.Servers, func(s Server) bool { return s.Keys != s.Found })
}

// A checker is one check.
type checker struct {
	Options
	ring    hashkit.Ring
	servers []Server
	owners  []int // the number in servers, by the number in the pool
	keys    []sample
	// coverage is how much of the ring the keys cover.
	coverage Coverage
	proxy    *wire
	links    []*wire // to the servers
}

// Run checks. An error means that there is no result.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Pool.Distribution == hashkit.Random {
		return nil, ErrRandom
	}
	c := newChecker(o)
	c.findKeys()
	defer c.close()
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	if o.Write {
		return c.byWriting()
	}
	return c.byCounting()
}

func newChecker(o Options) *checker {
	c := &checker{Options: o}
	nodes := make([]hashkit.Node, len(o.Pool.Servers))
	for i := range o.Pool.Servers {
		s := &o.Pool.Servers[i]
		nodes[i] = hashkit.Node{Name: s.NodeName(), Weight: s.Weight}
		// Servers of several names at one address cannot be told apart by what is
		// counted there.
		at := slices.IndexFunc(c.servers, func(known Server) bool { return known.Address == s.Address.String() })
		if at < 0 {
			at = len(c.servers)
			c.servers = append(c.servers, Server{Name: s.NodeName(), Address: s.Address.String(), at: s.Address})
		}
		c.owners = append(c.owners, at)
	}
	c.ring = hashkit.Ring{Hash: o.Pool.Hash, Continuum: hashkit.NewContinuum(o.Pool.Distribution, nodes)}
	copy(c.ring.Tag[:], o.Pool.HashTag)
	return c
}

// connect connects to nutcracker and to every server.
func (c *checker) connect(ctx context.Context) (err error) {
	if c.proxy, err = dial(ctx, c.Pool, c.Proxy, config.Login{Password: c.Pool.RedisAuth}.Words(), nil); err != nil {
		return fmt.Errorf("nutcracker at %s: %w", c.Proxy, err)
	}
	var end *tlsstage.End
	if c.Pool.ServerTLS.On() {
		if end, err = tlsstage.ForServers(&c.Pool.ServerTLS, nil); err != nil {
			return fmt.Errorf("server_tls: %w", err)
		}
	}
	for i := range c.servers {
		w, err := dial(ctx, c.Pool, c.servers[i].Address, c.Pool.ServerLogin().Words(), func(conn net.Conn) net.Conn { return end.Secure(conn, c.servers[i].at) })
		if err != nil {
			return fmt.Errorf("server %s: %w", c.servers[i].Name, err)
		}
		c.links = append(c.links, w)
	}
	return nil
}

func (c *checker) close() {
	for _, w := range append(c.links, c.proxy) {
		if w != nil {
			w.conn.Close()
		}
	}
}

// byCounting asks for the keys and sees at the servers' counters where they go.
func (c *checker) byCounting() (*Result, error) {
	q, err := c.quietest()
	if err != nil {
		return nil, err
	}
	r := &Result{Servers: c.servers, Command: q.name, Coverage: c.coverage}
	named := make(map[string]bool)
	rounds := max(bits.Len(uint(len(c.servers)-1)), 1)
	for bit := range rounds {
		for side := range 2 {
			p := part{side: func(server int) bool { return server>>bit&1 == side }}
			p.keys = slices.DeleteFunc(slices.Clone(c.keys), func(s sample) bool { return !p.side(s.server) })
			seen, err := c.observe(q, p.keys)
			if err != nil {
				return nil, err
			}
			if bit == 0 { // its two sides are all keys, once
				for i, n := range seen {
					c.servers[i].Found += n
				}
			}
			if p.strays(seen) == 0 {
				continue
			}
			if r.Examples, err = c.examples(q, p, r.Examples, named); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// A part is some keys, and the side of their owners. A side is a set of servers.
type part struct {
	keys []sample
	side func(server int) bool
}

// strays is how many of the keys were seen on the other side, or nowhere.
func (p part) strays(seen []int) int {
	n := len(p.keys)
	for i := range seen {
		if p.side(i) {
			n -= seen[i]
		}
	}
	return n
}

// examples adds to found some keys of the part that are on the other side, except those
// that are named already. The part must have some. They are found by halves: to ask for
// one key after the other would need as many counts of all servers as there are keys.
func (c *checker) examples(q *probe, p part, found []Example, named map[string]bool) ([]Example, error) {
	if len(found) == maxExamples {
		return found, nil
	}
	if len(p.keys) == 1 {
		s := p.keys[0]
		if named[s.key] {
			return found, nil
		}
		named[s.key] = true
		seen, err := c.observe(q, p.keys)
		if err != nil {
			return nil, err
		}
		e := Example{Key: s.key, Ring: c.servers[s.server].Name}
		if at := slices.Index(seen, 1); at >= 0 {
			e.Nutcracker = c.servers[at].Name
		}
		return append(found, e), nil
	}
	half := len(p.keys) / 2
	for _, keys := range [][]sample{p.keys[:half], p.keys[half:]} {
		one := part{keys, p.side}
		seen, err := c.observe(q, keys)
		if err != nil {
			return nil, err
		}
		if one.strays(seen) == 0 {
			continue
		}
		if found, err = c.examples(q, one, found, named); err != nil {
			return nil, err
		}
		if len(found) == maxExamples {
			break
		}
	}
	return found, nil
}

// observe asks nutcracker for keys, and returns for how many of them each server was
// asked. If the servers count more, other clients use the command too, and observe
// begins again. They may count fewer, since nutcracker may use servers that the file
// does not have.
func (c *checker) observe(q *probe, keys []sample) ([]int, error) {
	for range attempts {
		before, err := c.counts(q)
		if err != nil {
			return nil, err
		}
		for _, s := range keys {
			if err := c.proxy.ask(q, s.key); err != nil {
				return nil, fmt.Errorf("nutcracker: %w", err)
			}
		}
		seen, err := c.counts(q)
		if err != nil {
			return nil, err
		}
		sum := 0
		for i := range seen {
			seen[i] -= before[i]
			sum += seen[i]
		}
		if sum <= len(keys) {
			return seen, nil
		}
	}
	return nil, ErrBusy
}

// counts is how often each server has been asked with the probe's command.
func (c *checker) counts(q *probe) ([]int, error) {
	counts := make([]int, len(c.links))
	for i, w := range c.links {
		n, err := w.count(q)
		if err != nil {
			return nil, fmt.Errorf("server %s: %w", c.servers[i].Name, err)
		}
		counts[i] = n
	}
	return counts, nil
}

// quietest finds a command that nobody else uses.
func (c *checker) quietest() (*probe, error) {
	probes := probesOf(c.Pool)
	before := make([][]int, len(probes))
	for i := range probes {
		var err error
		if before[i], err = c.counts(&probes[i]); err != nil {
			return nil, err
		}
	}
	time.Sleep(quiet)
	for i := range probes {
		after, err := c.counts(&probes[i])
		if err != nil {
			return nil, err
		}
		if slices.Equal(after, before[i]) {
			return &probes[i], nil
		}
	}
	return nil, ErrBusy
}

// byWriting stores the keys through nutcracker, looks for them on the servers, and
// deletes them there.
func (c *checker) byWriting() (*Result, error) {
	r := &Result{Command: "set", Coverage: c.coverage}
	for _, s := range c.keys {
		if err := c.proxy.store(s.key); err != nil {
			return nil, fmt.Errorf("nutcracker: %w", err)
		}
		at := -1
		for i, w := range c.links {
			there, err := w.take(s.key)
			if err != nil {
				return nil, fmt.Errorf("server %s: %w", c.servers[i].Name, err)
			}
			if there {
				at = i
			}
		}
		if at >= 0 {
			c.servers[at].Found++
		}
		if at == s.server || len(r.Examples) == maxExamples {
			continue
		}
		e := Example{Key: s.key, Ring: c.servers[s.server].Name}
		if at >= 0 {
			e.Nutcracker = c.servers[at].Name
		}
		r.Examples = append(r.Examples, e)
	}
	r.Servers = c.servers
	return r, nil
}
