package admin

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"nuthatch/internal/config"
)

// Everybody on the host can connect to a port. Who bears no token may look, and may
// not act; the socket for actions is named.
func TestActionsNeedAuthority(t *testing.T) {
	loopback := config.Address{Network: config.NetworkTCP, Host: "127.0.0.1", Port: 22223}
	unix := config.Address{Network: config.NetworkUnix, Path: "/run/a.sock"}
	for name, tt := range map[string]struct {
		addr   config.Address
		tokens []config.Secret
		header []string
		strict bool
		want   int
	}{
		"a port":                   {addr: loopback, strict: true, want: http.StatusForbidden},
		"a port, with consent":     {addr: loopback, want: http.StatusOK},
		"a unix socket":            {addr: unix, strict: true, want: http.StatusOK},
		"a port without the token": {addr: loopback, tokens: []config.Secret{"sesame"}, strict: true, want: http.StatusUnauthorized},
		"a port with the token": {
			addr: loopback, tokens: []config.Secret{"sesame"}, strict: true, header: []string{"Authorization", "Bearer sesame"}, want: http.StatusOK,
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := newInstance(t)
			in.strict, in.socket = tt.strict, "/run/other.sock"
			s := listenAt(t, tt.addr, in, tt.tokens...)
			for path, acts := range map[string]string{
				"/api/v1/drain": "drain", "/api/v1/pools/alpha/pause": "pause", "/api/v1/clients/7/kill": "kill",
			} {
				in.orders = nil
				status, _, text := s.do(http.MethodPost, path, "", tt.header...)
				if status != tt.want || (len(in.orders) > 0) != (tt.want == http.StatusOK) {
					t.Errorf("%s (%s): status %d, want %d; it did %q", path, acts, status, tt.want, in.orders)
				}
				if status == http.StatusForbidden && !strings.Contains(text, "/run/other.sock") {
					t.Errorf("%s: the refusal names no socket: %s", path, text)
				}
			}
			if tt.want == http.StatusUnauthorized {
				return
			}
			for _, q := range []struct{ method, path string }{{http.MethodGet, "/api/v1/pools"}, {http.MethodPost, "/api/v1/preview"}} {
				if status, _, text := s.do(q.method, q.path, "", tt.header...); status != http.StatusOK {
					t.Errorf("%s %s: status %d, %s", q.method, q.path, status, text)
				}
			}
		})
	}
}

// An answer to an action says which proxy it was.
func TestActionsNameTheProxy(t *testing.T) {
	s := newStage(t)
	if _, _, text := s.do(http.MethodPost, "/api/v1/drain", ""); !strings.Contains(text, `"pid"`) || !strings.Contains(text, `"host"`) {
		t.Errorf("the answer is %s", text)
	}
}

// A check by HTTP/1.0 names no host, and HAProxy's ask with OPTIONS unless they are told
// otherwise, for "/" if they are told of no path.
func TestChecksByHTTP10(t *testing.T) {
	s := newStage(t)
	for _, line := range []string{
		"GET /healthz", "HEAD /healthz", "OPTIONS /healthz", "OPTIONS /", "GET /readyz", "OPTIONS /readyz",
	} {
		c := s.dial(t)
		fmt.Fprint(c, line+" HTTP/1.0\r\n\r\n")
		method, _, _ := strings.Cut(line, " ")
		answer, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		text := readAll(t, answer)
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK || strings.Contains(text, `"pid"`) {
			t.Errorf("%s: status %d, %s", line, answer.StatusCode, text)
		}
	}
}

func (s *stage) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Connections that only stay keep nobody out, whether they have asked for something
// or not.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	s := newStage(t)
	first := s.dial(t)
	for i := range 2 * MaxHTTPConns {
		c := s.dial(t)
		if i%2 == 0 {
			fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
			answer, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Fatalf("connection %d: %v, %v", i, answer, err)
			}
			answer.Body.Close()
		}
	}
	if status, _, _ := s.do(http.MethodGet, "/healthz", ""); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if n, err := first.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the first one, which never asked for anything: %d bytes, %v", n, err)
	}
}
