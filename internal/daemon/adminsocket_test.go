package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/testkit"
)

// The socket for actions is there by itself where the admin listener is on TCP and
// asks for no token, is the user's own, and goes when it is not needed.
func TestSocketForActions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	t.Setenv("RUNTIME_DIRECTORY", dir)
	admin := "  admin: " + testkit.FreeAddr(t) + "\n"
	text := pool("alpha", testkit.FreeAddr(t), []string{"127.0.0.1:1:1 a"})
	s := startStageWith(t, text, admin)
	path := filepath.Join(dir, config.AdminSocketName(s.configFile))
	want := func(when, path string) {
		t.Helper()
		if path == "" {
			if s.ActionAddr() != nil {
				t.Errorf("%s: it is at %v", when, s.ActionAddr())
			}
			return
		}
		st, err := os.Stat(path)
		if err != nil || s.ActionAddr() == nil || s.ActionAddr().String() != path || st.Mode() != os.ModeSocket|0o600 {
			t.Errorf("%s: %v, at %v, %v; want %s", when, err, s.ActionAddr(), st, path)
		}
	}
	want("at the start", path)
	own := filepath.Join(t.TempDir(), "own.sock")
	for _, step := range []struct{ when, process, path string }{
		{"named", admin + "  admin_socket: " + own + "\n", own},
		{"off", admin + "  admin_socket: off\n", ""},
		{"auto", admin + "  admin_socket: auto\n", path},
		{"with a token", admin + "  admin_token: sesame\n", ""},
		{"with an admin listener on a socket", "  admin: " + filepath.Join(t.TempDir(), "a.sock") + "\n", ""},
		{"with the admin listener off", "  admin: off\n", ""},
		{"again", admin, path},
	} {
		s.process = step.process
		s.mustReload(text)
		want(step.when, step.path)
		for _, p := range []string{path, own} {
			if _, err := os.Stat(p); p != step.path && err == nil {
				t.Errorf("%s: %s is left", step.when, p)
			}
		}
	}
}

// A directory in which others may write is none for a socket that is to be trusted.
func TestSharedDirectoryIsNotUsed(t *testing.T) {
	shared := filepath.Join(t.TempDir(), "shared")
	if err := os.Mkdir(shared, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := mayHoldSockets(shared); err != nil {
		t.Errorf("a directory of our own: %v", err)
	}
	if err := os.Chmod(shared, 0o777); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{shared, link, filepath.Join(shared, "none")} {
		if err := mayHoldSockets(dir); err == nil {
			t.Errorf("%s may hold sockets", dir)
		}
	}
}
