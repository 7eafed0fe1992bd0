package ctl

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/testkit"
)

// A proxy stands in for one: it answers from a table, and notes what it is asked.
type proxy struct {
	answers map[string]string // by method and path
	asked   []string
	head    http.Header // of the last request
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.asked = append(p.asked, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.RequestURI, body)))
	p.head = r.Header
	text, ok := p.answers[r.Method+" "+r.URL.Path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		text = `{"error": "no such pool: \"none\""}`
	}
	if _, err := io.WriteString(w, text); err != nil {
		return // the client has gone
	}
}

const (
	donePage  = `{"done": "resumed"}`
	poolsPage = `{"time": "2026-01-01T00:00:00Z", "pools": [{"name": "alpha", "protocol": "redis", "listen": "127.0.0.1:1",
		"clients": 3, "paused": true, "paused_until": "2026-01-01T00:00:42Z", "paused_by": "admin 1.2.3.4:5", "counters": {"client_requests": 70, "server_ejects": 2, "subscribers": 31, "messages": 32, "subscribers_slow": 33},
		"reasons": {"failed_requests": {"timed_out": 4, "disabled": 1}},
		"latency": {"count": 70, "p50": 0.000123, "p99": 0.0456, "max": 1.5}, "recent": {"window": 10, "requests": 1234.5, "failed": 0.01},
		"servers": [{"name": "a", "state": "up", "error_replies": {"OOM": 790, "ERR": 4}}, {"name": "b", "state": "ejected"}]}]}`
	serversPage = `{"time": "2026-01-01T00:01:30Z", "servers": [{"pool": "alpha", "name": "b", "address": "10.0.0.1:6379",
		"state": "ejected", "since": "2026-01-01T00:00:00Z", "reason": "timed_out", "share": 0.25,
		"counters": {"server_connections": 1, "in_queue": 2, "out_queue": 3, "requests": 4}, "reasons": {},
		"error_replies": {"OOM": 790, "ERR": 4, "NOAUTH": 4, "READONLY": 1, "LOADING": 1},
		"latency": {"count": 70, "p50": 1, "p99": 2, "recent": {"window": 10, "count": 0, "p50": null, "p99": null, "max": null}}}]}`
	clientsPage = `{"total": 9, "clients": [{"id": 7, "pool": "alpha", "address": "1.2.3.4:5", "user": "alice", "name": "\u001b[2Jx", "age": 90, "idle": 3700,
		"blocked": true, "multi": 3, "watched": 2, "listens": 4, "private": 1}]}`
)

const (
	slowPage = `{"entries": [{"id": 1, "time": "2026-01-01T00:00:00Z", "pool": "alpha", "command": "get", "key": "abc", "key_length": 900,
		"duration": 0.003, "queue": 0.001, "server_time": 0.002, "client": "1.2.3.4:5", "error": "timed_out"}]}`
	hotPage = `{"pools": [{"pool": "alpha", "keys": [{"key": "h", "key_length": 1, "rate": 12.34, "error": 1.234, "share": 0.5}],
		"big_requests": [{"key": "r", "key_length": 1, "size": 9000, "command": "set"}], "big_replies": []}]}`
	denialsPage = `{"pools": [{"pool": "alpha", "counts": {"denied_keys": 3}, "waiting": 2, "users": [
		{"user": "alice", "clients": 3, "max_clients": 4, "waiting": 1, "waits": 5, "refused_requests": 6, "refused_clients": 7},
		{"user": "bob", "clients": 2, "in_flight": 7, "max_in_flight": 8}], "records": [
		{"time": "2026-01-01T00:00:00Z", "count": 3, "reason": "key", "context": "multi", "user": "alice", "client": "id=7 addr=1.2.3.4:5 laddr=1.2.3.4:6 fd=8 name=jay age=3 user=alice cmd=get"},
		{"time": "2026-01-01T00:00:00Z", "count": 1, "reason": "command", "context": "toplevel", "object": "\u001b[2Jx", "client": "id=8"}]}]}`
	latencyPage = `{"pools": [{"pool": "alpha", "commands": [{"command": "get", "family": "read", "count": 5, "p50": 0.001}]}]}`
)

func run(t *testing.T, p *proxy, o Options, args ...string) (string, error) {
	t.Helper()
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	c, err := NewClient(Target{Address: server.URL, Token: "t0ken"})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err = Run(t.Context(), c, o, args, &out)
	return out.String(), err
}

