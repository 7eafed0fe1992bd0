package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"nuthatch/internal/config"
)

// Answers that are under way never have more together than the bound; who comes
// when there is no room waits, and is told so when it has waited long enough.
func TestAnswersShareABudget(t *testing.T) {
	const bound, size = 10 << 20, 3 << 20
	in := newInstance(t)
	in.memory = bound
	h := &handler{HTTPOptions: HTTPOptions{Instance: in}, budget: NewBudget(in.AnswerMemory)}
	var (
		mu        sync.Mutex
		now, most int
	)
	count := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		now += n
		most = max(most, now)
	}
	several := make(chan struct{}) // closed when as many have come as there is room for
	come := sync.OnceFunc(func() { close(several) })
	answers := h.counted(func(*config.Config, *http.Request) int64 { return size }, func(w http.ResponseWriter, _ *http.Request) {
		count(1)
		if mu.Lock(); now == bound/size {
			come()
		}
		mu.Unlock()
		<-several
		count(-1)
		w.WriteHeader(http.StatusOK)
	})
	var asking sync.WaitGroup
	for range 4 * bound / size {
		asking.Go(func() {
			w := httptest.NewRecorder()
			answers(w, httptest.NewRequest(http.MethodGet, "/", nil))
			if w.Code != http.StatusOK {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
		})
	}
	asking.Wait()
	if most != bound/size {
		t.Errorf("%d answers were under way at the most, want %d", most, bound/size)
	}
	if err := h.budget.take(t.Context(), bound); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.budget.take(gone, 1); !errors.Is(err, ErrCrowded) {
		t.Errorf("without room: %v", err)
	}
	waits := make(chan error)
	go func() { waits <- h.budget.take(t.Context(), bound) }()
	h.budget.give(bound)
	if err := <-waits; err != nil {
		t.Errorf("with room again: %v", err)
	}
	if err := h.budget.take(t.Context(), bound+1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than there is: %v", err)
	}
}

// What grows with the configuration is refused before it is made, in words that
// name the bound, and what does not is answered.
func TestAnswersTooLarge(t *testing.T) {
	const servers = 2000
	in := newInstance(t)
	var text strings.Builder
	text.WriteString("alpha:\n  listen: 127.0.0.1:1\n  servers:\n")
	for i := range servers {
		fmt.Fprintf(&text, "    - 10.0.%d.%d:11211:1 s%d\n", i/250, i%250, i)
	}
	large, err := config.Parse("large.yml", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	in.conf, in.memory = large, 1<<20
	loopback := config.Address{Network: config.NetworkTCP, Host: "127.0.0.1", Port: 22223}
	s := listenAt(t, loopback, in)
	for _, path := range []string{"/metrics", "/api/v1/pools", "/api/v1/servers", "/api/v1/latency", "/api/v1/config", "/api/v1/where?key=a"} {
		status, _, body := s.do(http.MethodGet, path, "")
		if status != http.StatusInsufficientStorage || !strings.Contains(body, "all answers together may take 1048576, a quarter of max_memory") {
			t.Errorf("%s: status %d: %.200s", path, status, body)
		}
	}
	if status, _, text := s.do(http.MethodPost, "/api/v1/preview", text.String()); status != http.StatusInsufficientStorage {
		t.Errorf("a preview: status %d: %.200s", status, text)
	}
	if status, _, text := s.do(http.MethodPost, "/api/v1/preview", ""); status != http.StatusOK {
		t.Errorf("a preview of what is in force: status %d: %.200s", status, text)
	}
	for _, path := range []string{"/healthz", "/api/v1/fields", "/api/v1/clients", "/api/v1/slowlog"} {
		if status, _, body := s.do(http.MethodGet, path, ""); status != http.StatusOK {
			t.Errorf("%s: status %d: %s", path, status, body)
		}
	}
}
