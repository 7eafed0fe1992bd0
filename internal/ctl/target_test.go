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
	if _, ok := OfFaulty(file); ok {
		t.Error("a socket is found where there is none")
	}
	path := listenFor(t, dir, file)
	for _, name := range []string{file, link} {
		want := Target{Address: path, ConfigFile: name}
		if got, err := Of(conf, name); err != nil || got != want {
			t.Errorf("%s: %+v and %v, want %+v", name, got, err, want)
		}
		if got, ok := OfFaulty(name); !ok || got != want {
			t.Errorf("%s, which is at fault: %+v, want %+v", name, got, want)
		}
	}
}
