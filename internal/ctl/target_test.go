package ctl

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"nuthatch/internal/config"
)

// listenFor makes the socket that a proxy which runs with the file makes by itself.
func listenFor(t *testing.T, dir, file string) string {
	t.Helper()
	path := filepath.Join(dir, config.AdminSocketName(file))
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return path
}

// The socket of a proxy is found by its file and by a link to it, and also while the
// file is at fault.
func TestSocketOfAFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("RUNTIME_DIRECTORY", dir)
	file, link := filepath.Join(dir, "n.yml"), filepath.Join(dir, "link.yml")
	text := "alpha:\n  listen: 127.0.0.1:1\n  servers:\n    - 127.0.0.1:2:1\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	conf, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OfFaulty(file); err != nil || got.Address != DefaultAddress {
		t.Errorf("without a socket: %+v and %v", got, err)
	}
	path := listenFor(t, dir, file)
	for _, name := range []string{file, link} {
		want := Target{Address: path, ConfigFile: name}
		if got, err := Of(conf, name); err != nil || got != want {
			t.Errorf("%s: %+v and %v, want %+v", name, got, err, want)
		}
		if got, err := OfFaulty(name); err != nil || got != want {
			t.Errorf("%s, which is at fault: %+v and %v, want %+v", name, got, err, want)
		}
	}
}

// What a faulty file says of the admin listener is read all the same.
func TestTargetOfAFaultyFile(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", t.TempDir())
	file := filepath.Join(t.TempDir(), "n.yml")
	block := "nuthatch:\n  admin: 127.0.0.1:9\n  # why\n  admin_token: sesame\n"
	pool := "alpha:\n  listen: 127.0.0.1:1\n  servers:\n    - 127.0.0.1:2:1\n"
	said, byDefault := Target{Address: "127.0.0.1:9", Token: "sesame", ConfigFile: file}, Target{Address: DefaultAddress, ConfigFile: file}
	for name, tt := range map[string]struct {
		text string
		want Target
	}{
		"a value":          {block + pool + "  timeout: 400xs\n", said},
		"another value":    {pool + "  redis: maybe\n" + block, said},
		"an unknown key":   {block + "  nonsense: 1\n" + pool, said},
		"a tab":            {block + pool + "\tredis: true\n", said},
		"a tab within":     {block + "\twhy: 1\n" + pool, said},
		"a quote":          {pool + "  redis: \"true\n" + block, said},
		"no pool":          {block, said},
		"the address":      {"nuthatch:\n  admin: nonsense\n" + pool, byDefault},
		"the block":        {"nuthatch:\n  admin: [\n" + pool, byDefault},
		"all is":           {"{", byDefault},
		"nothing is there": {"", byDefault},
	} {
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(file); err == nil {
			t.Errorf("%s: the file has no fault", name)
		}
		if got, err := OfFaulty(file); err != nil || got != tt.want {
			t.Errorf("%s: %+v and %v, want %+v", name, got, err, tt.want)
		}
	}
}
