package proxy_test

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/proxy"
)

// countingServer answers each request of the given length with the reply.
func countingServer(l net.Listener, length int, reply string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			buf, out := make([]byte, 256<<10), []byte(strings.Repeat(reply, 256<<10/length+1))
			rest := 0
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				rest += n
				if _, err := c.Write(out[:rest/length*len(reply)]); err != nil {
					return
				}
				rest %= length
			}
		}()
	}
}

// loopTime is the processor time that the loop's thread has used, in
// nanoseconds.
func (r *rig) loopTime() (ns int64) {
	r.on(0, func(*proxy.Context) {
		var t unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
			r.t.Error(err)
		}
		ns = t.Nano()
	})
	return ns
}

// BenchmarkForward is the whole way of a GET through the proxy and of its reply
// back, for 32 clients. What counts is the processor time of the event loop's
// thread, kernel included, "loop-ns/req"; the rest is the test's own clients and
// server.
//
// The measurements are off and on in turn, a few thousand requests each: "off" and
// "on" are the medians of these, and "cost-%" is the median of how much each more
// than the one before it took.
func BenchmarkForward(b *testing.B) {
	for _, pipeline := range []int{1, 16, 100} {
		for _, words := range [][]string{{"GET"}, {"GET", "TTL", "TYPE"}} {
			b.Run(fmt.Sprintf("pipeline=%d/commands=%d", pipeline, len(words)), func(b *testing.B) {
				forward(b, pipeline, words)
			})
		}
	}
}

// allMeasures is the default of a proxy.
func allMeasures() proxy.Measures {
	return proxy.Measures{Latency: true, HotKeys: true, SlowLog: true, SlowerThan: 10 * time.Millisecond}
}

// forward has the commands take turns. All are as long as the servers take them to
// be.
func forward(b *testing.B, pipeline int, words []string) {
	const clients, block = 32, 8000
	var request []byte
	for i := range pipeline {
		word := words[i%len(words)]
		request = append(request, command(word, "some:key:0001:"[:14-len(word)])...)
	}
	reply := bulk("value")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go countingServer(l, len(request)/pipeline, reply)
	r := startRig(b, "nuthatch: {threads: 1}\nalpha:\n  listen: %s\n  redis: true\n  timeout: 5000\n  servers:\n  - "+
		l.Addr().String()+":1 s1\n")
	users := make([]io.ReadWriter, clients)
	for i := range users {
		users[i] = r.dial()
	}
	got := make([]byte, len(reply)*pipeline)
	rounds := max(block/clients/pipeline, 10)
	// run is the loop's time for a block of requests, in nanoseconds for each.
	run := func(m proxy.Measures) float64 {
		r.on(0, func(ctx *proxy.Context) { ctx.SetMeasures(m) })
		before := r.loopTime()
		for range rounds {
			for _, u := range users {
				if _, err := u.Write(request); err != nil {
					b.Fatal(err)
				}
			}
			for _, u := range users {
				if _, err := io.ReadFull(u, got); err != nil {
					b.Fatal(err)
				}
			}
		}
		return float64(r.loopTime()-before) / float64(rounds*clients*pipeline)
	}
	all := allMeasures()
	run(all)
	var off, on, cost []float64
	for b.Loop() {
		x, y := run(proxy.Measures{}), run(all)
		off, on, cost = append(off, x), append(on, y), append(cost, 100*(y/x-1))
	}
	b.ReportMetric(median(off), "off-loop-ns/req")
	b.ReportMetric(median(on), "on-loop-ns/req")
	b.ReportMetric(median(cost), "cost-%")
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
