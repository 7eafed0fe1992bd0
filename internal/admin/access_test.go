package admin

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"nuthatch/internal/config"
)

// A token for reading alone reads everything, and carries out nothing. Where there is one,
// reading needs a token. Without one, reading on loopback needs none, and actions need theirs.
func TestReadToken(t *testing.T) {
	loopback := config.Address{Network: config.NetworkTCP, Host: "127.0.0.1", Port: 22223}
	everywhere := config.Address{Network: config.NetworkTCP, Host: "0.0.0.0", Port: 22223}
	socket := config.Address{Network: config.NetworkUnix, Path: filepath.Join(t.TempDir(), "a.sock")}
	for _, tt := range []struct {
		name          string
		addr          config.Address
		all, reading  string
		insecure      bool
		given         string
		reads, acts   int
		answerToOrder string
	}{
		{"neither", loopback, "", "", false, "", 200, 403, "needs a token here"},
		{"neither, insecure", loopback, "", "", true, "", 200, 200, ""},
		{"for everything, none given", loopback, "a", "", false, "", 200, 401, "a token is needed"},
		{"for everything, none given, insecure", loopback, "a", "", true, "", 200, 401, "a token is needed"},
		{"for everything, a wrong one", loopback, "a", "", false, "b", 401, 401, ""},
		{"for everything", loopback, "a", "", false, "a", 200, 200, ""},
		{"for everything, none given, beyond loopback", everywhere, "a", "", false, "", 401, 401, ""},
		{"both on loopback, none given", loopback, "a", "r", false, "", 401, 401, ""},
		{"reading alone, none given", loopback, "", "r", false, "", 401, 401, "a token is needed"},
		{"reading alone", loopback, "", "r", false, "r", 200, 403, "needs a token here"},
		{"reading alone, insecure", loopback, "", "r", true, "r", 200, 200, ""},
		{"reading alone, insecure, none given", everywhere, "", "r", true, "", 401, 401, ""},
		{"both, none given", everywhere, "a", "r", false, "", 401, 401, ""},
		{"both, a wrong one", everywhere, "a", "r", false, "ra", 401, 401, ""},
		{"both, that for reading", everywhere, "a", "r", false, "r", 200, 403, "for reading alone"},
		{"both, that for reading, insecure", everywhere, "a", "r", true, "r", 200, 403, "for reading alone"},
		{"both, that for everything", everywhere, "a", "r", false, "a", 200, 200, ""},
		{"the same for both", everywhere, "a", "a", false, "a", 200, 200, ""},
		{"a unix socket", socket, "a", "r", false, "", 200, 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := newInstance(t)
			in.strict = !tt.insecure
			var all []config.Secret
			if tt.all != "" {
				all = []config.Secret{config.Secret(tt.all)}
			}
			if tt.reading != "" {
				in.reading = []config.Secret{config.Secret(tt.reading)}
			}
			s := listenAt(t, tt.addr, in, all...)
			var headers []string
			if tt.given != "" {
				headers = []string{"Authorization", "Bearer " + tt.given}
			}
			for _, path := range []string{"/metrics", "/api/v1/info", "/api/v1/config", "/api/v1/clients"} {
				if status, _, text := s.do(http.MethodGet, path, "", headers...); status != tt.reads {
					t.Errorf("GET %s: status %d, want %d: %s", path, status, tt.reads, text)
				}
			}
			if status, _, text := s.do(http.MethodPost, previewPath, testConfig, headers...); status != tt.reads {
				t.Errorf("a preview: status %d, want %d: %s", status, tt.reads, text)
			}
			for pattern := range new(handler).actions() {
				method, path, _ := strings.Cut(pattern, " ")
				if path == previewPath {
					continue
				}
				path = strings.NewReplacer("{pool}", "alpha", "{server}", "one", "{id}", "7").Replace(path)
				given := len(in.orders)
				status, _, text := s.do(method, path, "", headers...)
				if status != tt.acts || !strings.Contains(text, tt.answerToOrder) || (len(in.orders) > given) != (tt.acts == 200) {
					t.Errorf("%s: status %d, %d orders, want %d and %q: %s", pattern, status, len(in.orders)-given, tt.acts, tt.answerToOrder, text)
				}
			}
			if status, _, _ := s.do(http.MethodGet, "/healthz", ""); status != http.StatusOK {
				t.Errorf("/healthz: status %d", status)
			}
		})
	}
}

// A refusal of an action names the socket for actions, also to whoever may only read.
func TestRefusalNamesTheSocket(t *testing.T) {
	in := newInstance(t)
	in.strict, in.socket, in.reading = true, "/run/actions.sock", []config.Secret{"r"}
	s := listenAt(t, config.Address{Network: config.NetworkTCP, Host: "127.0.0.1", Port: 22223}, in)
	status, _, text := s.do(http.MethodPost, "/api/v1/drain", "", "Authorization", "Bearer r")
	if status != http.StatusForbidden || !strings.Contains(text, `"socket": "/run/actions.sock"`) {
		t.Errorf("status %d, %s", status, text)
	}
}

// Whoever may only read cannot try out by a preview what a secret is. Other changes are told.
func TestPreviewTellsNoSecret(t *testing.T) {
	loopback := config.Address{Network: config.NetworkTCP, Host: "127.0.0.1", Port: 22223}
	right := strings.Replace(testConfig, "ready_servers: 50", "ready_servers: 51", 1)
	wrong := strings.Replace(right, "s3cret", "guess", 1)
	for _, tt := range []struct {
		name, all, reading, given string
		told                      bool
	}{
		{"no token on loopback", "", "", "", false},
		{"the token for reading", "", "r", "r", false},
		{"the token for reading, beside another", "a", "r", "r", false},
		{"the token for everything", "a", "r", "a", true},
	} {
		in := newInstance(t)
		in.strict = true
		var all []config.Secret
		if tt.all != "" {
			all = []config.Secret{config.Secret(tt.all)}
		}
		if tt.reading != "" {
			in.reading = []config.Secret{config.Secret(tt.reading)}
		}
		s := listenAt(t, loopback, in, all...)
		var answers []string
		for _, text := range []string{right, wrong} {
			status, _, answer := s.do(http.MethodPost, previewPath, text, "Authorization", "Bearer "+tt.given)
			if status != http.StatusOK || !strings.Contains(answer, "ready_servers") {
				t.Errorf("%s: status %d, %s", tt.name, status, answer)
			}
			answers = append(answers, answer)
		}
		if told := answers[0] != answers[1]; told != tt.told || strings.Contains(answers[1], "redis_auth") != tt.told {
			t.Errorf("%s: a right guess gets %s, a wrong one %s", tt.name, answers[0], answers[1])
		}
	}
}
