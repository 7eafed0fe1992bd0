package integration

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"nuthatch/internal/testkit"
)

// manyServers are the lines of so many servers, at addresses that nobody has.
func manyServers(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("10.%d.%d.%d:6379:1 server%d", i>>16, i>>8&255, i&255, i)
	}
	return lines
}

// TestMemoryOfAdminAnswers: however much is asked of the admin listener at a time,
// and however large a configuration is to be previewed, memory stays within its
// bound. What does not fit is refused, with a reason.
func TestMemoryOfAdminAnswers(t *testing.T) {
	pool := testkit.Pool{Name: "alpha", Protocol: testkit.Redis, Servers: manyServers(500)}
	addr := testkit.FreeAddr(t)
	p := testkit.StartNuthatch(t, pool.String()+fmt.Sprintf("\nnuthatch:\n  threads: 2\n  max_memory: 64mb\n  admin: %s\n", addr))
	large := testkit.Pool{Name: "alpha", Listen: "127.0.0.1:1", Protocol: testkit.Redis, Servers: manyServers(60_000)}.String()
	var asking sync.WaitGroup
	ask := func(method, path, body string) (status int, text string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		r.Header.Set("Content-Type", "application/yaml")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Error(err)
		}
		return answer.StatusCode, string(b)
	}
	paths := []string{"/metrics", "/api/v1/pools", "/api/v1/servers", "/api/v1/where?key=a"}
	for _, path := range paths {
		if status, text := ask(http.MethodGet, path, ""); status != http.StatusOK {
			t.Errorf("%s alone: status %d: %.200s", path, status, text)
		}
	}
	for _, path := range paths {
		for range 15 {
			asking.Go(func() {
				if status, text := ask(http.MethodGet, path, ""); status != http.StatusOK && status != http.StatusServiceUnavailable {
					t.Errorf("%s: status %d: %.200s", path, status, text)
				}
			})
		}
	}
	for range 4 {
		asking.Go(func() {
			status, text := ask(http.MethodPost, "/api/v1/preview", large)
			if status != http.StatusInsufficientStorage || !strings.Contains(text, "max_memory") {
				t.Errorf("a preview of %d bytes: status %d: %.200s", len(large), status, text)
			}
		})
	}
	asking.Wait()
	got := peak(t, p.Process)
	t.Logf("peak %d MB", got>>20)
	if got > peakMemory {
		t.Errorf("%d bytes were resident, the bound is %d", got, peakMemory)
	}
}
