package integration

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// TestFloodedAdminListener: whatever comes to the admin listener, clients of the
// pools are served, and afterwards so are those of the listener.
func TestFloodedAdminListener(t *testing.T) {
	t.Parallel()
	servers := []*testkit.Server{testkit.StartRedis(t), testkit.StartRedis(t)}
	text, c := withAdmin(t, testkit.Pool{Name: "alpha", Protocol: testkit.Redis, Servers: testkit.Names(servers...)}.String())
	p := testkit.StartNuthatch(t, text)
	crowd := testkit.Traffic{Protocol: testkit.Redis, Addr: p.Addrs[0], Clients: 20, Round: 20, Seed: 2}.Start(t)
	crowd.AwaitMore(&crowd.Served, 1000)

	// Far more than are served at a time, half of them silent and half of them in
	// the middle of a request for ever.
	var slow []net.Conn
	for i := range 500 {
		conn, err := net.DialTimeout("tcp", c.addr, 500*time.Millisecond)
		if err != nil {
			break // the backlog is full, as is meant
		}
		slow = append(slow, conn)
		if i%2 == 0 {
			_, _ = io.WriteString(conn, "GET /api/v1/pools HTTP/1.1\r\nHost: localhost\r\nX-Slow: ") // may be refused
		}
	}
	crowd.AwaitMore(&crowd.Served, 5000)
	for _, conn := range slow {
		conn.Close()
	}
	bad := []string{
		"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n", "\x00\x01\x02\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "*1\r\n$4\r\nPING\r\n",
		"GET /" + strings.Repeat("x", 100_000) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"POST /api/v1/preview HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/yaml\r\nContent-Length: 99999999999\r\n\r\nx",
		"POST /api/v1/drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
		"GET /api/v1/info HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	}
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for _, request := range bad {
				sendBad(t, c.addr, request)
			}
		})
	}
	running.Wait()
	crowd.AwaitMore(&crowd.Served, 5000)
	testkit.Await(t, "the admin listener to answer", func() error {
		if out, status := c.run("ready"); status != 0 {
			return errors.New(out)
		}
		return nil
	})
	if seen := crowd.Stop(); seen.Failed != 0 {
		t.Errorf("%d requests failed: %s", seen.Failed, seen.ErrorTexts())
	}
}

// sendBad sends what is no good request, and fails if it is answered as one.
func sendBad(t *testing.T, addr, request string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Error(err)
		return
	}
	_, _ = io.WriteString(conn, request) // may be cut short
	if half, ok := conn.(*net.TCPConn); ok {
		_ = half.CloseWrite() // the other side may have closed already
	}
	head := make([]byte, len("HTTP/1.1 200"))
	if n, _ := io.ReadFull(conn, head); n > 0 && (n < len(head) || head[9] != '4' && head[9] != '5') {
		t.Errorf("%.40q is answered %q", request, head[:n])
	}
}

// scrapeEnv has TestScrapingCosts measure for so long.
const scrapeEnv = "NUTHATCH_SCRAPE_SECONDS"

// TestScrapingCosts measures, and tells, what it costs the data path when
// everything is asked for once a second, in turns with and without. It asserts
// that all is answered, and no speed.
func TestScrapingCosts(t *testing.T) {
	seconds := 1
	if text := os.Getenv(scrapeEnv); text != "" {
		if _, err := fmt.Sscan(text, &seconds); err != nil {
			t.Fatalf("%s: %v", scrapeEnv, err)
		}
	} else {
		t.Parallel()
	}
	servers := []*testkit.Server{testkit.StartRedis(t), testkit.StartRedis(t)}
	text, c := withAdmin(t, testkit.Pool{Name: "alpha", Protocol: testkit.Redis, Servers: testkit.Names(servers...)}.String())
	p := testkit.StartNuthatch(t, text)
	crowd := testkit.Traffic{Protocol: testkit.Redis, Addr: p.Addrs[0], Clients: 200, Round: 32, Seed: 3}.Start(t)
	crowd.AwaitMore(&crowd.Served, 5000)
	var quiet, asked int64
	for turn := range 2 * seconds {
		before := crowd.Served.Load()
		done := time.After(time.Second)
		if turn%2 == 1 {
			for _, path := range []string{"/metrics", "/api/v1/pools", "/api/v1/info", "/api/v1/hotkeys", "/api/v1/slowlog"} {
				fetch(t, "http://"+c.addr+path)
			}
		}
		<-done
		if turn%2 == 1 {
			asked += crowd.Served.Load() - before
		} else {
			quiet += crowd.Served.Load() - before
		}
	}
	crowd.Stop()
	t.Logf("%d requests a second without, %d with a scrape of everything each second: %+.2f%%",
		quiet/int64(seconds), asked/int64(seconds), 100*(float64(asked)/float64(quiet)-1))
}

func fetch(t *testing.T, url string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("GET %s: status %d, %v", url, answer.StatusCode, err)
	}
}
