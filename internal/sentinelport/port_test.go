package sentinelport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/emulate"
	"nuthatch/internal/logging"
	"nuthatch/internal/testkit"
)

// proxies are three that live.
var proxies = []emulate.Address{{Host: "10.0.0.1", Port: 6379}, {Host: "10.0.0.2", Port: 6379}, {Host: "10.0.0.3", Port: 6379}}

// A stage is a port with a board.
type stage struct {
	*Port
	t     *testing.T
	board emulate.Board
}

// start starts a port for the pool "main", with the settings that change makes of the usual ones.
func start(t *testing.T, change func(*Settings)) *stage {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().(*net.TCPAddr)
	log, err := logging.New(logging.Options{Writer: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	s := &stage{t: t, Port: New(l, config.Address{Network: config.NetworkTCP, Host: "127.0.0.1", Port: at.Port}, log)}
	t.Cleanup(s.Close)
	s.live(proxies[0])
	o := Settings{Name: "main", Board: &s.board, Open: true, Most: 10, Version: "1.2.3"}
	if change != nil {
		change(&o)
	}
	s.Set(o)
	s.Serve()
	return s
}

// live has these proxies live, of which the first one is this one.
func (s *stage) live(all ...emulate.Address) {
	var sentinels []emulate.Address
	for _, a := range all[1:] {
		sentinels = append(sentinels, emulate.Address{Host: a.Host, Port: 26379})
	}
	s.board.Publish(emulate.New(emulate.Options{
		Self: all[0], Peers: all[1:], Sentinel: emulate.Address{Host: all[0].Host, Port: 26379}, Sentinels: sentinels,
	}))
	s.Wake()
}

func (s *stage) dial() *testkit.Client {
	s.t.Helper()
	c := testkit.Dial(s.t, testkit.Redis, s.Addr().String())
	s.t.Cleanup(c.Close)
	return c
}

// shape is a reply without what differs between sentinels: ids, addresses, and times.
func shape(reply string) string {
	reply = regexp.MustCompile(`[0-9a-f]{40}`).ReplaceAllString(reply, "ID")
	reply = regexp.MustCompile(`\$\d+\r\n(127|10)\.0\.0\.1\r\n`).ReplaceAllString(reply, "HOST\r\n")
	reply = regexp.MustCompile(`\$\d+\r\n\d+\r\n`).ReplaceAllString(reply, "NUMBER\r\n")
	return reply
}

// TestAnswersLikeRedis: a sentinel of Redis and this one say the same.
func TestAnswersLikeRedis(t *testing.T) {
	t.Parallel()
	watched, s := testkit.StartWatched(t, "main", 0, 1, time.Minute), start(t, nil)
	c := watched.Sentinels[0].Dial()
	t.Cleanup(c.Close)
	testkit.Await(t, "the sentinel to have spoken with its primary", func() error {
		if got := shape(c.Do("SENTINEL", "MASTER", "main")); !strings.Contains(got, "runid\r\n$40\r\nID\r\n$5\r\nflags\r\n$6\r\nmaster\r\n") {
			return errors.New(got)
		}
		return nil
	})
	for _, hello := range []string{"2", "3"} {
		theirs, ours := watched.Sentinels[0].Dial(), s.dial()
		t.Cleanup(theirs.Close)
		for _, request := range []string{
			"HELLO x", "HELLO 4", "HELLO " + hello + " SETNAME", "HELLO " + hello, "PING", "PING a", "PING a b", "ping", "ROLE", "ROLE x",
			"SENTINEL", "SENTINEL MASTERS", "SENTINEL MASTER main", "SENTINEL MASTER other", "SENTINEL MASTER", "SENTINEL MASTER a b",
			"SENTINEL GET-MASTER-ADDR-BY-NAME main", "sentinel get-master-addr-by-name other", "SENTINEL SLAVES main", "SENTINEL REPLICAS main",
			"SENTINEL REPLICAS other", "SENTINEL SENTINELS main", "SENTINEL SENTINELS other", "SENTINEL CKQUORUM main", "SENTINEL CKQUORUM other",
			"SENTINEL MYID", "SENTINEL PENDING-SCRIPTS", "SENTINEL NOSUCH", "CLIENT GETNAME", "CLIENT SETNAME x", "CLIENT GETNAME", `CLIENT SETNAME "a b"`,
			"CLIENT ID", "CLIENT ID x", "CLIENT NOSUCH", "GET a b", "SET", "AUTH x", "AUTH nobody x", "AUTH a b c d",
			"UNSUBSCRIBE", "SUBSCRIBE +switch-master", "SUBSCRIBE +switch-master", "PSUBSCRIBE +s*", "PING", "PING a", "SENTINEL MYID", "UNSUBSCRIBE x",
			"PUNSUBSCRIBE", "UNSUBSCRIBE +switch-master", "SENTINEL MYID",
		} {
			words := testkit.Command(request)
			got, want := shape(ours.Do(words...)), shape(theirs.Do(words...))
			if request == "CLIENT ID" || request == "HELLO "+hello {
				continue // below
			}
			if got != want {
				t.Errorf("RESP%s: %s: %q, Redis says %q", hello, request, got, want)
			}
		}
		for _, c := range []*testkit.Client{theirs, ours} {
			greeting := c.Do("HELLO")
			for _, part := range []string{"$5\r\nproto\r\n:" + hello, "$2\r\nid\r\n:", "$4\r\nmode\r\n$8\r\nsentinel\r\n$7\r\nmodules\r\n*0\r\n"} {
				if !strings.Contains(greeting, part) {
					t.Errorf("HELLO of RESP%s lacks %q: %q", hello, part, greeting)
				}
			}
			if id := c.Do("CLIENT", "ID"); !strings.HasPrefix(id, ":") {
				t.Error(id)
			}
		}
		if got := ours.Do("SUBSCRIBE", "a") + ours.Do("RESET") + ours.Do("CLIENT", "GETNAME") + ours.Do("QUIT") + ours.ExpectEnd(); !strings.HasSuffix(got, "+RESET\r\n$-1\r\n+OK\r\n") {
			t.Error(got)
		}
	}
}

// TestOneProxyForAClient: all sentinels name the same proxy, and tell of the others.
func TestOneProxyForAClient(t *testing.T) {
	t.Parallel()
	want := ""
	for i := range proxies {
		s := start(t, nil)
		s.live(append(proxies[i:len(proxies):len(proxies)], proxies[:i]...)...)
		c := s.dial()
		got := c.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")
		if want == "" {
			want = got
		}
		if got != want || !strings.HasPrefix(got, "*2\r\n$8\r\n10.0.0.") {
			t.Errorf("proxy %d names %q, another one %q", i, got, want)
		}
		others := c.Do("SENTINEL", "SENTINELS", "main")
		for j, a := range proxies {
			if strings.Contains(others, a.Host) == (i == j) {
				t.Errorf("proxy %d says that the others are %q", i, others)
			}
		}
		if got := c.Do("SENTINEL", "CKQUORUM", "main"); !strings.HasPrefix(got, "+OK 3 usable Sentinels.") {
			t.Error(got)
		}
		if info := c.Do("INFO", "sentinel"); !strings.Contains(info, "slaves=0,sentinels=3\r\n") || strings.Contains(info, "# Server") {
			t.Error(info)
		}
	}
}

// TestSwitches: clients that listen are told which proxy to use when theirs goes, and when it
// comes back. Others are not.
func TestSwitches(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.live(proxies...)
	by := s.board.Map().ProxyFor("127.0.0.1")
	var rest []emulate.Address
	for _, a := range proxies {
		if a != by {
			rest = append(rest, a)
		}
	}
	quiet, resp2, resp3, pattern := s.dial(), s.dial(), s.dial(), s.dial()
	resp3.Do("HELLO", "3")
	if got := quiet.Do("SUBSCRIBE", "+tilt"); got != "*3\r\n$9\r\nsubscribe\r\n$5\r\n+tilt\r\n:1\r\n" {
		t.Fatal(got)
	}
	for _, c := range []*testkit.Client{resp2, resp3} {
		if got := c.Do("SUBSCRIBE", "+switch-master"); !strings.HasSuffix(got, ":1\r\n") {
			t.Fatal(got)
		}
	}
	pattern.Do("PSUBSCRIBE", "*")
	told := func(old, now emulate.Address) {
		t.Helper()
		text := fmt.Sprintf("main %s %d %s %d", old.Host, old.Port, now.Host, now.Port)
		message := fmt.Sprintf("3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$%d\r\n%s\r\n", len(text), text)
		resp2.Expect("*" + message)
		resp3.Expect(">" + message)
		pattern.Expect(strings.Replace("*"+message, "3\r\n$7\r\nmessage\r\n", "4\r\n$8\r\npmessage\r\n$1\r\n*\r\n", 1))
	}
	s.live(rest...)
	next := s.board.Map().ProxyFor("127.0.0.1")
	told(by, next)
	s.live(proxies...)
	told(next, by)
	s.live(by) // the others go, which concerns nobody
	if got := resp2.Do("PING"); got != "*2\r\n$4\r\npong\r\n$0\r\n\r\n" {
		t.Error(got)
	}
	if n := s.Counts(); n.Clients != 4 || n.Subscribers != 4 || n.Switches != 6 {
		t.Errorf("%+v", n)
	}
	resp2.Do("UNSUBSCRIBE")
	resp3.Close()
	testkit.Await(t, "those who left to be counted no more", func() error {
		if n := s.Counts(); n.Clients != 3 || n.Subscribers != 2 {
			return fmt.Errorf("%+v", n)
		}
		return nil
	})
}

// TestLogin: nothing is told before a login, which must come in time.
func TestLogin(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *Settings) {
		o.Open, o.LoginTime = false, 50*time.Millisecond
		o.Login = func(user, password []byte) bool { return string(user) == "default" && string(password) == "sesame" }
	})
	late := s.dial()
	testkit.Await(t, "the client", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.lastID == 0 {
			return errors.New("it has not come")
		}
		return nil
	})
	for _, login := range []string{"AUTH sesame", "AUTH default sesame", "HELLO 3 AUTH default sesame SETNAME x"} {
		o := *s.settings.Load()
		o.LoginTime = 0
		s.Set(o.Settings)
		c := s.dial()
		for _, request := range []string{"SENTINEL MASTERS", "PING", "SUBSCRIBE +switch-master", "NOSUCH", "INFO"} {
			if got := c.Do(strings.Fields(request)...); got != "-NOAUTH Authentication required.\r\n" {
				t.Errorf("%s: %q", request, got)
			}
		}
		for _, wrong := range []string{"AUTH barley", "AUTH alice sesame", "HELLO 3 AUTH default barley"} {
			if got := c.Do(strings.Fields(wrong)...); !strings.HasPrefix(got, "-WRONGPASS ") {
				t.Errorf("%s: %q", wrong, got)
			}
		}
		if got := c.Do("HELLO", "3"); !strings.HasPrefix(got, "-NOAUTH HELLO must") {
			t.Error(got)
		}
		if got := c.Do(strings.Fields(login)...); strings.HasPrefix(got, "-") {
			t.Errorf("%s: %q", login, got)
		}
		if got := c.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"); got != "*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n" {
			t.Errorf("after %s: %q", login, got)
		}
		if got := c.Do("RESET") + c.Do("PING"); got != "+RESET\r\n-NOAUTH Authentication required.\r\n" {
			t.Error(got)
		}
	}
	if n := s.Counts().LoginsFailed; n != 9 {
		t.Errorf("%d logins have failed, want 9", n)
	}
	if got := late.ExpectEnd(); got != "" {
		t.Errorf("a client that does not log in got %q", got)
	}
}

