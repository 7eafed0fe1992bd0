package sentinel_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/sentinel"
	"nuthatch/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// A scripted sentinel says what a test has it say.
type scripted struct {
	addr string

	mu sync.Mutex
	// at and epoch are where the primary is. at is empty: its name is not known.
	at    string
	epoch int
	// mute: it does not answer. silent: it does not allow to subscribe.
	// refuses: it takes no password.
	mute, silent, refuses bool
	// about is what it says of the primary beside that, knows where other sentinels are, and
	// replicas where replicas.
	about, knows, replicas []string
	listeners              []net.Conn
}

func startScripted(t *testing.T, at string, epoch int) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{addr: l.Addr().String(), at: at, epoch: epoch}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			serving.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	return s
}

// serve answers one connection.
func (s *scripted) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		words, err := readRequest(in)
		if err != nil {
			return
		}
		s.mu.Lock()
		mute := s.mute
		s.mu.Unlock()
		if mute {
			_, _ = io.Copy(io.Discard, in) // until the client gives up
			return
		}
		s.mu.Lock()
		reply := s.reply(conn, words)
		s.mu.Unlock()
		if _, err := conn.Write([]byte(reply)); err != nil {
			return
		}
	}
}

func readRequest(in *bufio.Reader) (words []string, err error) {
	var n, size int
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Sscanf(line, "*%d\r\n", &n); err != nil {
		return nil, err
	}
	for range n {
		if line, err = in.ReadString('\n'); err != nil {
			return nil, err
		}
		if _, err := fmt.Sscanf(line, "$%d\r\n", &size); err != nil {
			return nil, err
		}
		word, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		words = append(words, strings.TrimSpace(word))
	}
	return words, nil
}

func (s *scripted) reply(conn net.Conn, words []string) string {
	bulks := func(all ...string) string {
		b := fmt.Sprintf("*%d\r\n", len(all))
		for _, w := range all {
			b += fmt.Sprintf("$%d\r\n%s\r\n", len(w), w)
		}
		return b
	}
	switch asked := strings.ToUpper(strings.Join(words[:min(2, len(words))], " ")); {
	case s.refuses && (strings.HasPrefix(asked, "HELLO") || strings.HasPrefix(asked, "AUTH")):
		return "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
	case strings.HasPrefix(asked, "AUTH"):
		return "+OK\r\n"
	case asked == "SENTINEL MASTER" && s.at == "":
		return "-ERR No such master with that name\r\n"
	case asked == "SENTINEL MASTER":
		return bulks(append([]string{"name", words[2], "config-epoch", fmt.Sprint(s.epoch)}, s.about...)...)
	case asked == "SENTINEL REPLICAS":
		all := fmt.Sprintf("*%d\r\n", len(s.replicas))
		for _, at := range s.replicas {
			host, port, _ := net.SplitHostPort(at)
			all += bulks("name", at, "ip", host, "port", port)
		}
		return all
	case asked == "SENTINEL SENTINELS" && len(s.knows) > 0:
		all := fmt.Sprintf("*%d\r\n", len(s.knows))
		for _, at := range s.knows {
			host, port, _ := net.SplitHostPort(at)
			all += bulks("name", at, "ip", host, "port", port)
		}
		return all
	case asked == "SENTINEL GET-MASTER-ADDR-BY-NAME" && s.at == "":
		return "*-1\r\n"
	case asked == "SENTINEL GET-MASTER-ADDR-BY-NAME":
		host, port, _ := net.SplitHostPort(s.at)
		return bulks(host, port)
	case strings.HasPrefix(asked, "SUBSCRIBE") && s.silent:
		return "-NOPERM this user has no permissions to run the 'subscribe' command\r\n"
	case strings.HasPrefix(asked, "SUBSCRIBE"):
		s.listeners = append(s.listeners, conn)
		b := ""
		for i, channel := range words[1:] {
			b += fmt.Sprintf("*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:%d\r\n", len(channel), channel, i+1)
		}
		return b
	case strings.HasPrefix(asked, "PING"):
		return bulks("pong", "")
	}
	return "-ERR unknown command\r\n"
}

// say changes what the sentinel says. tells: those that listen hear of it.
func (s *scripted) say(at string, epoch int, tells bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.epoch = at, epoch
	for _, conn := range s.listeners {
		if tells {
			_, _ = conn.Write([]byte("*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$1\r\nx\r\n"))
		}
	}
}

// A scene is a watcher among scripted sentinels, and what it has published and told.
type scene struct {
	t         *testing.T
	sentinels []*scripted
	watcher   *sentinel.Watcher

	mu      sync.Mutex
	at      sentinel.Place
	replica map[string]bool // what is no primary
	gone    map[string]bool // what cannot be asked
	told    []string
	missed  bool
	// published are all places that were, in their order.
	published []string
}

