package integration

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"nuthatch/internal/testkit"
)

// TestDrainUnderLoad: SIGTERM under load answers every request that was
// accepted. Each client sends its requests in groups, one write each: of a group
// all are answered, or, if it came too late, none.
func TestDrainUnderLoad(t *testing.T) {
	t.Parallel()
	s := redisStage(t)
	var served atomic.Int64
	var running sync.WaitGroup
	group := []byte(strings.Repeat(string(testkit.RESP("SET", "k", "v")), 20))
	for i := range 100 {
		client := s.proxy.Dial(testkit.Redis)
		size := 20
		request := group
		if i%2 == 0 { // without a pipeline
			size, request = 1, testkit.RESP("GET", fmt.Sprint(i))
		}
		running.Go(func() {
			for {
				if err := client.TrySend(request); err != nil {
					return // it came too late
				}
				for n := range size {
					_, err := client.TryReply()
					switch {
					case err == nil:
						served.Add(1)
					case n > 0:
						t.Errorf("client %d: %d of %d requests were answered: %v", i, n, size, err)
						return
					case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
						return
					default:
						t.Errorf("client %d: %v", i, err)
						return
					}
				}
			}
		})
	}
	awaitMore(t, &served, 20_000)
	drains(t, s.proxy)
	running.Wait()
}

// drains has the proxy drain, and end with success.
func drains(t *testing.T, p *testkit.Proxy) {
	t.Helper()
	p.Signal(syscall.SIGTERM)
	if state := p.Wait(); !state.Success() {
		t.Errorf("it ended with %v", state)
	}
}

// TestEndAtOnce: without clients SIGTERM waits for nothing; with clients a second
// signal does not wait for them, nor does SIGINT.
func TestEndAtOnce(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	pool := testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(server)}.String() + "nuthatch:\n  drain_timeout: 1h\n"
	for _, signals := range [][]syscall.Signal{{syscall.SIGTERM, syscall.SIGTERM}, {syscall.SIGTERM, syscall.SIGINT}, {syscall.SIGINT}} {
		p := testkit.StartNuthatch(t, pool)
		client := p.Dial(testkit.Redis)
		client.Do("PING")
		half := testkit.RESP("GET", "k")
		client.Send(half[:7]) // would hold up a drain for ever
		for i, s := range signals {
			p.Signal(s)
			if i == 0 && s == syscall.SIGTERM {
				awaitLogged(t, p, 1, "draining")
			}
		}
		if state := p.Wait(); !state.Success() {
			t.Errorf("%v: it ended with %v", signals, state)
		}
	}
	p := testkit.StartNuthatch(t, pool)
	p.Signal(syscall.SIGTERM)
	p.Wait()
}
