package integration

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// TestStartThatFails: why the program does not start is in its log, at any level,
// and nothing says that it has ended. The faults of a file are a line each.
func TestStartThatFails(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, takenPort, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, freePort, err := net.SplitHostPort(testkit.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	good := testkit.Pool{Name: "alpha", Listen: testkit.FreeAddr(t), Servers: []string{"127.0.0.1:1:1 s"}}.String()
	beta := testkit.Pool{Name: "beta", Listen: taken.Addr().String(), Servers: []string{"127.0.0.1:1:1 s"}}.String()
	tests := []struct {
		name, yaml string
		args       []string
		want       []string // each in a line of its own
	}{
		{"the port is taken", good + beta, nil, []string{"address already in use"}},
		{"the statistics port is taken", good, []string{"-s", takenPort}, []string{"statistics port"}},
		{"the admin listener's is taken", good + "nuthatch:\n  admin: " + taken.Addr().String() + "\n", nil, []string{"admin listener"}},
		{"no token", good + "nuthatch:\n  admin_token_file: /does/not/exist\n", nil, []string{"admin_token_file"}},
		{"faults in the file", good + "  tiemout: 400\n  backlog: many\n", nil, []string{"tiemout", "backlog"}},
		{"no pid file", good, []string{"-p", "/does/not/exist/pid"}, []string{"pid file"}},
		{"as JSON", good + "nuthatch:\n  log_format: json\n  admin: " + taken.Addr().String() + "\n", nil, []string{"admin listener"}},
	}
	for _, tt := range tests {
		for _, background := range []bool{false, true} {
			name, more := tt.name, tt.args
			if background {
				name, more = name+", with -d", append([]string{"-d"}, more...)
			}
			t.Run(name, func(t *testing.T) {
				dir := t.TempDir()
				conf, log := filepath.Join(dir, "conf"), filepath.Join(dir, "log")
				if err := os.WriteFile(conf, []byte(tt.yaml), 0o600); err != nil {
					t.Fatal(err)
				}
				args := append([]string{"-c", conf, "-o", log, "-v", "0", "-a", "127.0.0.1", "-s", freePort}, more...)
				out, err := exec.Command(testkit.Binary(t), args...).CombinedOutput()
				if state, ok := errors.AsType[*exec.ExitError](err); !ok || state.ExitCode() != 1 {
					t.Errorf("it ended with %v", err)
				}
				text, err := os.ReadFile(log)
				if err != nil {
					t.Fatal(err)
				}
				lines := strings.Split(strings.TrimSpace(string(text)), "\n")
				for i, want := range tt.want {
					if len(lines) != len(tt.want) || !strings.Contains(lines[i], "not started") || !strings.Contains(lines[i], want) {
						t.Errorf("the log has\n%swant %d lines, one with %q", text, len(tt.want), want)
					}
					if !strings.Contains(string(out), want) {
						t.Errorf("standard error has %q, want %q", out, want)
					}
				}
				var line struct{ Level string }
				if tt.name == "as JSON" && (json.Unmarshal([]byte(lines[0]), &line) != nil || line.Level != "emerg") {
					t.Errorf("the line is %s", lines[0])
				}
			})
		}
	}
}
