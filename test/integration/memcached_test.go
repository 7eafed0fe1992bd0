package integration

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// A speaker is a memcached client that knows, byte by byte, what it must be
// answered: it is the only one to write the keys that begin with its name, and
// all others have the value that their name gives.
type speaker struct {
	conn net.Conn
	in   *bufio.Reader
	rng  *rand.Rand
	name string
	// own is what the speaker's keys hold.
	own map[string]string

	// The round in progress: what is to be sent, and what answered.
	ask, want strings.Builder
	requests  int
}

func newSpeaker(t *testing.T, addr, name string, seed uint64) *speaker {
	t.Helper()
	conn, err := testkit.Connect(t, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &speaker{
		conn: conn, in: bufio.NewReaderSize(conn, 64<<10), rng: rand.New(rand.NewPCG(seed, 1)),
		name: name, own: map[string]string{},
	}
}

// say adds a request and its answer, none if it is empty.
func (s *speaker) say(request, answer string) {
	s.ask.WriteString(request)
	s.want.WriteString(answer)
	s.requests++
}

// send sends what was said so far; round waits for the answers.
func (s *speaker) send(t *testing.T) {
	t.Helper()
	if err := s.conn.SetDeadline(time.Now().Add(testkit.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(s.conn, s.ask.String()); err != nil {
		t.Fatal(err)
	}
	s.ask.Reset()
}

// round sends what was said and holds the answers against what they must be.
func (s *speaker) round() error {
	if err := s.conn.SetDeadline(time.Now().Add(testkit.Patience)); err != nil {
		return err
	}
	ask, want := s.ask.String(), s.want.String()
	s.ask.Reset()
	s.want.Reset()
	failed := make(chan error, 1)
	go func() {
		_, err := io.WriteString(s.conn, ask)
		failed <- err
	}()
	got := make([]byte, len(want))
	n, err := io.ReadFull(s.in, got)
	for i := range n {
		if got[i] != want[i] {
			from := max(0, i-100)
			return fmt.Errorf("%s: got ...%q, want ...%q", s.name, got[from:min(n, i+100)], want[from:min(n, i+100)])
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w after %d of %d bytes, waiting for %.100q", s.name, err, n, len(want), want[n:])
	}
	return <-failed
}

const sharedKeys = 500

func sharedKey(i int) string { return fmt.Sprintf("shared:%04d", i) }

// textValue is a value as get brings it.
func textValue(key, value string) string {
	return fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\n", key, len(value), value)
}

// utter adds one request of any kind.
func (s *speaker) utter() {
	key := fmt.Sprintf("%s:%d", s.name, s.rng.IntN(20))
	counter := fmt.Sprintf("%s:n%d", s.name, s.rng.IntN(3))
	switch s.rng.IntN(18) {
	case 0, 1:
		s.store(key, "set %s 0 0 %d", "STORED\r\n")
	case 2:
		s.store(key, "set %s 0 0 %d noreply", "")
	case 3:
		s.store(key, "ms %s %d Oset", "HD Oset\r\n")
	case 4:
		s.store(key, "ms %s %d q k", "")
	case 5, 6:
		s.getMany()
	case 7:
		s.get(key)
	case 8, 9:
		s.metaGet(key)
	case 10:
		s.remove(key)
	case 11:
		s.count(counter)
	case 12:
		s.say("mn\r\n", "MN\r\n")
	case 13:
		// What is wrong with a noreply request nobody hears; of a quiet one, all do.
		s.say("incr "+s.name+":none 1 noreply\r\n", "")
		s.say("touch "+key+" soon noreply\r\n", "")
		s.say("ma "+s.name+":none q\r\n", "NF\r\n")
		s.say("mg "+key+" q Y\r\n", "CLIENT_ERROR invalid flag\r\n")
	case 14:
		s.say("set "+key+" x 0 7 noreply\r\nget all\r\n", "")
		s.say("ms "+key+" 7 q\r\nget all, and more", "CLIENT_ERROR bad data chunk\r\n")
		s.say("\r\n", "ERROR\r\n")
	case 15:
		value, there := s.own[key]
		answer := "NS\r\n"
		if there {
			s.own[key] = value + "+"
			answer = ""
		}
		s.say("ms "+key+" 1 MA q\r\n+\r\n", answer)
	case 16:
		if _, there := s.own[key]; there {
			s.say("add "+key+" 0 0 1 noreply\r\n-\r\n", "")
			s.say("touch "+key+" 0\r\n", "TOUCHED\r\n")
		}
	case 17:
		shared := s.rng.IntN(sharedKeys)
		s.say(store(fmt.Sprintf("set %s 0 0 %d noreply", sharedKey(shared), len(named(sharedKey(shared)))), named(sharedKey(shared))), "")
	}
}

// value is a new value for a key, which tells whose it is; a few are long.
func (s *speaker) value(key string) string {
	n := s.rng.IntN(100)
	if s.rng.IntN(200) == 0 {
		n = s.rng.IntN(40_000)
	}
	return fmt.Sprintf("%s=%d;", key, s.rng.Uint32()) + strings.Repeat("x", n)
}

func (s *speaker) store(key, form, answer string) {
	value := s.value(key)
	s.own[key] = value
	s.say(store(fmt.Sprintf(form, key, len(value)), value), answer)
}

func (s *speaker) get(key string) {
	answer := "END\r\n"
	if value, there := s.own[key]; there {
		answer = textValue(key, value) + answer
	}
	s.say("get "+key+"\r\n", answer)
}

// getMany gets shared keys, in the order asked for, and some that are not there.
func (s *speaker) getMany() {
	ask, answer := "get", ""
	for range 1 + s.rng.IntN(30) {
		key := sharedKey(s.rng.IntN(sharedKeys))
		ask += " " + key
		answer += textValue(key, named(key))
	}
	s.say(ask+" "+s.name+":none "+s.name+":none2\r\n", answer+"END\r\n")
}

func (s *speaker) metaGet(key string) {
	value, there := s.own[key]
	hit := fmt.Sprintf("VA %d O%d k%s\r\n%s\r\n", len(value), s.requests, key, value)
	request := fmt.Sprintf("mg %s v O%d k", key, s.requests)
	switch quiet := s.rng.IntN(2) == 0; {
	case quiet && there:
		s.say(request+" q\r\n", hit)
	case quiet:
		s.say(request+" q\r\n", "")
	case there:
		s.say(request+"\r\n", hit)
	default:
		s.say(request+"\r\n", fmt.Sprintf("EN O%d k%s\r\n", s.requests, key))
	}
}

func (s *speaker) remove(key string) {
	_, there := s.own[key]
	delete(s.own, key)
	answers := [...][2]string{{"NOT_FOUND\r\n", "DELETED\r\n"}, {"", ""}, {"NF\r\n", ""}, {"NF k" + key + "\r\n", "HD k" + key + "\r\n"}}
	requests := [...]string{"delete " + key + "\r\n", "delete " + key + " 0 noreply\r\n", "md " + key + " q\r\n", "md " + key + " k\r\n"}
	i := s.rng.IntN(len(requests))
	answer := answers[i][0]
	if there {
		answer = answers[i][1]
	}
	s.say(requests[i], answer)
}

func (s *speaker) count(key string) {
	n := 0
	if _, there := s.own[key]; !there {
		s.say("set "+key+" 0 0 1 noreply\r\n0\r\n", "")
	} else if _, err := fmt.Sscan(s.own[key], &n); err != nil {
		panic(err)
	}
	n++
	s.own[key] = fmt.Sprint(n)
	switch s.rng.IntN(4) {
	case 0:
		s.say("incr "+key+" 1\r\n", fmt.Sprintf("%d\r\n", n))
	case 1:
		s.say("incr "+key+" 1 noreply\r\n", "")
	case 2:
		s.say("ma "+key+" v\r\n", fmt.Sprintf("VA %d\r\n%d\r\n", len(fmt.Sprint(n)), n))
	default:
		s.say("ma "+key+" v q\r\n", "")
	}
}

// longEnv makes the tests of this file as long as they are meant to be.
const longEnv = "NUTHATCH_LONG"

// A hundred clients pipeline requests of every kind, noreply and quiet ones among
// them, over three memcacheds: every byte that each gets is its own.
func TestMemcacheHundredClients(t *testing.T) {
	t.Parallel()
	total := int64(300_000)
	if testing.Short() {
		total = 50_000
	}
	if os.Getenv(longEnv) != "" {
		total = 10_000_000
	}
	s := memcacheStage(t)
	first := newSpeaker(t, s.proxy.Addr(), "first", 0)
	for i := range sharedKeys {
		key := sharedKey(i)
		first.say(store(fmt.Sprintf("set %s 0 0 %d", key, len(named(key))), named(key)), "STORED\r\n")
	}
	if err := first.round(); err != nil {
		t.Fatal(err)
	}
	var done atomic.Int64
	var running sync.WaitGroup
	for i := range 100 {
		c := newSpeaker(t, s.proxy.Addr(), fmt.Sprintf("c%02d", i), uint64(i+1))
		running.Go(func() {
			for done.Load() < total && !t.Failed() {
				c.requests = 0
				for range 1 + c.rng.IntN(100) {
					c.utter()
				}
				c.say("mn\r\n", "MN\r\n")
				if err := c.round(); err != nil {
					t.Error(err)
					return
				}
				done.Add(int64(c.requests))
			}
		})
	}
	running.Wait()
	t.Logf("%d requests", done.Load())
}
