package soak

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"nuthatch/internal/testkit"
)

// calmRatio is how much longer, at the most, the ninety-ninth of a hundred answers
// may take when another server has stopped.
const calmRatio = 1.5

// One of three servers stops: requests for the keys of the other two take as long
// as before. Spells with it and without it take turns, so that what the machine
// does besides falls on both.
func TestIsolation(t *testing.T) {
	s := newStage(t, testkit.Redis, "", fmt.Sprintf("timeout: %d", timeout.Milliseconds()))
	r := &row{piece: "isolation", what: "one of three servers stopped and resumed, keys of the others"}
	s.report(r)
	before := s.left()
	keys := s.keysByServer(300)
	spell := share(1, 5*time.Second, 200*time.Millisecond)
	well, ill := newHistogram(), newHistogram()
	failed := 0
	for range times(6, 2) {
		failed += s.spell(keys, spell, well)
		s.servers[0].Pause()
		failed += s.spell(keys, spell, ill)
		s.servers[0].Resume()
	}
	ratio := float64(ill.ValueAtQuantile(99)) / float64(well.ValueAtQuantile(99))
	r.requests = well.TotalCount() + ill.TotalCount()
	r.p50, r.p99, r.longest = ms(ill.ValueAtQuantile(50)), ms(ill.ValueAtQuantile(99)), ms(ill.Max())
	r.errors = fmt.Sprintf("%d, all of the stopped server", failed)
	r.notes = fmt.Sprintf("p99 %.2f ms before, %.2f ms during: ratio %.2f; p50 %.2f and %.2f",
		ms(well.ValueAtQuantile(99)), r.p99, ratio, ms(well.ValueAtQuantile(50)), r.p50)
	s.awaitLeft(before)
	r.left = "as before"
	if length > 0 && ratio > calmRatio {
		t.Errorf("p99 is %.2f times what it was before", ratio)
	}
	t.Log(r.notes)
}

// keysByServer stores n keys and returns them by the server that has them.
func (s *stage) keysByServer(n int) [][]string {
	s.t.Helper()
	keys := make([][]string, len(s.servers))
	through := s.proxy.Dial(testkit.Redis)
	defer through.Close()
	var direct []*testkit.Client
	for _, server := range s.servers {
		direct = append(direct, server.Dial())
	}
	for i := range n {
		key := fmt.Sprintf("key:%d", i)
		through.Send(testkit.RESP("SET", key, key))
		through.Expect("+OK\r\n")
		for j, c := range direct {
			if c.Do("EXISTS", key) == ":1\r\n" {
				keys[j] = append(keys[j], key)
			}
		}
	}
	for _, c := range direct {
		c.Close()
	}
	return keys
}

// spell has clients ask each server for its keys for a while, and notes how long
// the answers of all but the first server took. It returns how many requests to the
// first one failed.
func (s *stage) spell(keys [][]string, d time.Duration, into *hdrhistogram.Histogram) (failed int) {
	s.t.Helper()
	var running sync.WaitGroup
	var mu sync.Mutex
	end := time.Now().Add(d)
	for i := range 30 {
		c := s.proxy.Dial(testkit.Redis)
		of := i % len(keys)
		running.Go(func() {
			defer c.Close()
			for n := 0; time.Now().Before(end); n++ {
				key := keys[of][n%len(keys[of])]
				began := time.Now()
				err := c.TrySend(testkit.RESP("GET", key))
				var got []byte
				if err == nil {
					got, err = c.TryReply()
				}
				took := time.Since(began).Microseconds()
				mu.Lock()
				switch {
				case err == nil && string(got) == testkit.Bulk(key):
					if of > 0 {
						_ = into.RecordValue(took) // a minute, its highest, is above Patience
					}
				case err == nil && of == 0 && got[0] == '-':
					failed++
				default:
					s.t.Errorf("GET %s of server %d: %q, %v", key, of+1, got, err)
					mu.Unlock()
					return
				}
				mu.Unlock()
				time.Sleep(time.Millisecond)
			}
		})
	}
	running.Wait()
	return failed
}
