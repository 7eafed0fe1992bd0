package daemon

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// TestSurveyAfterReload: after a reload the servers of the new file are told.
func TestSurveyAfterReload(t *testing.T) {
	one, two := testkit.StartRedis(t, "--maxmemory-policy", "allkeys-lru"), testkit.StartRedis(t, "--maxmemory-policy", "volatile-ttl")
	listen := testkit.FreeAddr(t)
	s := startStage(t, pool("alpha", listen, testkit.Names(one)))
	client := testkit.Dial(t, testkit.Redis, listen)
	if got := client.Do("HELLO", "2"); !strings.Contains(got, "$7\r\nversion\r\n") {
		t.Errorf("HELLO: %q", got)
	}
	if got := client.Do("CONFIG", "GET", "maxmemory-policy"); !strings.Contains(got, "allkeys-lru") {
		t.Errorf("before the reload: %q", got)
	}
	s.mustReload(pool("alpha", listen, testkit.Names(two)))
	if got := client.Do("CONFIG", "GET", "maxmemory-policy"); !strings.Contains(got, "volatile-ttl") {
		t.Errorf("after the reload: %q", got)
	}
	s.mustReload(pool("alpha", listen, testkit.Names(one, two)))
	if got := client.Do("INFO", "memory"); !strings.Contains(got, "maxmemory_policy:allkeys-lru\r\n") {
		t.Errorf("with both: %q", got)
	}
}

