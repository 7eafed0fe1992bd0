package soak

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"nuthatch/internal/testkit"
)

// A rack notes how long threads wait, ready to run, for a CPU: the proxy's, and
// those of the test itself. That is what the machine, and not the proxy, makes
// clients wait.
type rack struct {
	pids    []int
	stop    chan struct{}
	running sync.WaitGroup
	looks   []look
}

// A look is how long each thread had waited up to a moment, by the file that tells
// it, for each process.
type look struct {
	at     time.Time
	waited []map[string]time.Duration
}

// glance is how often a rack looks.
const glance = 10 * time.Millisecond

func (s *stage) startRack() *rack {
	r := &rack{pids: []int{s.proxy.Pid(), os.Getpid()}, stop: make(chan struct{})}
	r.running.Go(func() {
		for {
			r.look()
			select {
			case <-r.stop:
				return
			case <-time.After(glance):
			}
		}
	})
	return r
}

// look reads how long each thread has waited, in nanoseconds: the second number of
// its schedstat.
func (r *rack) look() {
	l := look{at: time.Now()}
	for _, pid := range r.pids {
		waited := map[string]time.Duration{}
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid)) // the pattern is a good one
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err != nil {
				continue // the thread has ended
			}
			var ran, delay int64
			if _, err := fmt.Sscan(string(b), &ran, &delay); err == nil {
				waited[name] = time.Duration(delay)
			}
		}
		l.waited = append(l.waited, waited)
	}
	r.looks = append(r.looks, l)
}

func (r *rack) end() {
	close(r.stop)
	r.running.Wait()
}

// waited is how long, between two times or a little more, the proxy and the test
// were kept from running: of each process the thread that waited longest.
func (r *rack) waited(from, to time.Time) time.Duration {
	first, last := 0, len(r.looks)-1
	for i, l := range r.looks {
		if l.at.Before(from) {
			first = i
		}
	}
	for i := last; i > first && r.looks[i].at.After(to); i-- {
		last = i
	}
	sum := time.Duration(0)
	for i := range r.pids {
		most := time.Duration(0)
		for name, after := range r.looks[last].waited[i] {
			if before, known := r.looks[first].waited[i][name]; known {
				most = max(most, after-before)
			}
		}
		sum += most
	}
	return sum
}

// beyond returns the rounds that took longer than the limit and what the machine is
// to answer for.
func (r *rack) beyond(limit time.Duration, rounds []testkit.Round) (late []testkit.Round) {
	for _, round := range rounds {
		if round.Took > limit+r.waited(round.Began, round.Began.Add(round.Took)) {
			late = append(late, round)
		}
	}
	return late
}
