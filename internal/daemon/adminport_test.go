package daemon

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/testkit"
)

// status asks an admin listener, and returns 0 if nobody answers.
func status(t *testing.T, addr, token string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/api/v1/info", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

// awaitNobody waits until nobody answers at an address that was left.
func awaitNobody(t *testing.T, addr string) {
	t.Helper()
	testkit.Await(t, "nobody to answer at "+addr, func() error {
		if got := status(t, addr, ""); got != 0 {
			return fmt.Errorf("status %d", got)
		}
		return nil
	})
}

// TestReloadOfTheAdminListener: it moves, and its tokens change, without a
// restart; what cannot be is refused as a whole.
func TestReloadOfTheAdminListener(t *testing.T) {
	first, second := testkit.FreeAddr(t), testkit.FreeAddr(t)
	text := pool("alpha", testkit.FreeAddr(t), []string{"127.0.0.1:1:1 a"})
	s := startStageWith(t, text, "  admin: "+first+"\n")
	if got := status(t, first, ""); got != http.StatusOK {
		t.Fatalf("status %d", got)
	}
	s.process = "  admin: " + second + "\n  admin_read_token: one\n"
	s.mustReload(text)
	awaitNobody(t, first)
	if open, right := status(t, second, ""), status(t, second, "one"); open != http.StatusUnauthorized || right != http.StatusOK {
		t.Errorf("at the new address %d without the token and %d with it", open, right)
	}

	token := filepath.Join(t.TempDir(), "token")
	for what, faulty := range map[string]string{
		"a token's file that is not there": "  admin: " + second + "\n  admin_read_token_file: " + token + "\n",
		"an address that is taken":         "  admin: " + testkit.StartRedis(t).Addr() + "\n",
	} {
		s.process = faulty
		s.write(text)
		if _, err := s.Reload("test"); err == nil {
			t.Errorf("%s is accepted", what)
		}
		if got := status(t, second, "one"); got != http.StatusOK {
			t.Errorf("after %s: status %d", what, got)
		}
	}

	if err := os.WriteFile(token, []byte("two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.process = "  admin: " + second + "\n  admin_read_token_file: " + token + "\n"
	s.mustReload(text)
	if old, right := status(t, second, "one"), status(t, second, "two"); old != http.StatusUnauthorized || right != http.StatusOK {
		t.Errorf("the old token %d, the new one %d", old, right)
	}
	s.process = "  admin: off\n"
	s.mustReload(text)
	if s.AdminAddr() != nil {
		t.Errorf("turned off, it listens on %v", s.AdminAddr())
	}
	awaitNobody(t, second)
}

// TestAdminAddressTaken: nobody asked for the default one, so the proxy runs
// without; one that the file names must be free.
func TestAdminAddressTaken(t *testing.T) {
	conf, err := config.Parse("test.yml", []byte(pool("alpha", testkit.FreeAddr(t), []string{"127.0.0.1:1:1 a"})))
	if err != nil {
		t.Fatal(err)
	}
	taken, err := config.ParseListen(testkit.StartRedis(t).Addr())
	if err != nil {
		t.Fatal(err)
	}
	conf.Process.Admin = taken
	for _, written := range []bool{false, true} {
		conf.Process.AdminWritten = written
		log := filepath.Join(t.TempDir(), "log")
		in, err := Start(Options{Program: "nutcracker", Version: "test", Config: conf, LogLevel: 5, LogFile: log})
		if written {
			if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "admin listener") {
				t.Errorf("an address that the file names: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if in.AdminAddr() != nil {
			t.Errorf("it listens on %v", in.AdminAddr())
		}
		in.Stop()
		if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), "no admin listener") {
			t.Errorf("the log does not say so: %s, %v", text, err)
		}
	}
}

// TestDefaultAdminAddressIsAPools: a file for nutcracker that listens where the admin
// listener is by default works as it did there, whoever is told first.
func TestDefaultAdminAddressIsAPools(t *testing.T) {
	listen, stats := testkit.FreeAddr(t), testkit.FreeAddr(t)
	conf, err := config.Parse("test.yml", []byte(pool("alpha", listen, []string{"127.0.0.1:1:1 a"}, "client_connections: 2")))
	if err != nil {
		t.Fatal(err)
	}
	for _, taken := range []string{listen, stats} {
		at, err := config.ParseListen(taken)
		if err != nil {
			t.Fatal(err)
		}
		conf.Process.Admin = at
		statsAt, err := config.ParseListen(stats)
		if err != nil {
			t.Fatal(err)
		}
		log := filepath.Join(t.TempDir(), "log")
		in, err := Start(Options{
			Program: "nutcracker", Version: "test", Config: conf, LogLevel: 5, LogFile: log, StatsAddr: statsAt.Host, StatsPort: statsAt.Port,
		})
		if err != nil {
			t.Fatal(err)
		}
		if in.AdminAddr() != nil {
			t.Errorf("the admin listener is at %v", in.AdminAddr())
		}
		in.Stop()
		text, err := os.ReadFile(log)
		for _, want := range []string{"no admin listener", "configuration: warning", "client_connections"} {
			if err != nil || !strings.Contains(string(text), want) {
				t.Errorf("the log does not say %q: %s, %v", want, text, err)
			}
		}
	}
}
