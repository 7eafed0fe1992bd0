package ctl

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
		{"what is not there", Target{Address: httpAnswer(t, 404, kind, `{"error":"there is no pool 'x'"}`)}, false, []string{"there is no pool 'x'"}},
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	c, err := NewClient(Target{Address: at})
	if err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), c, Options{}, []string{"info"}, io.Discard); err == nil || !strings.Contains(err.Error(), "nothing listens at "+at+"; is the proxy running? -c names") {
		t.Errorf("nobody listens: %v", err)
	}
}
