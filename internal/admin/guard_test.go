package admin

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"nuthatch/internal/config"
)

func readAll(t *testing.T, r *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestOrders: what is asked for is what the instance is told, and who asked.
func TestOrders(t *testing.T) {
	tests := []struct{ method, path, body, want string }{
		{"POST", "/api/v1/reload", "", "reload"},
		{"POST", "/api/v1/drain", "", "drain"},
		{"POST", "/api/v1/upgrade", "", "upgrade"},
		{"POST", "/api/v1/pools/alpha/pause", "", "pause alpha 30s"},
		{"POST", "/api/v1/pools/alpha/pause", `{"limit": 1.5}`, "pause alpha 1.5s"},
		{"POST", "/api/v1/pools/alpha/resume", "", "resume alpha"},
		{"POST", "/api/v1/pools/alpha/reconnect", "", `reconnect alpha ""`},
		{"POST", "/api/v1/pools/alpha/servers/one/reconnect", "", `reconnect alpha "one"`},
		{"POST", "/api/v1/pools/alpha/servers/%2Frun%2Fa.sock:/disable", "", "off the ring alpha /run/a.sock:"},
		{"POST", "/api/v1/pools/alpha/servers/one/disable", `{"keys": "fail"}`, "refused alpha one"},
		{"POST", "/api/v1/pools/alpha/servers/one/disable", `{"keys": "move"}`, "off the ring alpha one"},
		{"POST", "/api/v1/pools/alpha/servers/one/enable", "", "in service alpha one"},
		{"POST", "/api/v1/clients/7/kill", "", "kill 7"},
		{"DELETE", "/api/v1/clients/7", "", "kill 7"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			s := newStage(t)
			status, _, text := s.do(tt.method, tt.path, tt.body, userHeader, "o\tps")
			if status != http.StatusOK {
				t.Fatalf("status %d: %s", status, text)
			}
			got := strings.Join(s.orders, "; ")
			if !strings.HasPrefix(got, tt.want+" admin 127.0.0.1:") || !strings.HasSuffix(got, " user ops") {
				t.Errorf("the order is %q, want %q by the test's address and user", got, tt.want)
			}
		})
	}
}

func TestBadRequests(t *testing.T) {
	tests := []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/nowhere", "", 404, "no such path"},
		{"GET", "/api/v1/pools?pool=none", "", 404, `no such pool: \"none\"`},
		{"GET", "/api/v1/where", "", 400, "the parameter key is missing"},
		{"GET", "/api/v1/where?" + strings.Repeat("key=a&", 1001), "", 400, "1001 keys are too many for one question; ask for at most 1000 at a time"},
		{"GET", "/api/v1/where?key=a&pool=none", "", 404, "no such pool"},
		{"GET", "/api/v1/clients?limit=0", "", 400, "from 1 to 1000"},
		{"GET", "/api/v1/clients?pool=none", "", 404, "no such pool"},
		{"GET", "/debug/pprof/", "", 404, "admin_pprof"},
		{"GET", "/api/v1/reload", "", 405, "POST"},
		{"POST", "/api/v1/info", "", 405, "GET"},
		{"BREW", "/api/v1/info", "", 405, "GET"},
		{"POST", "/api/v1/clients/x/kill", "", 400, "a client's id must be a number"},
		{"POST", "/api/v1/pools/alpha/pause", "{", 400, "the body"},
		{"POST", "/api/v1/pools/alpha/pause", `{"limits": 1}`, 400, "unknown field"},
		{"POST", "/api/v1/pools/alpha/pause", `{"limit": 1} {}`, 400, "more than one"},
		{"POST", "/api/v1/pools/alpha/pause", `{"limit": -1}`, 400, "seconds up to 3600"},
		{"POST", "/api/v1/pools/alpha/servers/one/disable", `{"keys": "eat"}`, 400, "move"},
		{"POST", "/api/v1/preview", "alpha: []", 422, "preview:1"},
		{"POST", "/api/v1/preview", strings.Repeat("#", maxHTTPBody+1), 413, "larger than"},
	}
	s := newStage(t)
	for _, tt := range tests {
		status, head, text := s.do(tt.method, tt.path, tt.body)
		if status != tt.status || !strings.Contains(text, tt.want) {
			t.Errorf("%s %.60s: status %d, %s; want %d and %q", tt.method, tt.path, status, text, tt.status, tt.want)
		}
		if head.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %.60s: no security headers", tt.method, tt.path)
		}
	}
	if len(s.orders) > 0 {
		t.Errorf("orders were given: %q", s.orders)
	}
}

