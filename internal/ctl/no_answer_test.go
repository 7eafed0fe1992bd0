package ctl

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// speaks listens, and answers each connection with that text.
func speaks(t *testing.T, text string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, text)
			conn.Close()
		}
	}()
	return l.Addr().String()
}

// httpAnswer is a server that answers all requests so.
func httpAnswer(t *testing.T, status int, kind, body string) (address string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// TestWhoseErrorItIs: an error counts if a nuthatch is there. The status asks who it is, and so does
// who got an error that another program may have written.
func TestWhoseErrorItIs(t *testing.T) {
	fault := `{"error":"there is no pool 'x'"}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == infoPath {
			_, _ = io.WriteString(w, `{"program":"nuthatch"}`)
			return
		}
		http.Error(w, fault, http.StatusNotFound)
	}))
	t.Cleanup(s.Close)
	for _, tt := range []struct {
		command, address, want string
		noAnswer               bool
	}{
		{"servers", s.URL, "there is no pool 'x'", false},
		{"servers", httpAnswer(t, http.StatusNotFound, "application/json", fault), "does not look like a nuthatch", true},
		{"servers", httpAnswer(t, http.StatusOK, "application/json", "{}"), "does not look like a nuthatch", true},
		{"status", httpAnswer(t, http.StatusOK, "application/json", "{}"), "does not look like a nuthatch", true},
		{"status", httpAnswer(t, http.StatusOK, "application/json", `{"status":"ok"}`), "does not look like a nuthatch", true},
		{"servers", httpAnswer(t, http.StatusOK, "application/json", `{"status":"ok"}`), "does not look like a nuthatch", true},
		{"servers", httpAnswer(t, http.StatusOK, "application/json", "[]"), "does not look like a nuthatch", true},
		{"events", httpAnswer(t, http.StatusOK, "application/json", "null"), "does not look like a nuthatch", true},
		{"config", httpAnswer(t, http.StatusOK, "application/json", `{"status":"ok"}`), "does not look like a nuthatch", true},
		{"latency", httpAnswer(t, http.StatusOK, "application/json", `[{"pools":[]}]`), "does not look like a nuthatch", true},
		{"ready", httpAnswer(t, http.StatusOK, "application/json", `{"status":"ok"}`), "does not look like a nuthatch", true},
		{"reload", httpAnswer(t, http.StatusOK, "application/json", `{"status":"ok"}`), "does not look like a nuthatch", true},
		{"drain", httpAnswer(t, http.StatusOK, "application/json", "[]"), "does not look like a nuthatch", true},
	} {
		for _, asJSON := range []bool{false, true} {
			c, err := NewClient(Target{Address: tt.address})
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			err = Run(t.Context(), c, Options{JSON: asJSON}, []string{tt.command}, &out)
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, ErrNoAnswer) != tt.noAnswer || out.Len() > 0 && (!asJSON || tt.noAnswer) {
				t.Errorf("%s at %s: %v and %q, want %q alone, and no answer: %t", tt.command, tt.address, err, out.String(), tt.want, tt.noAnswer)
			}
		}
	}
}

// TestQuestionsGiveUpEarlier: a question ends before an action does at one who does not answer.
func TestQuestionsGiveUpEarlier(t *testing.T) {
	never := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-never }))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(never) })
	c, err := NewClient(Target{Address: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []struct {
		name   string
		client *http.Client
		want   bool
	}{{"questions", &c.questions, true}, {"actions", &c.actions, false}} {
		if wait := by.client.Transport.(*http.Transport).ResponseHeaderTimeout; (wait > 0 && wait < timeout) != by.want {
			t.Errorf("%s wait %v for an answer to begin", by.name, wait)
		}
	}
	c.questions.Transport.(*http.Transport).ResponseHeaderTimeout = 1
	if err := Run(t.Context(), c, Options{}, []string{"status"}, io.Discard); !errors.Is(err, ErrNoAnswer) || !strings.Contains(err.Error(), "takes the connection and does not answer") {
		t.Errorf("a question at one who never answers: %v", err)
	}
}

// TestAddresses: what lacks a port is told so.
func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1": "the port is missing; write 127.0.0.1:22223",
		"proxy-1":   "the port is missing; write proxy-1:22223",
		"::1":       "the port is missing; write [::1]:22223",
		".":         "a socket's path begins with /",
		"a/b":       `"a/b" is no host:port, path or URL`,
	} {
		if _, err := NewClient(Target{Address: text}); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %q at the end", text, err, want)
		}
	}
}

// TestWhyThereIsNoAnswer: the error says what is at the address, and what to do.
func TestWhyThereIsNoAnswer(t *testing.T) {
	const kind = "application/json"
	needed := httpAnswer(t, http.StatusUnauthorized, kind, `{"error":"a token is needed"}`)
	for _, tt := range []struct {
		what     string
		target   Target
		noAnswer bool
		want     []string
	}{
		{"no socket", Target{Address: "/nonexistent/admin.sock"}, true, []string{"there is no socket /nonexistent/admin.sock; is the proxy running? -c names the configuration file"}},
		{"a server of Redis", Target{Address: speaks(t, "-ERR unknown command\r\n")}, true, []string{"answers, and is no admin listener: is it the port of a pool"}},
		{"one that closes", Target{Address: speaks(t, "")}, true, []string{"answers, and is no admin listener"}},
		{"no TLS", Target{Address: "https://" + httpAnswer(t, 200, kind, "{}")}, true, []string{"speaks no TLS; leave out --cacert"}},
		{"a page", Target{Address: httpAnswer(t, 200, "text/html", "<html>")}, true, []string{"200 OK from ", "does not look like a nuthatch; -c names"}},
		{"no token", Target{Address: needed}, false, []string{"the proxy at " + needed + " asks for a token: say -T FILE"}},
		{"a wrong token", Target{Address: needed, Token: "x"}, false, []string{"does not accept this token"}},
		{"an old proxy", Target{Address: httpAnswer(t, 404, kind, `{"error":"no such path; docs/API.md lists them"}`)}, false, []string{"does not know GET /api/v1/info: it runs another version"}},
		{"another program's empty object", Target{Address: httpAnswer(t, 200, kind, "{}\n")}, true, []string{"200 OK from ", "does not look like a nuthatch; -c names"}},
		{"another program's object", Target{Address: httpAnswer(t, 200, kind, `{"status":"ok"}`)}, true, []string{"an answer from ", "does not look like a nuthatch; -c names"}},
		{"another program's error", Target{Address: httpAnswer(t, 404, kind, `{"error":"not found"}`)}, true, []string{"404 Not Found from ", "does not look like a nuthatch; -c names"}},
		{"a directory", Target{Address: t.TempDir()}, true, []string{" is no socket; -c names"}},
	} {
		c, err := NewClient(tt.target)
		if err != nil {
			t.Fatal(err)
		}
		err = Run(t.Context(), c, Options{}, []string{"info"}, io.Discard)
		if errors.Is(err, ErrNoAnswer) != tt.noAnswer {
			t.Errorf("%s: %v is no answer: %t", tt.what, err, !tt.noAnswer)
		}
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", tt.what, err, want)
			}
		}
	}
	at := testkit.Refused(t)
	c, err := NewClient(Target{Address: at})
	if err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), c, Options{}, []string{"info"}, io.Discard); err == nil || !strings.Contains(err.Error(), "nothing listens at "+at+"; is the proxy running? -c names") {
		t.Errorf("nobody listens: %v", err)
	}
}