// TestTables: what the answers look like to people.
func TestTables(t *testing.T) {
	p := &proxy{answers: map[string]string{
		"GET /api/v1/pools": poolsPage, "GET /api/v1/servers": serversPage, "GET /api/v1/clients": clientsPage,
		"GET /api/v1/slowlog": slowPage, "GET /api/v1/hotkeys": hotPage, "GET /api/v1/latency": latencyPage, "GET /api/v1/denials": denialsPage,
	}}
	for name, want := range map[string][]string{
		"stats":   {"POOL", "alpha  redis", "1/2", "70", " 5 ", "123µs", "45.6ms", "1.5s", "paused for 42s more by admin 1.2.3.4:5", "  1234  ", "  0.1  ", "  794  ", "LISTENERS  MESSAGES  TOO SLOW", "  31 ", "  32 ", "  33 "},
		"servers": {"alpha  b", "ejected  1m30s  timed_out  25.00%  1", "  2 ", "  3 ", "  4 ", "790 OOM, 4 ERR, 4 NOAUTH, 2 more  -    -"},
		"clients": {"7   alpha", "1.2.3.4:5  alice", `"\x1b[2Jx"`, "1m30s", "1h01m", "blocked, multi 3, watch 2, listens 4, private 1", "1 of 9 clients"},
		"slowlog": {"alpha  get      abc... (900 bytes)  3ms   0        1ms    2ms", "timed_out"},
		"hotkeys": {"hot            h    12.3        ±10%    50.0%", "large request  r    -           -       -      9000 B  set"},
		"latency": {"alpha  get      read    5         1ms"},
		"denials": {"alpha  denied keys                        3", "alpha  alice  3 of 4   -          1         5            6                 7", "alpha  bob    2        7 of 8     0", "alpha  clients that wait for a limit now  2", "key (multi)  -           alice  id=7 addr=1.2.3.4:5 name=jay user=alice\n", `"\x1b[2Jx"`},
	} {
		out, err := run(t, p, Options{}, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%s: no %q in\n%s", name, w, out)
			}
		}
	}
	out, err := run(t, p, Options{JSON: true}, "stats")
	if err != nil || out != poolsPage {
		t.Errorf("as JSON: %q and %v, want the answer as it came", out, err)
	}
	if got := p.head.Get("Authorization"); got != "Bearer t0ken" {
		t.Errorf("the token is given as %q", got)
	}
}

// TestOrders: which command asks for what.
func TestOrders(t *testing.T) {
	tests := []struct {
		args    []string
		options Options
		want    string
	}{
		{[]string{"drain"}, Options{}, "POST /api/v1/drain"},
		{[]string{"upgrade"}, Options{}, "POST /api/v1/upgrade"},
		{[]string{"pause", "a/b"}, Options{For: 1500 * time.Millisecond}, `POST /api/v1/pools/a%2Fb/pause {"limit":1.5}`},
		{[]string{"resume", "alpha"}, Options{}, "POST /api/v1/pools/alpha/resume"},
		{[]string{"disable", "alpha", "/run/a.sock:"}, Options{Keys: "fail"}, `POST /api/v1/pools/alpha/servers/%2Frun%2Fa.sock:/disable {"keys":"fail"}`},
		{[]string{"enable", "alpha", "one"}, Options{}, "POST /api/v1/pools/alpha/servers/one/enable"},
		{[]string{"reconnect", "alpha"}, Options{}, "POST /api/v1/pools/alpha/reconnect"},
		{[]string{"reconnect", "alpha", "one"}, Options{}, "POST /api/v1/pools/alpha/servers/one/reconnect"},
		{[]string{"kill", "7"}, Options{}, "POST /api/v1/clients/7/kill"},
		{[]string{"reload"}, Options{}, "POST /api/v1/reload"},
		{[]string{"preview"}, Options{}, "POST /api/v1/preview"},
		{[]string{"where", "k 1", "k2"}, Options{Pool: "alpha"}, "GET /api/v1/where?key=k+1&key=k2&pool=alpha"},
		{[]string{"clients", "alpha"}, Options{Limit: 5}, "GET /api/v1/clients?limit=5&pool=alpha"},
	}
	for _, tt := range tests {
		p := &proxy{}
		_, err := run(t, p, tt.options, tt.args...)
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Status != http.StatusNotFound || !strings.HasSuffix(err.Error(), `no such pool: "none"`) {
			t.Errorf("%v: the refusal is %v", tt.args, err)
		}
		if len(p.asked) != 1 || p.asked[0] != tt.want {
			t.Errorf("%v asks for %q, want %q", tt.args, p.asked, tt.want)
		}
		if p.head.Get("X-Nuthatch-User") == "" {
			t.Errorf("%v does not say who gives the order", tt.args)
		}
	}
}

func TestPreviewOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new.yml")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &proxy{answers: map[string]string{"GET /api/v1/info": `{"program": "nuthatch", "pid": 7, "host": "h", "config_file": "/etc/n.yml"}`, "POST /api/v1/preview": `{"pools": [{"name": "alpha",
		"warnings": [{"what": "hash changes", "instead": "keep it"}]}],
		"not_applied": [{"key": "nuthatch.threads", "old": "1", "new": "2", "why": "it is set at the start"}]}`}}
	for _, asJSON := range []bool{false, true} {
		out, err := run(t, p, Options{JSON: asJSON}, "preview", file)
		if !errors.Is(err, ErrWarned) {
			t.Errorf("the error is %v, want that there are warnings", err)
		}
		if p.asked[0] != "POST /api/v1/preview text" || !strings.Contains(out, "hash changes") || !strings.Contains(out, "nuthatch.threads") {
			t.Errorf("asked %q, and told\n%s", p.asked, out)
		}
		if !asJSON && !strings.Contains(out, "compared with what is in force (process 7 on h, /etc/n.yml)") {
			t.Errorf("it is not told which proxy it was compared with:\n%s", out)
		}
	}
}

// TestReloadNamesWhatIsNotUsed: a reload that leaves certificates as they were says so, and has
// the status of warnings.
func TestReloadNamesWhatIsNotUsed(t *testing.T) {
	p := &proxy{answers: map[string]string{"GET /api/v1/info": `{"program": "nuthatch", "pid": 7, "host": "h", "config_file": "/etc/n.yml"}`, "POST /api/v1/reload": `{
		"users": [{"pool": "alpha", "text": "added: wren"}],
		"refused": [{"pool": "beta", "block": "tls", "why": "no such file"}, {"block": "admin_tls", "why": "no key"}]}`}}
	for _, asJSON := range []bool{false, true} {
		out, err := run(t, p, Options{JSON: asJSON}, "reload")
		if !errors.Is(err, ErrWarned) {
			t.Errorf("the error is %v, want that there are warnings", err)
		}
		want := "pool alpha: users: added: wren\nnot used: beta: tls: no such file (the old files stay in use)\n" +
			"not used: admin_tls: no key (the old files stay in use)\nreloaded (process 7 on h, /etc/n.yml)\n"
		if !asJSON && out != want {
			t.Errorf("%s\nwant\n%s", out, want)
		}
	}
}

// TestReloadWarns: what is probably not meant in the file in force is told, and the reload is
// done all the same.
func TestReloadWarns(t *testing.T) {
	p := &proxy{answers: map[string]string{"GET /api/v1/info": `{"program": "nuthatch", "pid": 7, "host": "h", "config_file": "/etc/n.yml"}`, "POST /api/v1/reload": `{
		"pools": [{"name": "alpha", "settings": [{"key": "redis", "old": "true", "new": "false"}], "warnings": [{"what": "keys move", "instead": "wait"}]}],
		"warnings": ["n.yml:7: port 6379 is Redis's"]}`}}
	out, err := run(t, p, Options{}, "reload")
	if err != nil || !strings.Contains(out, "warning: keys move\n") || !strings.Contains(out, "warning: n.yml:7: port 6379 is Redis's\nreloaded (process 7") {
		t.Errorf("the error is %v, and what is told\n%s", err, out)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"dance"}, {"where"}, {"pause"}, {"pause", "a", "b"}, {"disable", "a"}, {"info", "x"}} {
		p := &proxy{}
		if _, err := run(t, p, Options{}, args...); !errors.Is(err, ErrUsage) || len(p.asked) > 0 {
			t.Errorf("%q: %v, and asked %q", args, err, p.asked)
		} else if len(args) > 1 && !strings.HasSuffix(err.Error(), "; see 'nuthatch ctl "+args[0]+" --help'") {
			t.Errorf("%q: %v names not the command's own help", args, err)
		}
	}
}

// TestNoAnswer: what is no proxy is told from one that refuses.
func TestNoAnswer(t *testing.T) {
	page := httptest.NewServer(http.NotFoundHandler())
	defer page.Close()
	for _, address := range []string{page.URL, testkit.Refused(t), "/nonexistent/admin.sock"} {
		c, err := NewClient(Target{Address: address})
		if err != nil {
			t.Fatal(err)
		}
		if err := Run(t.Context(), c, Options{}, []string{"info"}, io.Discard); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"localhost", "ftp://x", "http://", ""} {
		if _, err := NewClient(Target{Address: address}); err == nil {
			t.Errorf("%q is taken for an address", address)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "ctl") // a short path: socket names have at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{answers: map[string]string{"GET /readyz": donePage}}
	server := &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	c, err := NewClient(Target{Address: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), c, Options{}, []string{"ready"}, io.Discard); err != nil {
		t.Error(err)
	}
}

// TestTargetOfAConfiguration: the address and the token are those of the file.
func TestTargetOfAConfiguration(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(" fr0m file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for block, want := range map[string]Target{
		"":                                    {Address: DefaultAddress},
		"admin: 0.0.0.0:9\n  admin_token: x":  {Address: "127.0.0.1:9", Token: "x"},
		"admin: '[::]:9'\n  admin_token: 'x'": {Address: "[::1]:9", Token: "x"},
		"admin: /run/admin.sock":              {Address: "/run/admin.sock"},
		"admin_token_file: " + token:          {Address: DefaultAddress, Token: "fr0m file"},
		"admin_read_token_file: " + token:     {Address: DefaultAddress, Token: "fr0m file"},
		"admin_token_file: /nowhere\n  admin_read_token_file: " + token: {Address: DefaultAddress, Token: "fr0m file"},
		"admin_read_token: r\n  admin_token: a":                         {Address: DefaultAddress, Token: "a"},
		"admin: /run/admin.sock\n  admin_read_token: r":                 {Address: "/run/admin.sock"},
	} {
		text := "nuthatch:\n  " + block + "\nalpha:\n  listen: 127.0.0.1:1\n  servers:\n    - 127.0.0.1:2:1\n"
		conf, err := config.Parse("test.yml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		want.ConfigFile = "/etc/c.yml"
		if got, err := Of(conf, "/etc/c.yml"); err != nil || got != want {
			t.Errorf("%q: %+v and %v, want %+v", block, got, err, want)
		}
	}
}

// Who is told that actions are taken at a socket goes there.
func TestActionsGoToTheSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "actions.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	there := &proxy{answers: map[string]string{"POST /api/v1/drain": `{"done": "draining", "pid": 7, "host": "h", "config_file": "/etc/n.yml"}`}}
	server := &http.Server{Handler: there} //nolint:gosec // it is the test's
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	here := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"error": "not here", "socket": %q}`, path)
	})
	port := httptest.NewServer(here)
	t.Cleanup(port.Close)
	c, err := NewClient(Target{Address: port.URL})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := Run(t.Context(), c, Options{}, []string{"drain"}, &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != "draining (process 7 on h, /etc/n.yml)\n" {
		t.Errorf("the answer is %q", out.String())
	}
}

