package integration

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// endless answers each request with an array that does not end.
func endless(k *testkit.Talk) {
	elements := strings.Repeat("$1000\r\n"+strings.Repeat("v", 1000)+"\r\n", 100)
	if _, ok := k.Command(); !ok {
		return
	}
	k.Reply("*2147483647\r\n")
	for k.Pour(elements) {
	}
}

// A large reply is one that no client can have: how it is asked for, and what is
// said instead.
var largeReplies = map[string]struct {
	server         string
	request, error string
}{
	"one array": {
		"redis", string(testkit.RESP(append([]string{"MGET"}, strings.Fields(strings.Repeat("big ", 300))...)...)),
		"-ERR the reply has ",
	},
	"one list of values":  {"memcached", "get" + strings.Repeat(" big", 1000) + "\r\n", "SERVER_ERROR the reply has "},
	"one without an end":  {"endless", string(testkit.RESP("GET", "a")), "-ERR the reply has "},
	"one to the question": {"endless", string(testkit.RESP("LARGE.COMMAND", "a")), "-ERR the servers do not say what this command is: "},
}

// One reply that is larger than all memory costs its client an error, and nobody
// else anything: what is resident stays near max_memory, and another pool is served
// meanwhile.
func TestMemoryOfOneLargeReply(t *testing.T) {
	for name, c := range largeReplies {
		t.Run(name, func(t *testing.T) {
			pool := testkit.Pool{Name: "large", Protocol: testkit.Redis}
			switch c.server {
			case "redis":
				pool.Servers = testkit.Names(testkit.StartRedis(t))
			case "memcached":
				pool.Protocol, pool.Servers = testkit.Memcache, testkit.Names(testkit.StartMemcached(t, "-I", "2m"))
			default:
				pool.Servers = []string{testkit.Entry(testkit.StartScripted(t, endless).Addr(), 1, "endless")}
			}
			other := testkit.Pool{Name: "other", Protocol: testkit.Redis, Servers: testkit.Names(testkit.StartRedis(t))}
			proxy := testkit.StartNuthatch(t, pool.String()+other.String()+"\nnuthatch:\n  threads: 1\n  max_memory: 64mb\n")
			switch c.server {
			case "redis":
				u := proxy.Dial(testkit.Redis)
				u.Send(testkit.RESP("SET", "big", megabyte))
				u.Expect("+OK\r\n")
			case "memcached":
				u := proxy.Dial(testkit.Memcache)
				u.Send([]byte(fmt.Sprintf("set big 0 0 %d\r\n%s\r\n", 900_000, megabyte[:900_000])))
				u.Expect("STORED\r\n")
			}
			bystander := testkit.Dial(t, testkit.Redis, proxy.Addrs[1])
			conn, err := testkit.Connect(t, proxy.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, c.request); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(c.error))
			answered := make(chan error, 1)
			go func() {
				_, err := io.ReadFull(conn, got)
				answered <- err
			}()
			served := 0
			for done := false; !done; served++ {
				bystander.Send(testkit.RESP("GET", "a"))
				bystander.Expect("$-1\r\n")
				select {
				case err := <-answered:
					if done = true; err != nil || string(got) != c.error {
						t.Errorf("got %q and %v, want %q", got, err, c.error)
					}
				default:
				}
			}
			if c.server == "endless" { // what else comes is dropped, until it is too much
				proxy.AwaitStat(0, "large", "endless", "server_connections")
			}
			p := peak(t, proxy.Process)
			t.Logf("peak %d MB, another was served %d times", p>>20, served)
			if p > maxMemory {
				t.Errorf("%d bytes were resident, max_memory is %d", p, maxMemory)
			}
		})
	}
}