const (
	one, two, three = "10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"
)

// newScene starts n sentinels that say that the primary is at one, and a watcher that asks
// every poll.
func newScene(t *testing.T, n int, poll time.Duration) *scene {
	t.Helper()
	return newSceneOf(t, n, sentinel.Options{Poll: poll})
}

// newSceneOf is newScene with other options.
func newSceneOf(t *testing.T, n int, o sentinel.Options) *scene {
	t.Helper()
	s := &scene{t: t, replica: map[string]bool{}, gone: map[string]bool{}}
	var addrs []config.Address
	for range n {
		k := startScripted(t, one, 5)
		s.sentinels = append(s.sentinels, k)
		a, err := config.ParseListen(k.addr)
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, a)
	}
	o.Sentinels = addrs
	o.IsPrimary = func(_ context.Context, addr string) (bool, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.gone[addr] {
			return false, errors.New("connection refused")
		}
		return !s.replica[addr], nil
	}
	o.Publish = func(_ string, to sentinel.Place) {
		s.set(func() { s.at, s.published = to, append(s.published, to.Addr) })
	}
	o.Missed = func(string) (was bool) {
		s.set(func() { was, s.missed = s.missed, false })
		return was
	}
	o.Tell = func(c sentinel.Change) {
		s.set(func() { s.told = append(s.told, fmt.Sprintf("%s%s: %s", c.Primary, c.Sentinel, c.Problem)) })
	}
	s.watcher = sentinel.New(o, []string{"main"})
	t.Cleanup(s.watcher.Stop)
	s.watcher.Start()
	s.await(one)
	if o.Poll == never { // what is not heard would never be known
		testkit.Await(t, "subscriptions", func() error {
			for _, k := range s.watcher.Sentinels() {
				if !k.Subscribed || k.Problem != "" {
					return fmt.Errorf("%+v", k)
				}
			}
			return nil
		})
	}
	return s
}

func (s *scene) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// await waits until that is where the primary is.
func (s *scene) await(addr string) {
	s.t.Helper()
	testkit.Await(s.t, "the primary at "+addr, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.at.Addr != addr {
			return fmt.Errorf("it is at %s", s.at.Addr)
		}
		return nil
	})
}

// awaitTold waits until something like that was told.
func (s *scene) awaitTold(text string) {
	s.t.Helper()
	testkit.Await(s.t, "to be told: "+text, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !strings.Contains(strings.Join(s.told, "\n"), text) {
			return fmt.Errorf("told: %q", s.told)
		}
		return nil
	})
}

const never = time.Hour

// TestTold: a sentinel that tells of a failover is heard, and the others need not know of it
// yet, if the old primary is none any more.
func TestTold(t *testing.T) {
	s := newScene(t, 3, never)
	s.set(func() { s.replica[one] = true })
	s.sentinels[1].say(two, 6, true)
	s.await(two)
}

// TestPolled: what nobody tells of is found nevertheless.
func TestPolled(t *testing.T) {
	s := newScene(t, 3, 20*time.Millisecond)
	s.await(one)
	if at := s.watcher.Moved("main"); !at.IsZero() {
		t.Errorf("it has moved at %v", at)
	}
	before := time.Now()
	s.set(func() { s.replica[one] = true })
	s.sentinels[0].say(two, 6, false)
	s.await(two)
	if at := s.watcher.Moved("main"); at.Before(before) {
		t.Errorf("it has moved at %v", at)
	}
	next := sentinel.New(s.watcher.Options, s.watcher.Names())
	next.Continue(s.watcher)
	if at := next.Moved("main"); at != s.watcher.Moved("main") {
		t.Errorf("after a reload it has moved at %v", at)
	}
}

// TestNoSubscriptions: a sentinel whose user may not subscribe is asked.
func TestNoSubscriptions(t *testing.T) {
	s := newScene(t, 1, 20*time.Millisecond)
	s.sentinels[0].mu.Lock()
	s.sentinels[0].silent = true
	s.sentinels[0].mu.Unlock()
	s.sentinels[0].say(two, 6, false)
	s.await(two)
}

// TestOutOfDate: after a failover a sentinel that knows no better is not believed, even if
// it is the only one that answers.
func TestOutOfDate(t *testing.T) {
	s := newScene(t, 3, 20*time.Millisecond)
	for _, k := range s.sentinels[:2] {
		k.say(two, 6, false)
	}
	s.await(two)
	for _, k := range s.sentinels[:2] {
		k.mu.Lock()
		k.mute = true
		k.mu.Unlock()
	}
	s.awaitTold("main: the sentinels that answer are out of date")
	s.await(two)
	for _, k := range s.sentinels {
		k.mu.Lock()
		k.mute = false
		k.mu.Unlock()
		k.say(two, 6, false)
	}
	s.awaitTold("main: \n")
}

