package daemon

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/testkit"
)

// TestStartIsToldInMembers: what the log says of the start and the end is in members, too, not in
// sentences alone.
func TestStartIsToldInMembers(t *testing.T) {
	listen := testkit.FreeAddr(t)
	conf, err := config.Parse("n.yml", []byte(pool("alpha", listen, []string{"127.0.0.1:1:1 one"}, "timeout: 5s")+"nuthatch:\n  log_format: json\n"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "log")
	in, err := Start(Options{Program: "nuthatch", Version: "test", Config: conf, LogFile: file, LogLevel: 5})
	if err != nil {
		t.Fatal(err)
	}
	in.Stop()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]any{
		"nuthatch-test started on pid": {"version": "test"},
		"pool 'alpha' listens on":      {"pool": "alpha", "addr": listen, "tls": false, "servers": 1.0},
		"nuthatch-test ended":          {"version": "test"},
	}
	for line := range strings.Lines(string(text)) {
		said := map[string]any{}
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if said["pid"] != float64(os.Getpid()) {
			t.Errorf("no pid: %s", line)
		}
		for begin, members := range want {
			if message, _ := said["msg"].(string); !strings.HasPrefix(message, begin) {
				continue
			}
			delete(want, begin)
			for name, value := range members {
				if said[name] != value {
					t.Errorf("%s is %v, want %v: %s", name, said[name], value, line)
				}
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("the log lacks %v:\n%s", want, text)
	}
}
