package compat

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// newBrokenPair starts a pair over servers of which the third is broken.
func newBrokenPair(t *testing.T, protocol testkit.Protocol, broken string, lines ...string) *pair {
	t.Helper()
	start := testkit.StartRedis
	if protocol == testkit.Memcache {
		start = testkit.StartMemcached
	}
	yaml := func() string {
		return testkit.Pool{Protocol: protocol, Lines: lines, Servers: []string{
			start(t).Entry("s1"), start(t).Entry("s2"), testkit.Entry(broken, 1, "s3"),
		}}.String()
	}
	return &pair{
		protocol:   protocol,
		nutcracker: testkit.StartNutcracker(t, yaml()),
		nuthatch:   testkit.StartNuthatch(t, yaml(), testkit.Threads(1)),
	}
}

// someKeys are keys that every server gets a share of.
func someKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%08x", uint32(i+1)*2654435761)
	}
	return keys
}

// Ways for a server to be broken, and the words that a client gets to hear.
var breakages = []struct {
	name  string
	words string
	addr  func(t *testing.T) string
}{
	{"refuses", "Connection refused", func(t *testing.T) string { t.Helper(); return testkit.Refused(t) }},
	{"is silent", "Connection timed out", scriptedAddr((*testkit.Talk).Drain)},
	{"never reads", "Connection timed out", scriptedAddr((*testkit.Talk).Hang)},
}

func scriptedAddr(script func(*testkit.Talk)) func(*testing.T) string {
	return func(t *testing.T) string {
		t.Helper()
		return testkit.StartScripted(t, script).Addr()
	}
}

// A request for the broken server gets an error in words, in its turn, and so
// does a request for many keys of which it has one; the others are served.
func TestRedisServerErrors(t *testing.T) {
	t.Parallel()
	for _, breakage := range breakages {
		t.Run(breakage.name, func(t *testing.T) {
			t.Parallel()
			pair := newBrokenPair(t, testkit.Redis, breakage.addr(t), "timeout: 400")
			refused := fmt.Sprintf("-ERR %s\r\n", breakage.words)
			lost, kept := sortKeys(t, pair, testkit.Redis, refused)
			for _, transcript := range [][][]byte{
				commands("GET " + lost),
				commands("GET "+kept, "GET "+lost, "SET "+kept+" 1", "GET "+kept),
				commands("MGET "+lost+" "+kept, "GET "+kept),
				commands("MGET " + kept + " " + lost + " " + kept + "x " + kept + "y"),
				commands("MSET "+kept+" 1 "+lost+" 2", "DEL "+kept+" "+lost, "TOUCH "+lost+" "+kept, "UNLINK "+lost+" "+kept),
				commands("PING", "GET "+lost, "PING"),
			} {
				pair.diff(t, transcript, nil)
			}
		})
	}
}

// The same for memcached. A get of many keys is answered with an error when one
// of its servers is broken; that is asked of nuthatch alone, because nutcracker
// now and then closes the client's connection over it.
func TestMemcacheServerErrors(t *testing.T) {
	t.Parallel()
	for _, breakage := range breakages {
		t.Run(breakage.name, func(t *testing.T) {
			t.Parallel()
			pair := newBrokenPair(t, testkit.Memcache, breakage.addr(t), "timeout: 400")
			refused := fmt.Sprintf("SERVER_ERROR %s\r\n", breakage.words)
			lost, kept := sortKeys(t, pair, testkit.Memcache, refused)
			for _, requests := range [][]string{
				{"get " + lost + "\r\n"},
				{"get " + kept + "\r\n", "get " + lost + "\r\n", store("set "+kept+" 0 0 1", "1"), "get " + kept + "\r\n"},
				{store("set "+lost+" 0 0 1", "1"), "delete " + lost + "\r\n", "incr " + lost + " 1\r\n", "touch " + lost + " 1\r\n"},
				{store("set "+lost+" 0 0 1 noreply", "1"), "get " + kept + "\r\n"},
			} {
				pair.diff(t, transcriptOf(requests), nil)
			}
			client := pair.nuthatch.Dial(testkit.Memcache)
			for _, request := range []string{"get " + kept + " " + lost, "gets " + lost + " " + kept + " x y z"} {
				client.Send([]byte(request + "\r\nget " + kept + "\r\n"))
				client.Expect(refused)
				client.Expect("VALUE " + kept + " 0 1\r\n1\r\nEND\r\n")
			}
		})
	}
}