// TestRefusals: each reason has its status.
func TestRefusals(t *testing.T) {
	for err, want := range map[error]int{
		ErrNoPool: 404, ErrNoServer: 404, ErrNoClient: 404, ErrBusy: 409, ErrNoFile: 409, ErrEnding: 503, errors.New("other"): 500,
	} {
		s := newStage(t)
		s.refuse = err
		if status, _, text := s.do("POST", "/api/v1/pools/alpha/pause", ""); status != want || !strings.Contains(text, err.Error()) {
			t.Errorf("%v: status %d, %s; want %d", err, status, text, want)
		}
	}
}

// TestPagesOfOthers: what a browser sends for a page of another site is refused.
func TestPagesOfOthers(t *testing.T) {
	tests := []struct {
		name, method, path string
		headers            []string
		status             int
	}{
		{"a name pointed here", "GET", "/api/v1/info", []string{"Host", "evil.example"}, 403},
		{"a name pointed here, with a port", "GET", "/api/v1/info", []string{"Host", "evil.example:22223"}, 403},
		{"localhost", "GET", "/api/v1/info", []string{"Host", "LocalHost:22223"}, 200},
		{"IPv6", "GET", "/api/v1/info", []string{"Host", "[::1]:22223"}, 200},
		{"a form", "POST", "/api/v1/drain", []string{"Content-Type", "application/x-www-form-urlencoded"}, 403},
		{"a form of text", "POST", "/api/v1/drain", []string{"Content-Type", "text/plain"}, 403},
		{"no type", "POST", "/api/v1/drain", []string{"Content-Type", ""}, 403},
		{"another site", "POST", "/api/v1/drain", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"another origin", "POST", "/api/v1/drain", []string{"Origin", "http://evil.example"}, 403},
		{"our own page", "POST", "/api/v1/drain", []string{"Sec-Fetch-Site", "same-origin"}, 200},
	}
	for _, tt := range tests {
		s := newStage(t)
		status, _, text := s.do(tt.method, tt.path, "", tt.headers...)
		if status != tt.status {
			t.Errorf("%s: status %d, want %d: %s", tt.name, status, tt.status, text)
		}
		if status != 200 && len(s.orders) > 0 {
			t.Errorf("%s: the order was given: %q", tt.name, s.orders)
		}
	}
}

// A token for actions does not keep such a page from reading on loopback; whoever has it is no page.
func TestPagesOfOthersBesideAToken(t *testing.T) {
	loopback := config.Address{Network: config.NetworkTCP, Host: "127.0.0.1", Port: 22223}
	s := listenAt(t, loopback, newInstance(t), "sesame")
	for given, want := range map[string]int{"": 403, "Bearer ": 403, "Bearer wrong": 403, "Bearer sesame": 200} {
		if status, _, text := s.do("GET", "/api/v1/info", "", "Host", "evil.example", "Authorization", given); status != want {
			t.Errorf("%q: status %d, want %d: %s", given, status, want, text)
		}
	}
}

func TestTokens(t *testing.T) {
	open := config.Address{Network: config.NetworkTCP, Host: "0.0.0.0", Port: 22223}
	s := listenAt(t, open, newInstance(t), "first", "second")
	tests := []struct {
		path, authorization string
		status              int
	}{
		{"/api/v1/info", "", 401},
		{"/api/v1/info", "Bearer wrong", 401},
		{"/api/v1/info", "Bearer ", 401},
		{"/api/v1/info", "Basic first", 401},
		{"/api/v1/info", "Bearer first", 200},
		{"/api/v1/info", "bearer second", 200},
		{"/debug/pprof/", "", 401},
		{"/healthz", "", 200},
		{"/readyz", "", 200},
		{"/nowhere", "", 404},
	}
	for _, tt := range tests {
		status, head, text := s.do("GET", tt.path, "", "Authorization", tt.authorization, "Host", "proxy.example")
		if status != tt.status {
			t.Errorf("%s with %q: status %d, want %d: %s", tt.path, tt.authorization, status, tt.status, text)
		}
		if status == 401 && !strings.HasPrefix(head.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: the refusal does not say how to do better", tt.path)
		}
		if strings.Contains(text, "first") || strings.Contains(text, "second") {
			t.Errorf("%s: a token is shown: %s", tt.path, text)
		}
	}
	if status, _, _ := s.do("POST", "/api/v1/drain", "", "Authorization", "Bearer wrong"); status != 401 || len(s.orders) > 0 {
		t.Errorf("an order with a wrong token: status %d, orders %q", status, s.orders)
	}
}
