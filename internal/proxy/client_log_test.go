package proxy_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// A logLine is what the tests look at in a line.
type logLine struct {
	Level, Msg, Server, Cause string
	Left                      int `json:"left_out"`
	Requests                  int
}

// A logBook keeps what is logged.
type logBook struct {
	t    *testing.T
	log  *logging.Logger
	text bytes.Buffer
}

func newLogBook(t *testing.T, level logging.Level) *logBook {
	t.Helper()
	b := &logBook{t: t}
	var err error
	if b.log, err = logging.New(logging.Options{Level: level, JSON: true, Writer: &b.text}); err != nil {
		t.Fatal(err)
	}
	return b
}

// lines ends the log and returns what is in it.
func (b *logBook) lines() []logLine {
	b.t.Helper()
	if err := b.log.Close(); err != nil {
		b.t.Fatal(err)
	}
	var all []logLine
	for dec := json.NewDecoder(&b.text); dec.More(); {
		var line logLine
		if err := dec.Decode(&line); err != nil {
			b.t.Fatal(err)
		}
		all = append(all, line)
	}
	return all
}

// with are those lines that have all of the words.
func with(lines []logLine, words ...string) []logLine {
	return slices.DeleteFunc(slices.Clone(lines), func(l logLine) bool {
		return slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(l.Msg, w) })
	})
}

// A server that says what is no reply, on one connection after another, and is
// tried again and again, fills no log: that it fails is told once, and what
// happens to each connection only to those who ask for it.
func TestLinesAboutAServerAreLimited(t *testing.T) {
	const probes = 200
	for _, level := range []logging.Level{logging.Notice, logging.Info} {
		book := newLogBook(t, level)
		s := testkit.StartScripted(t, func(k *testkit.Talk) {
			k.Command()
			k.Reply("nonsense\r\n")
			k.Drain()
		})
		r := startLoggedRig(t, oneServer(s.Addr(),
			"  auto_eject_hosts: true\n  eject: fail\n  server_failure_limit: 1\n  server_retry_timeout: 1\n"), book.log)
		u := r.dial()
		await(t, "probes that fail", func() bool {
			u.line(command("GET", "a"))
			return r.stat().Servers[0].Values[stats.Probes] >= probes
		})
		r.awaitIdle()
		closed := 0
		for _, n := range r.stat().Servers[0].Vectors[stats.ClosedConnections] {
			closed += int(n)
		}
		lines := book.lines()
		if n := len(with(lines, "server "+s.Addr()+" fails: its reply does not fit the request; is it a Memcached server, or does it want TLS (server_tls)?; ejected: its requests fail until it answers")); n != 1 {
			t.Errorf("level %v: that the server fails is told %d times", level, n)
		}
		if n := len(with(lines, "server "+s.Addr()+" is tried again")); n != 1 {
			t.Errorf("level %v: that it is tried again is told %d times in less than a minute", level, n)
		}
		want := 1 // the one that it failed with
		if level == logging.Info {
			want = closed
		}
		for _, kind := range []string{"closed server connection", "server sent an invalid reply"} {
			if n := len(with(lines, kind)); n != want {
				t.Errorf("level %v: %d lines for %d connections, want %d: %s", level, n, closed, want, kind)
			}
		}
	}
}

// In a pool that does not eject, a server that is gone is told of when it goes and
// when it is back, and not for each request to it.
func TestFailsAndAnswersAgain(t *testing.T) {
	book := newLogBook(t, logging.Notice)
	addr := testkit.FreeAddr(t)
	text := strings.Replace(oneServer(addr, ""), addr+":1", addr+":1 one", 1)
	r := startLoggedRig(t, text, book.log)
	u := r.dial()
	for range 300 {
		if got := u.line(command("GET", "a")); got != "-ERR Connection refused\r\n" {
			t.Fatalf("a server that is gone: %q", got)
		}
	}
	testkit.StartScriptedAt(t, addr, echo)
	u.send(command("GET", "a"))
	u.expect(bulk("a"))
	r.awaitIdle()
	lines := book.lines()
	fails := with(lines, "server one ("+addr+") fails: Connection refused")
	back := with(lines, "server one ("+addr+") answers again")
	if len(fails) == 1 && fails[0].Cause != "Connection refused" {
		t.Errorf("the cause is no member: %+v", fails[0])
	}
	if len(fails) != 1 || len(back) != 1 || fails[0].Level != back[0].Level {
		t.Errorf("%d lines tell that it fails, %d that it is back", len(fails), len(back))
	}
	if rest := len(lines) - len(fails) - len(back); rest > 2 {
		t.Errorf("%d lines beside them: %+v", rest, lines)
	}
}

// A server whose time of ejection is over is tried again: it is not up, and
// nothing says so, until it has answered.
func TestTriedAgainIsNotBack(t *testing.T) {
	book := newLogBook(t, logging.Notice)
	var sick mood
	sick.sick.Store(true)
	s := testkit.StartScripted(t, sick.serve)
	r := startLoggedRig(t, oneServer(s.Addr(),
		"  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 1\n"), book.log)
	u := r.dial()
	since := int64(0)
	await(t, "the server to be tried some times", func() bool {
		u.line(command("GET", "a"))
		state := r.topo.Servers()[0].State()
		if since == 0 {
			since = state.Since
		}
		if state.State == topology.Up || state.Reason != msg.ServerEOF || state.Since != since {
			t.Fatalf("it has not answered, and is %v: %+v", state.State, state)
		}
		return r.stat().Servers[0].Values[stats.Returns] >= 5
	})
	sick.sick.Store(false)
	await(t, "the server to answer", func() bool { return u.line(command("GET", "a")) == bulk("a") })
	if state := r.topo.Servers()[0].State(); state.State != topology.Up || state.Reason != msg.OK {
		t.Errorf("it has answered, and is %v: %+v", state.State, state)
	}
	r.awaitIdle()
	lines := book.lines()
	for _, words := range []string{" fails: it accepts connections and closes them without an answer; does it want TLS (server_tls)?; ejected: the other servers get its keys", " is tried again", " answers again"} {
		if n := len(with(lines, "server "+s.Addr()+words)); n != 1 {
			t.Errorf("%d lines say %q", n, words)
		}
	}
	if n := len(with(lines, "back")); n != 0 {
		t.Errorf("%d lines say that it is back", n)
	}
}

// A request that fails since there is no connection counts at its server, too.
func TestFailedWithoutConnection(t *testing.T) {
	r := startRig(t, oneServer(testkit.FreeAddr(t), ""))
	r.topo.Servers()[0].SetAddrs(nil)
	u := r.dial()
	u.send(command("GET", "a") + command("MGET", "a", "b"))
	text := "-ERR the name of this key's server cannot be resolved\r\n"
	u.expect(text + text)
	got := r.stat()
	if n, m := got.Vectors[stats.FailedRequests][msg.Unresolved], got.Servers[0].Vectors[stats.ServerFailedRequests][msg.Unresolved]; n != 2 || m != 2 {
		t.Errorf("%d requests failed, %d at the server, want 2 and 2", n, m)
	}
	if state := r.topo.Servers()[0].State(); state.State != topology.Failing || state.Reason != msg.Unresolved {
		t.Errorf("the server is %v: %+v", state.State, state)
	}
}