// TestSurveyBesideReloads: reloads, however many, do not keep a client that asks about
// the servers from its answer, and a server that hangs is known to after a reload.
func TestSurveyBesideReloads(t *testing.T) {
	asked := make(chan struct{}, 1)
	hung := testkit.StartScripted(t, func(k *testkit.Talk) {
		select {
		case asked <- struct{}{}:
		default:
		}
		k.Drain()
	})
	well, listen := testkit.StartRedis(t), testkit.FreeAddr(t)
	file := func(pipeline int) string {
		return pool("alpha", listen, []string{testkit.Entry(hung.Addr(), 1, "hung"), well.Entry("well")},
			fmt.Sprint("client_max_pipeline: ", pipeline))
	}
	s := startStage(t, file(1000))
	client := testkit.Dial(t, testkit.Redis, listen)
	// Each time that the servers are asked there is a reload before they have answered.
	stop, stopped := make(chan struct{}), make(chan error)
	go func() {
		for n := 1001; ; n++ {
			select {
			case <-stop:
				stopped <- nil
				return
			case <-asked:
				s.write(file(n))
				if _, err := s.Reload("test"); err != nil {
					stopped <- err
					return
				}
			}
		}
	}()
	for range 3 {
		if got := client.Do("INFO", "server"); !strings.Contains(got, "redis_version:") {
			t.Errorf("INFO: %q", got)
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestLastWordsAfterReload: what is known of a server stays with it through a reload.
func TestLastWordsAfterReload(t *testing.T) {
	servers := func(names ...string) *generation {
		p := config.Pool{Name: "alpha", Protocol: config.Redis}
		for i, name := range names {
			p.Servers = append(p.Servers, config.Server{Name: name, Weight: 1, Address: config.Address{Host: name, Port: 1 + i}})
		}
		return newGeneration(&config.Config{Pools: []config.Pool{p}})
	}
	said, silent := new(redis.Said), time.Now()
	before, after := servers("a", "b", "c"), servers("a", "b")
	before.add(topology.New(&before.conf.Pools[0]))
	after.conf.Pools[0].Servers[0].Name = "new"
	before.learned, before.scripts = []*redis.Learned{nil}, []*redis.Scripts{nil}
	before.logins = []*redis.Logins{nil}
	after.makeTopologies(before, 0)
	s := &survey{}
	old, stay := before.topo[0].Servers(), after.topo[0].Servers()
	s.setServers(old)
	*s.last[old[0]], s.last[old[1]].said, s.last[old[1]].silent = lastWord{said: new(redis.Said)}, said, silent
	s.setServers(stay)
	if len(s.last) != 2 || s.last[stay[0]].said != nil || s.last[stay[1]].said != said || !s.last[stay[1]].silent.Equal(silent) {
		t.Errorf("after the reload: %+v", s.last)
	}
}

// TestEjectedServersAreNotAsked: what gets no requests gets no questions.
func TestEjectedServersAreNotAsked(t *testing.T) {
	well := testkit.StartRedis(t)
	ill := testkit.StartScripted(t, func(k *testkit.Talk) { k.Close() })
	listen := testkit.FreeAddr(t)
	startStage(t, pool("alpha", listen, []string{well.Entry("well"), testkit.Entry(ill.Addr(), 1, "ill")},
		"auto_eject_hosts: true", "server_failure_limit: 1", "server_retry_timeout: 600000"))
	client := testkit.Dial(t, testkit.Redis, listen)
	failed := false
	for i := 0; i < 100 && !failed; i++ {
		failed = strings.HasPrefix(client.Do("GET", fmt.Sprint("k", i)), "-")
	}
	if !failed {
		t.Fatal("no key is the ill server's")
	}
	before := ill.Accepted()
	for range 3 {
		if got := client.Do("INFO", "server"); !strings.Contains(got, "redis_version:") {
			t.Errorf("INFO: %q", got)
		}
	}
	if n := ill.Accepted(); n != before {
		t.Errorf("the ejected server was asked %d times", n-before)
	}
}

// TestReportsAreBounded: so many clients wait for an answer about the servers, and no
// more; and none of them keeps the proxy from ending.
func TestReportsAreBounded(t *testing.T) {
	hung := testkit.StartScripted(t, func(k *testkit.Talk) { k.Drain() })
	listen := testkit.FreeAddr(t)
	s := startStage(t, pool("alpha", listen, []string{testkit.Entry(hung.Addr(), 1, "hung")}))
	client := testkit.Dial(t, testkit.Redis, listen)
	const asked = maxReports + 10
	client.Send([]byte(strings.Repeat(string(testkit.RESP("CONFIG", "GET", "databases")), asked)))
	answered, refused := 0, 0
	for range asked {
		switch got := client.Reply(); {
		case strings.Contains(got, "databases"):
			answered++
		case strings.HasPrefix(got, "-ERR "):
			refused++
		default:
			t.Fatalf("%q", got)
		}
	}
	if answered < maxReports || answered+refused != asked {
		t.Errorf("%d answered, %d refused, of %d", answered, refused, asked)
	}
	if n := s.reporter.open.Load(); n != 0 {
		t.Errorf("%d questions are still open", n)
	}
	client.Send(testkit.RESP("CONFIG", "GET", "databases"))
	s.Stop()
}

// TestLastWords: what a server said counts for a while when it does not answer any
// more, as long as another does.
func TestLastWords(t *testing.T) {
	a, b := new(redis.Said), new(redis.Said)
	servers := []*topology.Health{new(topology.Health), new(topology.Health)}
	s := &survey{}
	s.setServers(servers)
	both := s.heard(servers, []*redis.Said{a, b})
	if both[0] != a || both[1] != b {
		t.Error("both answered")
	}
	if got := s.heard(servers, []*redis.Said{nil, b}); got[0] != a || got[1] != b {
		t.Error("the first one's last word is lost")
	}
	if got := s.heard(servers, []*redis.Said{nil, nil}); got != nil {
		t.Error("nobody answered, and something is told")
	}
	s.last[servers[0]].at = time.Now().Add(-2 * lastWordAge)
	if got := s.heard(servers, []*redis.Said{nil, b}); got[0] != nil || got[1] != b {
		t.Error("the first one's last word is old")
	}
}

// TestPatience: a server that did not answer is not waited for as long again, until a
// while has passed.
func TestPatience(t *testing.T) {
	now := time.Now()
	p := &config.Pool{}
	for _, tt := range []struct {
		silent  time.Time
		timeout time.Duration
		want    time.Duration
	}{
		{time.Time{}, 0, surveyPatience},
		{time.Time{}, 100 * time.Millisecond, 100 * time.Millisecond},
		{now.Add(-time.Second), 0, surveyImpatience},
		{now.Add(-surveyAgain), 0, surveyPatience},
		{now.Add(-time.Second), time.Millisecond, time.Millisecond},
	} {
		p.Timeout = tt.timeout
		if got := (&lastWord{silent: tt.silent}).patience(p, now); got != tt.want {
			t.Errorf("silent since %v, timeout %v: %v, want %v", now.Sub(tt.silent), tt.timeout, got, tt.want)
		}
	}
}