// TestOnlyOneKnows: when the one sentinel that knows of a failover does not answer, the others do
// not take it back, even if the old primary is there again. If they go on to say so, they have
// been set up anew.
func TestOnlyOneKnows(t *testing.T) {
	s := newScene(t, 3, 20*time.Millisecond)
	s.set(func() { s.gone[one] = true })
	s.sentinels[0].say(two, 6, false)
	s.await(two)
	s.set(func() { s.gone[one] = false })
	s.sentinels[0].mu.Lock()
	s.sentinels[0].mute = true
	s.sentinels[0].mu.Unlock()
	s.awaitTold("main: the sentinels that answer are out of date")
	s.await(two)
	patient := newSceneOf(t, 3, sentinel.Options{Poll: 20 * time.Millisecond, Doubt: 200 * time.Millisecond})
	patient.set(func() { patient.gone[one] = true })
	patient.sentinels[0].say(two, 6, false)
	patient.await(two)
	patient.set(func() { patient.gone[one] = false })
	patient.sentinels[0].say(one, 5, false)
	patient.await(one)
}

// TestNamedTooEarly: a server that is named before it is promoted is used when it is.
func TestNamedTooEarly(t *testing.T) {
	s := newScene(t, 3, never)
	s.set(func() { s.replica[one], s.replica[two] = true, true })
	for _, k := range s.sentinels {
		k.say(two, 6, true)
	}
	s.awaitTold("main: " + two + ", which sentinels name, is no primary")
	s.await(one)
	s.set(func() { s.replica[two] = false })
	s.await(two)
}

// TestMissed: who misses the primary has the sentinels asked again and again, until it is
// found.
func TestMissed(t *testing.T) {
	s := newScene(t, 3, never)
	s.set(func() { s.missed = true })
	s.watcher.Wake()
	for _, k := range s.sentinels {
		k.say(two, 6, false)
	}
	s.await(two)
	testkit.Await(t, "all to have said so", func() error {
		for _, status := range s.watcher.Sentinels() {
			if status.Said["main"] != (sentinel.Place{Addr: two, Epoch: 6}) {
				return fmt.Errorf("%s has said %v", status.Address, status.Said)
			}
		}
		return nil
	})
	if at, why := s.watcher.Asked(); at.IsZero() || why != sentinel.Missed && why != sentinel.ByTime && why != sentinel.Told {
		t.Errorf("they were asked at %v (%s)", at, why)
	}
}

// TestNobody: without an answer the last place stays, and it is said why.
func TestNobody(t *testing.T) {
	s := newScene(t, 2, 20*time.Millisecond)
	s.sentinels[0].say("", 0, false)
	s.sentinels[1].mu.Lock()
	s.sentinels[1].mute = true
	s.sentinels[1].mu.Unlock()
	s.awaitTold("main: no sentinel says where it is")
	s.awaitTold(s.sentinels[0].addr + ": it does not know the primary's name")
	s.awaitTold(s.sentinels[1].addr + ": ")
	s.await(one)
}

// TestUnreachable: a primary that sentinels name and nobody reaches is not used.
func TestUnreachable(t *testing.T) {
	s := newScene(t, 1, 20*time.Millisecond)
	s.set(func() { s.gone[two] = true })
	s.sentinels[0].say(two, 6, false)
	s.awaitTold("main: " + two + ", which sentinels name, cannot be asked whether it is a primary: connection refused")
	s.await(one)
}

// TestLoginRefused: a sentinel that does not take the password is told with its own words.
func TestLoginRefused(t *testing.T) {
	k := startScripted(t, one, 5)
	k.mu.Lock()
	k.refuses = true
	k.mu.Unlock()
	addr, err := config.ParseListen(k.addr)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 100)
	w := sentinel.New(sentinel.Options{
		Sentinels: []config.Address{addr}, Login: config.Login{Password: "secret"}, Poll: 20 * time.Millisecond,
		IsPrimary: func(context.Context, string) (bool, error) { return true, nil },
		Publish:   func(string, sentinel.Place) { t.Error("it has told a place") },
		Missed:    func(string) bool { return false },
		Tell: func(c sentinel.Change) {
			if c.Sentinel != "" {
				told <- c.Problem
			}
		},
	}, []string{"main"})
	t.Cleanup(w.Stop)
	w.Start()
	if got := <-told; got != "it refuses the login ('sentinel_user', 'sentinel_password'): WRONGPASS invalid username-password pair or user is disabled." {
		t.Errorf("told: %q", got)
	}
}
