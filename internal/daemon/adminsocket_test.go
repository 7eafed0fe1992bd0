package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// The directory for sockets is made for a path that the file names, too, and no other is. What -t
// says agrees with the start.
func TestDirectoryOfNamedSockets(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "run")
	t.Setenv("RUNTIME_DIRECTORY", dir)
	for path, starts := range map[string]bool{
		filepath.Join(dir, "a.sock"):             true,
		filepath.Join(dir, "deeper", "a.sock"):   false,
		filepath.Join(parent, "other", "a.sock"): false,
	} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		text := pool("alpha", path, []string{"127.0.0.1:1:1 a"}) + "nuthatch:\n  admin: off\n  admin_socket: " + path + ".admin\n"
		conf, err := config.Parse("nuthatch.yml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Program: "nuthatch", Version: "test", Config: conf, LogFile: filepath.Join(parent, "log")}
		found := Check(o, true)
		if valid := len(found) == 0; valid != starts {
			t.Errorf("%s: -t finds %v", path, found)
		}
		for _, f := range found {
			if !f.Doubt || !f.NotNow || !strings.Contains(f.Err.Error(), "make "+filepath.Dir(path)+" first") {
				t.Errorf("%s: -t finds %+v", path, f)
			}
		}
		in, err := Start(o)
		if (err == nil) != starts || !starts && !strings.Contains(err.Error(), "make "+filepath.Dir(path)+" first") {
			t.Errorf("%s: the start ends with %v", path, err)
		}
		if err != nil {
			continue
		}
		if fault := mayHoldSockets(dir); fault != nil {
			t.Error(fault)
		}
		in.Stop()
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

// A named socket in a directory to which every user can write is warned about by -t, at the start
// and at each reload, unless the sticky bit keeps others from replacing it.
func TestSocketInOpenDirectory(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.sock")
	text := pool("alpha", testkit.FreeAddr(t), []string{"127.0.0.1:1:1 a"})
	for _, c := range []struct {
		mode os.FileMode
		key  string
		open bool
	}{
		{0o777, "admin_socket", true},
		{0o777, "admin", true},
		{0o757, "admin_socket", true},
		{0o777 | os.ModeSticky, "admin_socket", false},
		{0o775, "admin_socket", false},
		{0o755, "admin", false},
	} {
		if err := os.Chmod(dir, c.mode); err != nil {
			t.Fatal(err)
		}
		process := "  " + c.key + ": " + path + "\n"
		if c.key != "admin" {
			process += "  admin: off\n"
		}
		want := "nuthatch: " + c.key + ": every user of the host can put a socket in the place of " + path + ", since every user can write to " + dir
		conf, err := config.Parse("nuthatch.yml", []byte(text+"nuthatch:\n"+process))
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, f := range Check(Options{Program: "nuthatch", Version: "test", Config: conf, LogFile: filepath.Join(t.TempDir(), "log")}, true) {
			if f.Doubt && f.Err.Error() == want {
				found++
			}
		}
		s := startStageWith(t, text, process)
		change := s.mustReload(text)
		s.Stop()
		log, err := os.ReadFile(s.opts.LogFile)
		if err != nil {
			t.Fatal(err)
		}
		logged := strings.Count(string(log), "every user of the host can put a socket in the place of "+path)
		told, n := slices.Contains(change.Warnings, want), map[bool]int{true: 1}[c.open]
		if found != n || logged != 2*n || told != c.open { // at the start, and at the reload
			t.Errorf("%s in %v: -t has %d warnings, the log %d, the reload has it: %t", c.key, c.mode, found, logged, told)
		}
	}
}
