package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

var errNotTold = errors.New("not told yet")

// A cacher is a client that keeps what it reads, until it is told to forget it.
type cacher struct {
	c *testkit.Client
	// mode is how it asks to be told.
	mode string
	kept map[string]string
	// newest is the newest value of each key that it has heard; nil: values may be older,
	// since keys go to servers that had others before.
	newest map[string]int64
}

// cacherModes are the ways to be told.
var cacherModes = []string{"ON", "ON NOLOOP", "ON OPTIN", "ON OPTIN MULTI", "ON OPTOUT", "ON BCAST PREFIX k:"}

func newCacher(t *testing.T, addr, mode string) (*cacher, error) {
	t.Helper()
	c, err := testkit.TryDial(t, testkit.Redis, addr)
	if err != nil {
		return nil, err
	}
	x := &cacher{c: c, mode: mode, kept: map[string]string{}, newest: map[string]int64{}}
	if err := c.TrySend(testkit.RESP("HELLO", "3")); err != nil {
		return nil, err
	}
	if _, err := x.reply(); err != nil {
		return nil, err
	}
	words := strings.Fields("CLIENT TRACKING " + strings.TrimSuffix(mode, " MULTI"))
	if err := c.TrySend(testkit.RESP(words...)); err != nil {
		return nil, err
	}
	if got, err := x.reply(); err != nil || got != "+OK\r\n" {
		return nil, fmt.Errorf("CLIENT TRACKING: %q, %w", got, errors.Join(err, errNotTold))
	}
	return x, nil
}

// reply is the next reply. What it is told before that is forgotten.
func (x *cacher) reply() (string, error) {
	for {
		b, err := x.c.TryReply()
		if err != nil {
			return "", err
		}
		if b[0] != '>' {
			return string(b), nil
		}
		words := strings.Split(string(b), "\r\n")
		if words[3] == "_" {
			clear(x.kept)
			continue
		}
		for i := 5; i < len(words); i += 2 {
			delete(x.kept, words[i])
		}
	}
}

// read reads keys, all sent at once, and keeps the values. It reports a value that is older
// than one which it has heard before.
func (x *cacher) read(keys []string, keeps bool) (values []string, err error) {
	var out []byte
	for _, k := range keys {
		switch {
		case !strings.Contains(x.mode, "OPTIN") || !keeps:
			out = append(out, testkit.RESP("GET", k)...)
		case strings.HasSuffix(x.mode, "MULTI"):
			for _, words := range []string{"CLIENT CACHING YES", "MULTI", "PTTL " + k, "GET " + k, "EXEC"} {
				out = append(out, testkit.RESP(strings.Fields(words)...)...)
			}
		default:
			out = append(append(out, testkit.RESP("CLIENT", "CACHING", "YES")...), testkit.RESP("GET", k)...)
		}
	}
	if err := x.c.TrySend(out); err != nil {
		return nil, err
	}
	for _, k := range keys {
		before := 0
		if keeps && strings.HasSuffix(x.mode, "MULTI") {
			before = 4
		} else if keeps && strings.Contains(x.mode, "OPTIN") {
			before = 1
		}
		for range before {
			if _, err := x.reply(); err != nil {
				return nil, err
			}
		}
		got, err := x.reply()
		if err != nil {
			return nil, err
		}
		if before == 4 && got[0] == '*' { // the second element
			_, got, _ = strings.Cut(got, "\r\n")
			_, got, _ = strings.Cut(got, "\r\n")
		}
		values = append(values, got)
		if got[0] != '$' && got[0] != '_' {
			continue // an error
		}
		if n, err := strconv.ParseInt(strings.Split(got, "\r\n")[min(1, strings.Count(got, "\r\n")-1)], 10, 64); err == nil {
			if n < x.newest[k] {
				return nil, fmt.Errorf("%s: %d was read after %d: %w", k, n, x.newest[k], errStale)
			}
			if x.newest != nil {
				x.newest[k] = n
			}
		}
		if keeps {
			x.kept[k] = got
		}
	}
	return values, nil
}

var errStale = errors.New("a value is stale")

// TestCacheIsNeverStale: what a client keeps that is told when keys change is what its
// server has, however connections are killed, and keys moved by reloads: as soon as it has
// heard what the servers said before the last write was answered.
func TestCacheIsNeverStale(t *testing.T) {
	t.Parallel()
	for _, moves := range []bool{false, true} {
		t.Run(fmt.Sprintf("moves=%t", moves), func(t *testing.T) { neverStale(t, moves) })
	}
}

