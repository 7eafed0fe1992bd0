package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A proxy whose file has got a fault is asked all the same, and told to reload, which it refuses.
// If it does not answer, that is said, and the exit status is that of no answer.
func TestCtlWithAFaultyFile(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", t.TempDir())
	file := filepath.Join(t.TempDir(), "n.yml")
	reloads := 0
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/info", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"program": "nuthatch", "config_file": %q}`, file)
	})
	mux.HandleFunc("GET /api/v1/findings", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"findings": [{"kind": "reload_refused", "text": "the last reload was refused"}]}`)
	})
	mux.HandleFunc("GET /api/v1/events", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"events": []}`) })
	mux.HandleFunc("POST /api/v1/reload", func(w http.ResponseWriter, _ *http.Request) {
		reloads++
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"error": "refused: first of all", "reasons": ["first of all", "second"]}`)
	})
	proxy := httptest.NewServer(mux)
	t.Cleanup(proxy.Close)
	pool := "alpha:\n  listen: 127.0.0.1:1\n  timeout: 400xs\n  redis: maybe\n  servers:\n    - 127.0.0.1:2:1\n"
	text := "nuthatch:\n  admin: " + strings.TrimPrefix(proxy.URL, "http://") + "\n" + pool
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ask := func(command string, status int, out, errOut string) {
		t.Helper()
		var stdout, stderr strings.Builder
		got := runCtl([]string{"-c", file, command}, &stdout, &stderr)
		warned, said, _ := strings.Cut(stderr.String(), "\n")
		if got != status || !strings.Contains(stdout.String(), out) || !strings.Contains(said, errOut) ||
			!strings.Contains(warned, "the file has a fault") || !strings.Contains(warned, "n.yml:5") || !strings.HasSuffix(warned, "(and 1 more)") {
			t.Errorf("%s: status %d, %s\n%s", command, got, stdout.String(), stderr.String())
		}
	}
	ask("status", 0, "the last reload was refused", "")
	ask("reload", exitFailure, "", "first of all\nsecond")
	if reloads != 1 {
		t.Errorf("the proxy was told to reload %d times", reloads)
	}
	proxy.Close()
	ask("status", exitNoAnswer, "", "the proxy may still run, with what the file said before: use -a")
}