// sortKeys finds a key whose server is broken and one whose server is not, the
// same on both sides.
func sortKeys(t *testing.T, p *pair, protocol testkit.Protocol, refused string) (lost, kept string) {
	t.Helper()
	for _, key := range someKeys(50) {
		request := testkit.RESP("GET", key)
		if protocol == testkit.Memcache {
			request = []byte("get " + key + "\r\n")
		}
		replay := p.diff(t, [][]byte{request}, nil)
		if replay.Replies[0] == refused {
			lost = key
		} else if !strings.Contains(replay.Replies[0], "ERR") {
			kept = key
		}
		if lost != "" && kept != "" {
			return lost, kept
		}
	}
	t.Fatalf("of 50 keys, lost %q and kept %q", lost, kept)
	return "", ""
}

// A server that goes away in the middle of what it says: the request gets an
// error in its turn and the connection goes on. What the error says is not
// compared: for an orderly close nutcracker says "unknown", or whatever errno
// was left from something else.
func TestServerGoesAway(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]func(*testkit.Talk){
		"closes at once": (*testkit.Talk).Close,
		"closes after a request": func(k *testkit.Talk) {
			k.Command()
			k.Close()
		},
		"closes in a reply": func(k *testkit.Talk) {
			k.Command()
			k.Reply("$10\r\nhalf")
			k.Close()
		},
		"resets after a request": func(k *testkit.Talk) {
			k.Command()
			k.Reset()
		},
		"resets in a reply": func(k *testkit.Talk) {
			k.Command()
			k.Reply("$10\r\nhalf")
			k.Reset()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair := newBrokenPair(t, testkit.Redis, scriptedAddr(script)(t), "timeout: 300")
			for _, p := range pair.sides() {
				failed := 0
				for _, key := range someKeys(20) {
					replay := testkit.Play(t, testkit.Redis, p.Addr(), commands("GET "+key), nil).String()
					if strings.HasPrefix(replay, "-ERR ") {
						failed++
						_, replay, _ = strings.Cut(replay, " ; ")
					} else {
						replay = strings.TrimPrefix(replay, "$-1 ; ")
					}
					if replay != "+PONG" {
						t.Errorf("%s: GET %s gets %s", p.Addr(), key, replay)
					}
				}
				if failed == 0 {
					t.Errorf("%s: no request failed", p.Addr())
				}
			}
		})
	}
}

const retryTimeout = 1000 * time.Millisecond

// ejecting are the lines of a pool that ejects a server after two failures.
var ejecting = []string{
	"auto_eject_hosts: true", "server_failure_limit: 2",
	fmt.Sprintf("server_retry_timeout: %d", retryTimeout.Milliseconds()), "timeout: 2000",
}