func neverStale(t *testing.T, moves bool) {
	servers := []*testkit.Server{testkit.StartRedis(t), testkit.StartRedis(t), testkit.StartRedis(t)}
	listen := testkit.FreeAddr(t)
	text := func(n int) string {
		return testkit.Pool{Name: "alpha", Listen: listen, Protocol: testkit.Redis, Servers: testkit.Names(servers...)[:n], Lines: []string{"max_tracked_keys: 300"}}.String()
	}
	p := testkit.StartNuthatch(t, text(3), testkit.Threads(2))
	keys := make([]string, 200)
	for i := range keys {
		keys[i] = fmt.Sprintf("k:%d", i)
	}
	all := make([]*cacher, 2*len(cacherModes))
	hits := 0
	for round := range rounds(t, 6) {
		stop := make(chan struct{})
		var group sync.WaitGroup
		var next atomic.Int64
		next.Store(int64(round) * 1_000_000)
		for w := range 4 { // each has keys of its own
			group.Go(func() { write(t, p.Addr(), keys[w*50:(w+1)*50], &next, stop) })
		}
		for i := range all {
			group.Go(func() { all[i] = keepReading(t, p.Addr(), all[i], cacherModes[i%len(cacherModes)], keys, moves, stop) })
		}
		disturb(t, p, servers, text, moves)
		close(stop)
		group.Wait()
		for _, x := range all {
			if x == nil {
				continue
			}
			values, err := x.read(keys, false)
			if err != nil {
				t.Errorf("%s: %v", x.mode, err)
				continue
			}
			for i, k := range keys {
				if kept, ok := x.kept[k]; ok {
					hits++
					if kept != values[i] {
						t.Errorf("round %d, %s: %s is kept as %q, and is %q", round, x.mode, k, kept, values[i])
					}
				}
			}
		}
	}
	if hits < 100 {
		t.Errorf("only %d values were kept to the end of a round", hits)
	}
}

// write gives keys values that grow, until it is told to stop. A request that fails is
// repeated, so that the last value is known to be there.
func write(t *testing.T, addr string, keys []string, next *atomic.Int64, stop chan struct{}) {
	var c *testkit.Client
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		k, v := keys[rand.IntN(len(keys))], strconv.FormatInt(next.Add(1), 10)
		for {
			var err error
			if c == nil {
				if c, err = testkit.TryDial(t, testkit.Redis, addr); err != nil {
					t.Error(err)
					return
				}
			}
			if err = c.TrySend(testkit.RESP("SET", k, v)); err == nil {
				var reply []byte
				if reply, err = c.TryReply(); err == nil && string(reply) == "+OK\r\n" {
					break
				}
			}
			if err != nil {
				c.Close()
				c = nil
			}
		}
	}
}

// keepReading has the client read what it has not kept, and sometimes write, until it is
// told to stop. One whose connection ends begins anew, with nothing.
func keepReading(t *testing.T, addr string, x *cacher, mode string, keys []string, moves bool, stop chan struct{}) *cacher {
	for {
		select {
		case <-stop:
			return x
		default:
		}
		if x == nil {
			var err error
			if x, err = newCacher(t, addr, mode); err != nil {
				x = nil
				continue // a server may be away
			}
		}
		var missing []string
		for range 1 + rand.IntN(20) {
			if k := keys[rand.IntN(len(keys))]; x.kept[k] == "" {
				missing = append(missing, k)
			}
		}
		if moves {
			x.newest = nil
		}
		if _, err := x.read(missing, true); err != nil {
			if errors.Is(err, errStale) {
				t.Errorf("%s: %v", mode, err)
			}
			x.c.Close()
			x = nil
		}
	}
}

// disturb kills the proxy's connections, or moves keys to other servers, for a while.
func disturb(t *testing.T, p *testkit.Proxy, servers []*testkit.Server, text func(int) string, moves bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	tick := time.NewTicker(60 * time.Millisecond)
	defer tick.Stop()
	for n := 2; ; n = 5 - n {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if moves {
			reload(t, p, text(n))
			continue
		}
		servers[rand.IntN(3)].Dial().Do("CLIENT", "KILL", "TYPE", "normal")
	}
}
