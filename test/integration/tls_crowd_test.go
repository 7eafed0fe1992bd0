package integration

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/testkit"
)

// crowdEnv is how many clients connect at once.
const crowdEnv = "NUTHATCH_CROWD"

// tlsCrowd is how many clients come: 1,000, or 10,000 in a long run, or as many as there are
// descriptors for.
func tlsCrowd(t *testing.T) int {
	t.Helper()
	if text := os.Getenv(crowdEnv); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if os.Getenv(longEnv) == "" {
		return 1_000
	}
	var room unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &room); err != nil {
		t.Fatal(err)
	}
	return int(min(10_000, room.Cur-min(room.Cur, 500)))
}

// A crowdStage is a proxy with one port for clients with TLS and one for others.
type crowdStage struct {
	proxy          *testkit.Proxy
	server         *testkit.Server
	secured, admin string
	conf           *tls.Config
}

// newCrowdStage starts one with lines added to the process.
func newCrowdStage(t *testing.T, process string) *crowdStage {
	t.Helper()
	a := testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	s := &crowdStage{server: testkit.StartRedis(t), secured: testkit.FreeAddr(t), admin: testkit.FreeAddr(t)}
	s.conf = &tls.Config{RootCAs: a.Roots(), ServerName: "localhost", DynamicRecordSizingDisabled: true}
	s.proxy = testkit.StartNuthatch(t, testkit.Pool{
		Protocol: testkit.Redis, Servers: testkit.Names(s.server),
		Lines: []string{"backlog: 20000", "tls: {cert: " + cert + ", key: " + key + ", listen: \"" + s.secured + "\"}"},
	}.String()+"nuthatch:\n  threads: 1\n  turn_times: true\n  admin: "+s.admin+"\n"+process)
	s.awaitCall(t, "the port with TLS")
	return s
}

// awaitCall waits until a call has been served. On a busy machine one may be late.
func (s *crowdStage) awaitCall(t *testing.T, what string) {
	t.Helper()
	testkit.Await(t, what, func() error {
		conn, err := s.call(s.conf, ping, pong)
		if conn != nil {
			_ = conn.Close()
		}
		return err
	})
}

// gauge is a number that the proxy tells, which may have a fraction.
func (s *crowdStage) gauge(t *testing.T, name string) (sum float64) {
	t.Helper()
	for line := range strings.SplitSeq(metricsText(t, s.admin), "\n") {
		if words := strings.Fields(line); len(words) == 2 && (words[0] == name || strings.HasPrefix(words[0], name+"{")) {
			v, err := strconv.ParseFloat(words[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}

// patient is how long a client waits for what the proxy does at once: as long as it takes on a busy
// machine.
const patient = 2 * time.Minute

// call connects with TLS, and sends a request to which the reply is right.
func (s *crowdStage) call(conf *tls.Config, request, reply string) (conn *tls.Conn, err error) {
	return s.callWithin(patient, conf, request, reply)
}

// callWithin is call with a bound on how long it may take.
func (s *crowdStage) callWithin(d time.Duration, conf *tls.Config, request, reply string) (conn *tls.Conn, err error) {
	until := time.Now().Add(d)
	if conn, err = tls.DialWithDialer(&net.Dialer{Deadline: until}, "tcp", s.secured, conf); err != nil {
		return nil, err
	}
	return conn, exchange(conn, until, request, reply)
}

// exchange sends a request to which the reply is right.
func exchange(conn net.Conn, until time.Time, request, reply string) error {
	_ = conn.SetDeadline(until)
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	got := make([]byte, len(reply))
	if n, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, []byte(reply)) {
		return fmt.Errorf("the reply is %.60q (%w)", got[:n], err)
	}
	return nil
}

const (
	ping, pong = "PING\r\n", "+PONG\r\n"
	// crowdShakes is how many handshakes are under way at a time, and crowdBeside is more
	// than what other goroutines the proxy has, those that scrape it included.
	crowdShakes, crowdBeside = 64, 100
)

// Many clients that connect at once are each served, or closed with a reason in time, and
// a client that was there before goes on. How long its requests take is told, and what its
// server alone takes.
func TestTLSCrowd(t *testing.T) {
	n := tlsCrowd(t)
	for name, timeout := range map[string]time.Duration{"time enough": 100 * time.Second, "too little time": 300 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			s := newCrowdStage(t, fmt.Sprintf("  tls_handshakes: %d\n  tls_handshake_timeout: %dms\n", crowdShakes, timeout.Milliseconds()))
			testkit.Await(t, "that the first one is counted", func() error {
				if n := metric(t, s.admin, "nuthatch_client_tls_handshakes_total"); n == 0 {
					return errors.New("no handshake is")
				}
				return nil
			})
			count := func(what string) int64 { return metric(t, s.admin, "nuthatch_client_tls_"+what+"_total") }
			// The calls that found the port may have been late, too.
			made0, failed0, late0 := count("handshakes"), count("failures"), count("late")
			watch := testkit.StartStopwatch(t, s.proxy.Addr(), s.server.Addr())
			watch.Lap()
			served, closed, goroutines, took := s.comeAll(t, n, timeout+patient)
			times := watch.Lap()
			t.Logf("%d served, %d closed, in %v; %.0f goroutines at the most; the longest turn took %v; a client without TLS: %v; its server alone: %v",
				served, closed, took, goroutines, time.Duration(s.gauge(t, "nuthatch_loop_longest_turn_seconds")*float64(time.Second)), times[0], times[1])
			s.proxy.AwaitStat(1, "alpha", "client_connections") // the stopwatch
			testkit.Await(t, "that all are counted", func() error {
				if made, failed, late := count("handshakes")-made0, count("failures")-failed0, count("late")-late0; made != served || failed != closed || late != closed || made+failed != int64(n) {
					return fmt.Errorf("%d are served and %d closed; the proxy counts %d handshakes, %d failures, %d of them late", served, closed, made, failed, late)
				}
				return nil
			})
			if name == "time enough" && (closed > 0 || goroutines > crowdShakes+crowdBeside) {
				t.Errorf("%d were closed, and there were %.0f goroutines", closed, goroutines)
			}
			s.awaitCall(t, "another one behind them")
		})
	}
}

// comeAll has n clients come at once, each of which asks once, and tells how many were served,
// how many closed before they were, and how many goroutines the proxy had at the most. Each must be
// the one or the other within a time.
func (s *crowdStage) comeAll(t *testing.T, n int, within time.Duration) (served, closed int64, goroutines float64, took time.Duration) {
	t.Helper()
	ends := make([]error, n)
	times := make([]time.Duration, n)
	var crowd sync.WaitGroup
	begun := time.Now()
	for i := range n {
		crowd.Go(func() {
			conn, err := s.callWithin(within, s.conf, ping, pong)
			if conn != nil {
				defer conn.Close()
			}
			ends[i], times[i] = err, time.Since(begun)
		})
	}
	over := make(chan struct{})
	go func() {
		crowd.Wait()
		close(over)
	}()
	for {
		goroutines = max(goroutines, s.gauge(t, "go_goroutines"))
		select {
		case <-over:
			took = time.Since(begun)
			served, closed = howTheyEnded(t, ends)
			t.Logf("the last of them ended after %v", slices.Max(times))
			return served, closed, goroutines, took
		case <-time.After(20 * time.Millisecond): // between two looks
		}
	}
}

// howTheyEnded counts clients that were served and that were closed, and fails for each that was
// neither.
func howTheyEnded(t *testing.T, ends []error) (served, closed int64) {
	t.Helper()
	alerts := 0
	for i, err := range ends {
		op, isOp := errors.AsType[*net.OpError](err)
		switch {
		case err == nil:
			served++
		case isOp && op.Op == "remote error": // crypto/tls calls an alert so
			alerts++
			closed++
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
			closed++
		default:
			t.Errorf("client %d is neither served nor closed: %v", i, err)
		}
	}
	t.Logf("of %d that were closed %d got an alert", closed, alerts)
	return served, closed
}

// liveHeap is how many bytes are alive in the proxy's heap, after a collection.
func (s *crowdStage) liveHeap(t *testing.T) (bytes float64) {
	t.Helper()
	for range 2 { // what has finalizers goes with the second one
		answer, err := http.Get("http://" + s.admin + "/debug/pprof/heap?gc=1")
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("no collection: %s", answer.Status)
		}
	}
	return s.gauge(t, "go_memstats_heap_alloc_bytes")
}