// With Wait a drain returns when the proxy answers no more.
func TestDrainWaits(t *testing.T) {
	var asked atomic.Int32
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && asked.Add(1) >= 2 {
			_ = server.Listener.Close()
			panic(http.ErrAbortHandler) // also on another connection that was made meanwhile
		}
		fmt.Fprint(w, `{"done": "draining", "pid": 7, "host": "h", "config_file": ""}`)
	}))
	t.Cleanup(server.Close)
	c, err := NewClient(Target{Address: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), c, Options{Wait: true}, []string{"drain"}, io.Discard); err != nil {
		t.Error(err)
	}
	if asked.Load() < 2 {
		t.Errorf("the proxy was asked %d times", asked.Load())
	}
}

// A proxy that runs with another file is not the one that is meant, for whatever.
func TestAnotherProxyAnswers(t *testing.T) {
	dir := t.TempDir()
	mine, theirs := filepath.Join(dir, "mine.yml"), filepath.Join(dir, "theirs.yml")
	link := filepath.Join(dir, "link.yml")
	for _, f := range []string{mine, theirs} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(theirs, link); err != nil {
		t.Fatal(err)
	}
	for file, same := range map[string]bool{mine: false, theirs: true, link: true, filepath.Join(dir, "none.yml"): false} {
		p := &proxy{answers: map[string]string{
			"GET /api/v1/info": fmt.Sprintf(`{"program": "nuthatch", "pid": 7, "host": "h", "config_file": %q}`, theirs), "GET /api/v1/pools": poolsPage,
			"POST /api/v1/preview": `{"pools": []}`, "POST /api/v1/drain": `{"done": "draining"}`,
		}}
		server := httptest.NewServer(p)
		t.Cleanup(server.Close)
		for _, command := range []string{"stats", "drain", "preview"} {
			c, err := NewClient(Target{Address: server.URL, ConfigFile: file})
			if err != nil {
				t.Fatal(err)
			}
			err = Run(t.Context(), c, Options{}, []string{command}, io.Discard)
			if same && err != nil || !same && !errors.Is(err, ErrOther) {
				t.Errorf("%s with %s: %v", command, file, err)
			}
		}
		if !same && strings.Contains(strings.Join(p.asked, " "), "drain") {
			t.Errorf("with %s it drained another proxy", file)
		}
	}
}