// A server that fails twice in a row is ejected: its keys go to the others until
// server_retry_timeout is over, and back to it then. That an idle connection ends is
// a failure to nutcracker alone.
func TestEjection(t *testing.T) {
	t.Parallel()
	pair := newRedisPair(t, ejecting...)
	keys := someKeys(60)
	var errorsSeen [2]int
	for side, p := range pair.sides() {
		client := p.Dial(testkit.Redis)
		for _, key := range keys {
			client.Do("SET", key, "home")
		}
		victim := pair.behind[side][1]
		direct := victim.Dial()
		lost := keyOn(t, direct, keys)
		victim.Kill()
		p.AwaitStat(1, "alpha", "s2", "server_eof")
		for client.Do("GET", lost) == "-ERR Connection refused\r\n" {
			errorsSeen[side]++
		}
		ejected := time.Now()
		if got := client.Do("GET", lost); got != "$-1\r\n" {
			t.Errorf("%s: after the ejection GET gets %q", p.Addr(), got)
		}
		for _, key := range keys {
			if got := client.Do("SET", key, "moved"); got != "+OK\r\n" {
				t.Errorf("%s: after the ejection SET gets %q", p.Addr(), got)
			}
		}
		victim.Restart()
		victim.Dial().Do("SET", lost, "back")
		testkit.Await(t, "the server's return", func() error {
			if got := client.Do("GET", lost); got != testkit.Bulk("back") {
				return fmt.Errorf("GET gets %q", got)
			}
			return nil
		})
		if away := time.Since(ejected); away < retryTimeout-100*time.Millisecond {
			t.Errorf("%s: the server is back after %v, before server_retry_timeout", p.Addr(), away)
		}
		p.AwaitStat(1, "alpha", "server_ejects")
		if at := p.Stats().Value("alpha", "s2", "server_ejected_at"); at < ejected.Add(-time.Minute).UnixMicro() {
			t.Errorf("%s: server_ejected_at is %d", p.Addr(), at)
		}
	}
	// The end of the idle connection, when the server was killed, counts with nutcracker.
	if errorsSeen != [2]int{1, 2} {
		t.Errorf("clients see %d errors of nutcracker and %d of nuthatch before the ejection, want 1 and 2", errorsSeen[0], errorsSeen[1])
	}
}

func keyOn(t *testing.T, server *testkit.Client, keys []string) string {
	t.Helper()
	for _, key := range keys {
		if server.Do("EXISTS", key) == ":1\r\n" {
			return key
		}
	}
	t.Fatal("the server has no key")
	return ""
}

// Without auto_eject_hosts a dead server's keys stay with it, and it is used
// again as soon as it is there.
func TestNoEjection(t *testing.T) {
	t.Parallel()
	pair := newRedisPair(t, "server_failure_limit: 1", "server_retry_timeout: 100")
	for side, p := range pair.sides() {
		client := p.Dial(testkit.Redis)
		keys := someKeys(30)
		for _, key := range keys {
			client.Do("SET", key, "home")
		}
		victim := pair.behind[side][0]
		lost := keyOn(t, victim.Dial(), keys)
		victim.Kill()
		p.AwaitStat(1, "alpha", "s1", "server_eof")
		for range 10 {
			client.Send(testkit.RESP("GET", lost))
			client.Expect("-ERR Connection refused\r\n")
		}
		victim.Restart()
		client.Send(testkit.RESP("GET", lost))
		client.Expect("$-1\r\n")
		p.AwaitStat(0, "alpha", "server_ejects")
	}
}

// When no server is left, requests fail at once; the pool recovers by itself.
func TestAllEjected(t *testing.T) {
	t.Parallel()
	pair := newRedisPair(t, ejecting...)
	for side, p := range pair.sides() {
		client := p.Dial(testkit.Redis)
		for _, s := range pair.behind[side] {
			s.Kill()
		}
		testkit.Await(t, "three ejections", func() error {
			for _, key := range someKeys(20) {
				client.Send(testkit.RESP("GET", key))
				client.Expect("-ERR Connection refused\r\n")
			}
			if n := p.Stats().Value("alpha", "server_ejects"); n < 3 {
				return fmt.Errorf("%d so far", n)
			}
			return nil
		})
		client.Send(testkit.RESP("PING"))
		client.Expect("+PONG\r\n")
		if p == pair.nuthatch { // nutcracker closes the client's connection
			client.Send(testkit.RESP("MGET", "a", "b", "c", "d"))
			client.Expect("-ERR Connection refused\r\n")
		}
		for _, s := range pair.behind[side] {
			s.Restart()
		}
		testkit.Await(t, "every key to be served again", func() error {
			for _, key := range someKeys(20) {
				if got := client.Do("GET", key); got != "$-1\r\n" {
					return fmt.Errorf("GET gets %q", got)
				}
			}
			return nil
		})
	}
}