// What idle clients with TLS take is bounded, and in the account of memory, whether they have
// resumed a session or not, and have sent small records or large ones. What is resident is near it.
func TestTLSIdleMemory(t *testing.T) {
	n := tlsCrowd(t)
	large := strings.Repeat("v", 16<<10-len("*2\r\n$4\r\nECHO\r\n$16347\r\n\r\n"))
	for _, of := range []struct {
		name, request, reply string
		resumes              bool
		least, most, alive   float64
	}{
		{"full", ping, pong, false, 8 << 10, 11 << 10, 10 << 10},
		{"resumed", ping, pong, true, 8 << 10, 11 << 10, 10 << 10},
		{"large records", string(testkit.RESP("ECHO", large)), testkit.Bulk(large), false, 24 << 10, 28 << 10, 28 << 10},
	} {
		t.Run(of.name, func(t *testing.T) {
			s := newCrowdStage(t, "  max_memory: 2gb\n  admin_pprof: true\n")
			conf := s.conf.Clone()
			if of.resumes {
				conf.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			}
			first, err := s.call(conf, of.request, of.reply)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = first.Close() })
			before, held, resident := s.liveHeap(t), s.gauge(t, "nuthatch_memory_held_bytes"), s.proxy.RSS()
			conns := make([]*tls.Conn, n)
			errs := make([]error, 8)
			var comers sync.WaitGroup
			for k := range errs {
				comers.Go(func() {
					for i := k; i < n && errs[k] == nil; i += len(errs) {
						conns[i], errs[k] = s.call(conf, of.request, of.reply)
					}
				})
			}
			comers.Wait()
			t.Cleanup(func() {
				for _, c := range conns {
					if c != nil {
						_ = c.Close()
					}
				}
			})
			for _, err := range errs {
				if err != nil {
					t.Fatal(err)
				}
			}
			if of.resumes && !conns[n-1].ConnectionState().DidResume {
				t.Error("sessions are not resumed")
			}
			each := (s.gauge(t, "nuthatch_memory_held_bytes") - held) / float64(n)
			taken := s.proxy.RSS() - resident
			t.Logf("%d clients: each is counted for %.0f bytes, and has %d resident", n, each, taken/int64(n))
			testkit.Await(t, "that what is alive is within the bound", func() error { // beside the garbage of the question itself
				if alive := (s.liveHeap(t) - before) / float64(n); alive > min(of.alive, each) {
					return fmt.Errorf("a client has %.0f bytes alive in the heap, want at most %.0f; it is counted for %.0f", alive, of.alive, each)
				}
				return nil
			})
			if each < of.least || each > of.most {
				t.Errorf("a client is counted for %.0f bytes, want %.0f to %.0f", each, of.least, of.most)
			}
			if bound := int64(2*each)*int64(n) + 32<<20; taken > bound {
				t.Errorf("%d clients have %d bytes resident, more than %d", n, taken, bound)
			}
		})
	}
}
