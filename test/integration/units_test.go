package integration

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// unitCommand is the command of a setting of the example's unit.
func unitCommand(t *testing.T, name string) string {
	t.Helper()
	unit, err := os.ReadFile("../../examples/systemd/nuthatch.service")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(unit)) {
		if command, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return command
		}
	}
	t.Fatalf("the unit has no %s", name)
	return ""
}

// TestUnitReload: with the example's unit and configuration, a reload of a file at
// fault fails and says why.
func TestUnitReload(t *testing.T) {
	t.Parallel()
	yaml, err := os.ReadFile("../../examples/systemd/nuthatch.yml")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(testkit.SocketPath(t, "x"))
	inPlace := strings.NewReplacer("/run/nuthatch", dir, "127.0.0.1:22121", testkit.FreeAddr(t))
	good := inPlace.Replace(string(yaml))
	p := testkit.StartNuthatch(t, good)
	run := func(name string) (string, error) {
		t.Helper()
		line := strings.NewReplacer("/usr/bin/nuthatch", testkit.Binary(t), "/run/nuthatch", dir, "/etc/nuthatch/nuthatch.yml", p.Config).
			Replace(unitCommand(t, name))
		words := strings.Fields(line)
		out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
		return string(out), err
	}
	for _, name := range []string{"ExecStartPre", "ExecReload"} {
		if out, err := run(name); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		rewrite(t, p, good+"  no: key\nmore:\n  timeout: soon\n")
		out, err := run(name)
		state, ok := errors.AsType[*exec.ExitError](err)
		if !ok || state.ExitCode() != 1 || !strings.Contains(out, "nuthatch.no: unknown key") || !strings.Contains(out, "timeout: expected") {
			t.Errorf("%s of a file at fault: %v\n%s", name, err, out)
		}
		rewrite(t, p, good)
	}
}
