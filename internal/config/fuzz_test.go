package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// FuzzParse holds that Parse ends with a usable configuration or with a list of
// faults that each name a line of the file, and never shows a password.
func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.yml")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, err := Parse("f.yml", text)
		if err == nil {
			checkConfig(t, cfg)
			return
		}
		var faults Errors
		if !errors.As(err, &faults) || len(faults) == 0 {
			t.Fatalf("the error is a %T without faults, want Errors", err)
		}
		// YAML ends a line at any of these; the last line may have no end.
		breaks := strings.FieldsFunc(string(text), func(r rune) bool { return !strings.ContainsRune("\n\r\u0085\u2028\u2029", r) })
		lines := len(strings.Join(breaks, "")) + 2
		for _, e := range faults {
			if e.File != "f.yml" || e.Line < 1 || e.Line > lines || e.Msg == "" {
				t.Errorf("fault without a place or a message: %+v", e)
			}
		}
		if n := strings.Count(err.Error(), "\n") + 1; n != len(faults) {
			t.Errorf("%d faults on %d lines:\n%v", len(faults), n, err)
		}
	})
}

// checkConfig checks the invariants that Config and Pool promise.
func checkConfig(t *testing.T, cfg *Config) {
	t.Helper()
	if len(cfg.Pools) == 0 || cfg.Process.Threads < 1 || cfg.Process.Threads > 64 {
		t.Errorf("accepted without pools or with a strange number of threads: %+v", cfg)
	}
	for i := range cfg.Pools {
		p := &cfg.Pools[i]
		if p.Name == "" || p.Name == processBlock || p.Listen == (Address{}) || len(p.Servers) == 0 ||
			p.ServerConnections < 1 || len(p.HashTag) != 0 && len(p.HashTag) != 2 || p.RedisAuth != "" && p.Protocol != Redis {
			t.Errorf("accepted pool breaks an invariant: %+v", *p)
		}
		names := make([]string, len(p.Servers))
		for i, s := range p.Servers {
			names[i] = s.NodeName()
			if s.Weight < 1 || s.Address == (Address{}) {
				t.Errorf("accepted server breaks an invariant: %+v", s)
			}
		}
		if !slices.IsSortedFunc(names, compareNames) || len(slices.Compact(names)) != len(p.Servers) {
			t.Errorf("servers are out of order, or two have one name: %q", names)
		}
	}
}
