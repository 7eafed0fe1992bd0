package soak

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// A sentinelScene is a primary that sentinels watch, under a load that checks its replies.
type sentinelScene struct {
	*testkit.Watched
	t     *testing.T
	probe *testkit.Client
	load  *testkit.Load
	asked *testkit.Server // the sentinel that fails over by hand
}

// served waits until a write is served.
func (s *sentinelScene) served() {
	s.t.Helper()
	testkit.Await(s.t, "a write at the primary", func() error {
		if reply := s.probe.Do("SET", "probe", "x"); reply != "+OK\r\n" {
			return errors.New(reply)
		}
		return nil
	})
}

// goOn waits until the clients have been served some more.
func (s *sentinelScene) goOn() { s.load.Crowd.AwaitMore(&s.load.Crowd.Served, int64(times(2000, 300))) }

// byHand has a sentinel fail over. It may refuse that, or accept it and give it up, so it is
// asked again.
func (s *sentinelScene) byHand(primary *testkit.Server) { s.replaced(primary, 0) }

// replaced waits until another server is the primary. After a while it has a sentinel fail over
// by hand: sentinels that have not agreed on a leader wait for longer than a test does.
func (s *sentinelScene) replaced(primary *testkit.Server, byThemselves time.Duration) {
	c := s.asked.Dial()
	defer c.Close()
	began := time.Now()
	testkit.Await(s.t, "another primary", func() error {
		if now := s.Primary(0); now != nil && now != primary {
			return nil
		}
		if time.Since(began) < byThemselves {
			return errors.New("not yet")
		}
		return fmt.Errorf("the sentinel says %q", c.Do("SENTINEL", "FAILOVER", "main"))
	})
}

// patience is how long sentinels may take to fail over by themselves.
const patience = 10 * time.Second

// kill kills the primary, which comes back when another one has its place.
func (s *sentinelScene) kill(primary *testkit.Server) {
	primary.Kill()
	s.replaced(primary, patience)
	s.served()
	primary.Restart()
}

// pause stops the primary for longer than the sentinels wait for it.
func (s *sentinelScene) pause(primary *testkit.Server) {
	primary.Pause()
	s.replaced(primary, patience)
	s.served()
	primary.Resume()
}

// endSentinels ends the sentinels one by one, and then all at once.
func (s *sentinelScene) endSentinels(*testkit.Server) {
	for _, k := range s.Sentinels {
		k.Kill()
		s.served()
		s.goOn()
		k.Restart()
	}
	for _, k := range s.Sentinels {
		k.Kill()
	}
	s.served()
	s.goOn()
	for _, k := range s.Sentinels {
		k.Restart()
	}
}

// A primary fails over by hand, is killed and stopped, and sentinels stop one by one, and all
// at once: a hundred clients get no wrong reply and none out of order, none is lost, and
// nothing that the replica has confirmed is.
func TestSentinels(t *testing.T) {
	beside(t)
	_, rng := seeded(t)
	w := testkit.StartWatched(t, "main", 1, 3, 2*time.Second)
	proxy := testkit.StartNuthatch(t, testkit.Pool{
		Protocol: testkit.Redis, Servers: []string{w.Entry("s1")},
		Lines: []string{w.Line(), "timeout: 3000", "on_readonly: resolve", "retry: unsent", "pubsub: {on_loss: resubscribe}"},
	}.String(), testkit.Threads(loops))
	s := &sentinelScene{Watched: w, t: t, probe: proxy.Dial(testkit.Redis)}
	defer s.probe.Close()
	s.served()
	s.load = testkit.StartLoad(t, proxy, 92, time.Duration(times(5, 40))*time.Millisecond, true)
	s.goOn()
	events := []event[*testkit.Server]{
		{"failovers by hand", s.byHand},
		{"killed", s.kill},
		{"stopped", s.pause},
		{"rounds of sentinels", s.endSentinels},
	}
	done := map[string]int{}
	for end, first := time.Now().Add(share(6, 30*time.Second, 0)), true; (first || time.Now().Before(end)) && !t.Failed(); first = false {
		for _, i := range rng.Perm(len(events)) {
			began := time.Now()
			s.asked = w.Sentinels[rng.IntN(3)]
			events[i].do(w.Primary(0))
			done[events[i].name]++
			w.AwaitSettled()
			s.served()
			s.goOn()
			t.Logf("%s: %v", events[i].name, time.Since(began).Round(time.Millisecond))
		}
	}
	r := &row{piece: "sentinels", what: told(events, done)}
	r.endLoad(t, s.load)
}

// An event is something that is done to servers under a load.
type event[At any] struct {
	name string
	do   func(At)
}

// told says how often each event was.
func told[At any](events []event[At], done map[string]int) string {
	all := make([]string, len(events))
	for i, e := range events {
		all[i] = fmt.Sprintf("%d %s", done[e.name], e.name)
	}
	return strings.Join(all, ", ")
}

// endLoad ends the load, and puts what it has seen into the row, which is kept.
func (r *row) endLoad(t *testing.T, load *testkit.Load) {
	t.Helper()
	r.saw(load.End())
	r.notes = fmt.Sprintf("%d transactions, %d elements, %d messages, %d rounds confirmed",
		load.Transactions.Load(), load.Elements.Load(), load.Messages.Load(), load.Crowd.Confirmed.Load())
	if load.Crowd.Confirmed.Load() == 0 || load.Confirmed.Load() == 0 || load.Elements.Load() == 0 || load.Messages.Load() == 0 {
		t.Errorf("some clients were not served, or no replica has confirmed anything: %s", r.notes)
	}
	t.Cleanup(func() { r.keep(t) })
}
