package config

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestAdminSocketName(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := filepath.Abs("two.yml")
	if err != nil {
		t.Fatal(err)
	}
	name := AdminSocketName(here)
	if !strings.HasPrefix(name, "two-") || !strings.HasSuffix(name, ".sock") || name != AdminSocketName("two.yml") {
		t.Errorf("%s is %q, as a relative path %q", here, name, AdminSocketName("two.yml"))
	}
	if other := AdminSocketName(filepath.Join(filepath.Dir(here), "sub", "two.yml")); other == name {
		t.Errorf("two files have one socket, %q", name)
	}
	if long := AdminSocketName("/" + strings.Repeat("x", 300) + ".yml"); len(long) > 60 {
		t.Errorf("a name of %d bytes", len(long))
	}
}

func TestAdminSocketDirs(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", "/run/a:/run/b")
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/7")
	dirs := AdminSocketDirs()
	if len(dirs) != 4 || dirs[0] != "/run/a" || dirs[1] != "/run/nuthatch" || dirs[2] != "/run/user/7/nuthatch" {
		t.Errorf("the directories are %q", dirs)
	}
}
