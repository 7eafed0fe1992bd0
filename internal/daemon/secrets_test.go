package daemon

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/testkit"
)

// Passwords come from files and from the environment; those of servers are not those of
// clients, and clients may send the one from before. None of them is shown anywhere.
func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("NUTHATCH_TEST_PREVIOUS", "s3cret-previous")
	server := testkit.StartRedis(t)
	if got := server.Dial().Do("ACL", "SETUSER", "proxy", "on", ">s3cret-server", "~*", "+@all"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	if got := server.Dial().Do("CONFIG", "SET", "requirepass", "s3cret-others"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	listen, admin := testkit.FreeAddr(t), testkit.FreeAddr(t)
	s := startStageWith(t, pool("alpha", listen, testkit.Names(server),
		"redis_auth_file: "+file("client", " s3cret-client\n"), "redis_auth_previous_env: NUTHATCH_TEST_PREVIOUS",
		"server_user: proxy", "server_password_file: "+file("server", "s3cret-server\n"),
		"health_check: {interval: 20ms, timeout: 5s, fall: 1, rise: 1}"),
		"  admin: "+admin+"\n")
	for password, want := range map[string]string{
		"s3cret-client": "+OK\r\n", "s3cret-previous": "+OK\r\n", "s3cret-server": "-ERR invalid password\r\n", "": "-ERR invalid password\r\n",
	} {
		c := testkit.Dial(t, testkit.Redis, listen)
		if got := c.Do("GET", "k"); got != "-NOAUTH Authentication required\r\n" {
			t.Errorf("before the login: %q", got)
		}
		if got := c.Do("AUTH", password); got != want {
			t.Errorf("AUTH with %q: %q, want %q", password, got, want)
		}
		if want != "+OK\r\n" {
			continue
		}
		if got := c.Do("SET", "k", "v"); got != "+OK\r\n" {
			t.Errorf("SET: %q", got)
		}
		three := testkit.Dial(t, testkit.Redis, listen)
		three.Send(testkit.RESP("HELLO", "3", "AUTH", "default", password))
		if got := three.Reply(); !strings.HasPrefix(got, "%") {
			t.Errorf("HELLO 3 with %q: %q", password, got)
		}
	}
	var shown bytes.Buffer
	for _, path := range []string{"config", "info", "pools", "clients", "events", "slowlog", "preview"} {
		answer, err := http.Get("http://" + admin + "/api/v1/" + path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = shown.ReadFrom(answer.Body)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	fmt.Fprintf(&shown, "%v %+v %#v", s.current.Load().conf, s.current.Load().conf, s.current.Load().conf)
	log, err := os.ReadFile(s.opts.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	if all := shown.String() + string(log); strings.Contains(all, "s3cret") {
		at := strings.Index(all, "s3cret")
		t.Errorf("a secret is shown: %.200q", all[max(0, at-100):])
	}
}

// Secrets that cannot be read keep a proxy from starting, and a reload from happening; the
// error names where they should be.
func TestSecretsMissing(t *testing.T) {
	text := func(lines ...string) string {
		return pool("alpha", testkit.FreeAddr(t), []string{"127.0.0.1:1:1 a"}, lines...)
	}
	s := startStage(t, text())
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"redis_auth_file: /nowhere/at/all":           "redis_auth_file: open /nowhere/at/all",
		"redis_auth_file: " + empty:                  "the file holds no secret",
		"server_password_env: NUTHATCH_TEST_NO_SUCH": "NUTHATCH_TEST_NO_SUCH is not set",
	} {
		s.write(text(line))
		if _, err := s.Reload("test"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
		conf, err := config.Load(s.file)
		if err != nil {
			t.Fatal(err)
		}
		if found := Check(Options{Config: conf}, true); len(found) == 0 || !strings.Contains(found[0].Err.Error(), want) {
			t.Errorf("-t of %s: %v", line, found)
		}
	}
}

// A server's password changes under traffic, as OPERATIONS.md says: the server accepts both,
// a reload has new connections log in with the new one, the server forgets the old one. No
// request is lost.
func TestServerPasswordChanges(t *testing.T) {
	server := testkit.StartRedis(t, "--requirepass", "one")
	password := filepath.Join(t.TempDir(), "password")
	set := func(text string) {
		t.Helper()
		if err := os.WriteFile(password, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set("one")
	listen := testkit.FreeAddr(t)
	text := pool("alpha", listen, testkit.Names(server), "server_password_file: "+password, "server_connections: 2")
	s := startStage(t, text)
	var over atomic.Bool
	var served [8]atomic.Int64 // by caller
	var callers sync.WaitGroup
	for i := range served {
		c := testkit.Dial(t, testkit.Redis, listen)
		callers.Go(func() {
			for n := 0; !over.Load(); n++ {
				value := fmt.Sprint(n)
				var ask bytes.Buffer
				ask.Write(testkit.RESP("SET", fmt.Sprint("key", i), value))
				ask.Write(testkit.RESP("GET", fmt.Sprint("key", i)))
				err := c.TrySend(ask.Bytes())
				for _, want := range []string{"+OK\r\n", testkit.Bulk(value)} {
					var got []byte
					if err == nil {
						got, err = c.TryReply()
					}
					if err != nil || string(got) != want {
						t.Errorf("%q, %v, want %q", got, err, want)
						return
					}
				}
				served[i].Add(1)
			}
		})
	}
	operator := server.Dial()
	if got := operator.Do("AUTH", "one"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	// allServed waits until nobody waits for an answer to what was asked before.
	allServed := func() {
		t.Helper()
		for i := range served {
			before := served[i].Load()
			awaitTrue(t, "requests", func() bool { return served[i].Load() > before+10 })
		}
	}
	rule := func(rule string) {
		t.Helper()
		if got := operator.Do("ACL", "SETUSER", "default", rule); got != "+OK\r\n" {
			t.Fatal(got)
		}
	}
	last := "one"
	for _, next := range []string{"two", "three"} {
		allServed()
		rule(">" + next)
		set(next)
		change := s.mustReload(text)
		if len(change.Pools) != 1 || len(change.Pools[0].Settings) != 1 || change.Pools[0].Settings[0].Key != "server_password" {
			t.Errorf("the reload tells %+v", change.Pools)
		}
		allServed()
		rule("<" + last)
		last = next
		allServed()
	}
	over.Store(true)
	callers.Wait()
}
