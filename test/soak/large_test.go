package soak

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"nuthatch/internal/testkit"
)

// maxTurn is how much processor time, in milliseconds, a turn of a loop may take.
const maxTurn = 5

// Clients send requests of hundreds of thousands of keys, one after the other, while
// others ask for one key at a time. No turn of a loop takes long: how long the others
// wait is compared with what the same load does to a server by itself.
func TestLargeRequests(t *testing.T) {
	s := newStage(t, testkit.Redis, "", "timeout: 30000", "client_max_queued: 256mb")
	alone := testkit.StartRedis(t)
	keys := times(200_000, 20_000)
	r := &row{piece: "large", what: fmt.Sprintf("MSET, MGET, EXISTS and DEL of %d keys, GETs of others", keys)}
	s.report(r)
	before := s.left()
	spell := share(2, 10*time.Second, time.Second)
	// One after the other: the machine may have few processors.
	requests, seen := s.large(s.proxy.Addr(), keys, time.Now().Add(spell))
	_, control := s.large(alone.Addr(), keys, time.Now().Add(spell))
	r.requests = requests
	r.p50, r.p99, r.longest = ms(seen.ValueAtQuantile(50)), ms(seen.ValueAtQuantile(99)), ms(seen.Max())
	r.notes = fmt.Sprintf("GETs beside it %.1f / %.1f / %.1f ms, the same load at one server %.1f / %.1f / %.1f",
		r.p50, r.p99, r.longest, ms(control.ValueAtQuantile(50)), ms(control.ValueAtQuantile(99)), ms(control.Max()))
	s.awaitLeft(before)
	r.left = "as before"
	turn := s.longestTurn()
	if length > 0 && turn > maxTurn {
		t.Errorf("a turn took %.1f ms of processor time, above %d", turn, maxTurn)
	}
	t.Logf("longest turn %.1f ms; %s", turn, r.notes)
}

// large has the address serve requests of so many keys for a while, and tells how
// many it was, and how long others waited for one key meanwhile.
func (s *stage) large(addr string, keys int, until time.Time) (requests int64, waited *hdrhistogram.Histogram) {
	s.t.Helper()
	var read, write []string
	for i := range keys {
		key := fmt.Sprintf("large:%d", i)
		read, write = append(read, key), append(write, key, "v")
	}
	values := fmt.Sprintf("*%d\r\n%s", keys, strings.Repeat("$1\r\nv\r\n", keys))
	number := fmt.Sprintf(":%d\r\n", keys)
	steps := []struct {
		request []byte
		reply   string
	}{
		{testkit.RESP(append([]string{"MSET"}, write...)...), "+OK\r\n"},
		{testkit.RESP(append([]string{"MGET"}, read...)...), values},
		{testkit.RESP(append([]string{"EXISTS"}, read...)...), number},
		{testkit.RESP(append([]string{"DEL"}, read...)...), number},
	}
	others := testkit.Dial(s.t, testkit.Redis, addr)
	defer others.Close()
	waited = newHistogram()
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		request := testkit.RESP("GET", "others")
		for {
			select {
			case <-done:
				return
			case <-time.After(beat):
			}
			began := time.Now()
			if err := others.TrySend(request); err != nil {
				s.t.Error(err)
				return
			}
			if got, err := others.TryReply(); err != nil || string(got) != "$-1\r\n" {
				s.t.Errorf("GET beside large requests: %q, %v", got, err)
				return
			}
			_ = waited.RecordValue(time.Since(began).Microseconds()) // a minute, its highest, is above Patience
		}
	})
	c := testkit.Dial(s.t, testkit.Redis, addr)
	defer c.Close()
	for more := true; more && !s.t.Failed(); more = time.Now().Before(until) {
		for _, step := range steps {
			c.Send(step.request)
			c.Expect(step.reply)
			requests++
		}
	}
	close(done)
	running.Wait()
	return requests, waited
}
