package testkit

import (
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

// Each kind of server starts, on TCP and on a Unix socket, answers, and comes
// back on its address after a kill.
func TestServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		start         func(testing.TB, ...string) *Server
		request, want string
	}{
		"redis":             {StartRedis, "PING\r\n", "+PONG\r\n"},
		"redis, socket":     {StartRedisUnix, "PING\r\n", "+PONG\r\n"},
		"memcached":         {StartMemcached, "get a\r\n", "END\r\n"},
		"memcached, socket": {StartMemcachedUnix, "get a\r\n", "END\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.start(t)
			before := s.Pid()
			for range 2 {
				client := s.Dial()
				client.Send([]byte(c.request))
				client.Expect(c.want)
				s.Kill()
				client.ExpectEnd()
				if _, err := TryDial(t, Redis, s.Addr()); err == nil {
					t.Error("it accepts after Kill")
				}
				s.Restart()
			}
			if s.Pid() == before {
				t.Error("Restart is the same process")
			}
		})
	}
}

// A paused server is silent and loses nothing.
func TestPause(t *testing.T) {
	t.Parallel()
	s := StartRedis(t)
	c := s.Dial()
	s.Pause()
	c.Send(RESP("SET", "a", "1"))
	c.Send(RESP("GET", "a"))
	s.Resume()
	c.Expect("+OK\r\n", Bulk("1"))
}

// A process that ends by itself fails the test, also before it is ready.
func TestProcessThatEnds(t *testing.T) {
	t.Parallel()
	messages := record(t, func(t testing.TB) { StartRedis(t, "--nonsense", "1") })
	expectOne(t, messages, "ended before it was ready")
	messages = record(t, func(t testing.TB) {
		s := StartRedis(t)
		s.Dial().Send(RESP("SHUTDOWN", "NOSAVE"))
		<-s.exited
		s.Stop()
	})
	expectOne(t, messages, "ended by itself")
}

// nutcracker starts with the addresses that it is given, forwards, and reports.
func TestNutcracker(t *testing.T) {
	t.Parallel()
	server, cache := StartRedis(t), StartMemcached(t)
	p := StartNutcracker(t,
		Pool{Protocol: Redis, Servers: []string{server.Entry("s1")}}.String()+
			Pool{Name: "beta", Protocol: Memcache, Servers: []string{cache.Entry("s2")}}.String())
	c := p.Dial(Redis)
	c.Send(RESP("SET", "a", "1"))
	c.Expect("+OK\r\n")
	if got := server.Dial().Do("GET", "a"); got != Bulk("1") {
		t.Errorf("the server has %q", got)
	}
	other := Dial(t, Memcache, p.Addrs[1])
	other.Send([]byte("set a 0 0 1\r\nx\r\n"))
	other.Expect("STORED\r\n")
	p.AwaitStat(1, "alpha", "s1", "requests")
	p.AwaitStat(1, "beta", "s2", "requests")
	p.AwaitStat(1, "alpha", "client_eof")
	if got := p.Stats().Value("alpha", "s1", "nonsense"); got != -1 {
		t.Errorf("a statistic that is not there has the value %d", got)
	}
	if rss := p.RSS(); rss < 1<<19 || rss > 1<<30 {
		t.Errorf("its memory is %d bytes", rss)
	}
}

// A configuration that nutcracker refuses fails the test with its words.
func TestNutcrackerRefuses(t *testing.T) {
	t.Parallel()
	messages := record(t, func(t testing.TB) { StartNutcracker(t, "alpha:\n  nonsense: 1\n") })
	if len(messages) != 1 || !strings.Contains(messages[0], "syntax is invalid") {
		t.Errorf("it says %q", messages)
	}
}