// TestBounds: clients, requests and subscriptions have bounds.
func TestBounds(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *Settings) { o.Most = 2 })
	first, second := s.dial(), s.dial()
	for _, c := range []*testkit.Client{first, second} {
		c.Do("PING")
	}
	if got := s.dial().ExpectEnd(); got != "-ERR max number of clients reached\r\n" {
		t.Errorf("a client too many got %q", got)
	}
	for i := range maxChannels {
		first.Do("SUBSCRIBE", fmt.Sprint(i))
	}
	if got := first.Do("PSUBSCRIBE", "*"); !strings.HasPrefix(got, "-ERR a client may listen to 64 channels") {
		t.Error(got)
	}
	second.Send([]byte("PING inline\r\n\r\n*1\r\n$4\r\nPING\r\n"))
	second.Expect("$6\r\ninline\r\n", "+PONG\r\n")
	second.Send([]byte("*2\r\n$4\r\nPING\r\n$20000\r\n"))
	if got := second.ExpectEnd(); !strings.HasPrefix(got, "-ERR Protocol error") {
		t.Errorf("a large request got %q", got)
	}
	testkit.Await(t, "room", func() error {
		if s.Counts().Clients > 1 {
			return errors.New("the client is still there")
		}
		return nil
	})
	s.Set(Settings{Name: "main", Board: &s.board, Open: true, Most: 10, Access: config.Access{DenyFrom: "127.0.0.0/8"}})
	if got := s.dial().ExpectEnd(); got != "-ERR clients from this address are not let in\r\n" {
		t.Errorf("a client from elsewhere got %q", got)
	}
	if n := s.Counts().Refused; n != 2 {
		t.Errorf("%d were refused", n)
	}
}
