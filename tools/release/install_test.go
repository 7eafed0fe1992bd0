package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const (
	unitPath    = "usr/lib/systemd/system/nuthatch.service"
	confPath    = "etc/nuthatch/nuthatch.yml"
	serviceUser = 61999 // as systemd makes one up
)

// cleanRoot is a Debian with little more than dpkg and systemd, of the release that this machine
// has, or the stable one.
func cleanRoot(t *testing.T) string {
	t.Helper()
	suite := "stable"
	if text, err := os.ReadFile("/etc/os-release"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
				suite = name
			}
		}
	}
	// Not t.TempDir: its path is in what fails to be removed, if something is mounted there.
	root, err := os.MkdirTemp("", "nuthatch-root")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	command(t, "mmdebstrap", "--quiet", "--variant=essential", "--include=systemd,passwd", "--aptopt=Acquire::Languages \"none\"",
		"--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*", suite, root)
	return root
}

// fakeSystemctl stands in for a running systemd: it says that the service is active, and notes
// what it is asked.
func fakeSystemctl(t *testing.T, root string) (asked func() string) {
	t.Helper()
	log := filepath.Join(root, "tmp/systemctl")
	script := "#!/bin/sh\necho \"$*\" >>/tmp/systemctl\n"
	for name, text := range map[string]string{"usr/bin/systemctl": script, "run/systemd/system/.here": ""} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return func() string {
		text, _ := os.ReadFile(log)
		_ = os.Remove(log)
		return string(text)
	}
}

// unitLine is what a setting of the installed unit runs.
func unitLine(t *testing.T, root, name string) []string {
	t.Helper()
	unit, err := os.ReadFile(filepath.Join(root, unitPath))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(unit)) {
		if command, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return strings.Fields(strings.TrimPrefix(command, "-"))
		}
	}
	t.Fatalf("the unit has no %s", name)
	return nil
}

// asService is a command of the unit, run as systemd would: as a user of its own, with the group
// that may read the configuration, and with a folder for sockets.
func asService(t *testing.T, root, name string) *exec.Cmd {
	t.Helper()
	cmd := inRoot(root, unitLine(t, root, name)...)
	cmd.Env = append(cmd.Env, "RUNTIME_DIRECTORY=/run/nuthatch")
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: serviceUser, Gid: serviceUser, Groups: []uint32{groupID(t, root)}}
	return cmd
}

// groupID is the group that may read the configuration.
func groupID(t *testing.T, root string) uint32 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "etc/group"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if f[0] == "nuthatch-config" {
			id, err := strconv.ParseUint(f[2], 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			return uint32(id)
		}
	}
	t.Fatal("there is no group nuthatch-config")
	return 0
}

// owner is who has a file, and its mode.
func owner(t *testing.T, path string) (uid, gid uint32, mode os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return stat.Uid, stat.Gid, info.Mode().Perm()
}

// checkInstalled is what holds after any form of the package is installed.
func checkInstalled(t *testing.T, root string) {
	t.Helper()
	if uid, gid, mode := owner(t, filepath.Join(root, confPath)); uid != 0 || gid != groupID(t, root) || mode != 0o640 {
		t.Errorf("the configuration belongs to %d:%d, with mode %o", uid, gid, mode)
	}
	if uid, gid, mode := owner(t, filepath.Join(root, "etc/nuthatch/secrets")); uid != 0 || gid != 0 || mode != 0o700 {
		t.Errorf("the secrets belong to %d:%d, with mode %o", uid, gid, mode)
	}
	if said := runInRoot(t, root, "/usr/sbin/nutcracker", "-V"); !strings.HasPrefix(said, "This is nutcracker-0.5.0\n") {
		t.Errorf("called nutcracker, it says %q", said)
	}
	for _, path := range []string{
		"usr/share/man/man1/nuthatch.1.gz", "usr/share/man/man5/nuthatch.yml.5.gz", "usr/share/bash-completion/completions/nuthatch",
		"usr/lib/systemd/system/nuthatch.socket", "usr/share/nuthatch/nuthatch.schema.json", // there are no documents in this root
	} {
		if _, err := os.Stat(filepath.Join(root, path)); err != nil {
			t.Error(err)
		}
	}
}

// checkRemoved is what holds after it is removed.
func checkRemoved(t *testing.T, root string) {
	t.Helper()
	for _, path := range []string{"usr/bin/nuthatch", "usr/sbin/nutcracker", unitPath} {
		if _, err := os.Lstat(filepath.Join(root, path)); !os.IsNotExist(err) {
			t.Errorf("%s is there after the removal: %v", path, err)
		}
	}
}

// running is what the proxy says of itself, asked by root.
func running(t *testing.T, root string) (info struct {
	Version string
	PID     int
},
) {
	t.Helper()
	out, err := inRoot(root, "/usr/bin/nuthatch", "ctl", "-j", "info").Output()
	if err != nil {
		return info
	}
	if err := json.Unmarshal(out, &info); err != nil {
		t.Fatal(err)
	}
	return info
}

// appendTo adds a line to a file, as an operator would.
func appendTo(t *testing.T, path, line string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(line); err != nil {
		t.Fatal(err)
	}
}

// An installation is a clean root in which the packages are installed, and what runs there.
type installation struct {
	t       *testing.T
	root    string
	service *exec.Cmd
	asked   func() string // what systemd was asked to do since the last time
}

// TestInstall installs, runs, upgrades and removes the packages in a clean root, and runs what the
// installed unit runs. The program hands over to the upgrade.
func TestInstall(t *testing.T) {
	i := &installation{t: t, root: cleanRoot(t)}
	leaveTheMachine(t)
	mountProc(t, i.root)
	runInRoot(t, i.root, "dpkg", "-i", i.copyIn(result(t, built, "*_"+arch+".deb")))
	checkInstalled(t, i.root)
	i.checkUnits()
	i.serve()
	i.reload()
	now := i.upgrade()
	i.end(now)
	i.remove()
	i.otherForm()
}

// copyIn copies a file into the root, and returns its path there.
func (i *installation) copyIn(path string) string {
	i.t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(filepath.Join(i.root, "tmp", filepath.Base(path)), text, 0o600)
	}
	if err != nil {
		i.t.Fatal(err)
	}
	return "/tmp/" + filepath.Base(path)
}

// checkUnits has systemd read the units.
func (i *installation) checkUnits() {
	i.t.Helper()
	out, err := inRoot(i.root, "systemd-analyze", "verify", "--man=no", "nuthatch.service", "nuthatch.socket").CombinedOutput()
	if err != nil || strings.Contains(string(out), "nuthatch") {
		i.t.Errorf("systemd about the units: %v\n%s", err, out)
	}
}

// serve starts the service as its unit does.
func (i *installation) serve() {
	t := i.t
	t.Helper()
	startRedis(t, "6379", "6380", "6381")
	sockets := filepath.Join(i.root, "run/nuthatch")
	if err := os.Mkdir(sockets, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(sockets, serviceUser, serviceUser); err != nil {
		t.Fatal(err)
	}
	if out, err := asService(t, i.root, "ExecStartPre").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	i.service = asService(t, i.root, "ExecStart")
	i.service.Stderr = os.Stderr
	if err := i.service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.service.Process.Kill() })
	await(t, "the service answers", func() bool { return running(t, i.root).PID != 0 })
	serves(t, "127.0.0.1:22121")
	runInRoot(t, i.root, "/usr/bin/nuthatch", "ctl", "status")
}

// reload changes the configuration, as an operator would.
func (i *installation) reload() {
	i.t.Helper()
	appendTo(i.t, filepath.Join(i.root, confPath), "  hotkeys: false # an operator's\n")
	if out, err := asService(i.t, i.root, "ExecReload").CombinedOutput(); err != nil {
		i.t.Errorf("a reload: %v\n%s", err, out)
	}
}

// upgrade installs the later version, and returns the process that has taken over.
func (i *installation) upgrade() int {
	t := i.t
	t.Helper()
	before := running(t, i.root).PID
	i.asked = fakeSystemctl(t, i.root)
	runInRoot(t, i.root, "dpkg", "-i", i.copyIn(result(t, upgrade, "*_"+arch+".deb")))
	if got := i.asked(); got != "daemon-reload\nis-active --quiet nuthatch.service\n" && !strings.Contains(got, "is-active") {
		t.Errorf("systemd is asked to %q", got)
	}
	if err := i.service.Wait(); err != nil {
		t.Errorf("the old program: %v", err)
	}
	now := running(t, i.root)
	if now.PID == 0 || now.PID == before {
		t.Fatalf("after the upgrade %+v runs; before it was %d", now, before)
	}
	t.Cleanup(func() { _ = syscall.Kill(now.PID, syscall.SIGKILL) })
	if said := runInRoot(t, i.root, "dpkg-query", "-W", "nuthatch"); !strings.Contains(said, laterVersion) {
		t.Errorf("installed is %q", said)
	}
	serves(t, "127.0.0.1:22121")
	i.keptConfiguration()
	checkInstalled(t, i.root)
	return now.PID
}

// keptConfiguration fails if the operator's line is gone.
func (i *installation) keptConfiguration() {
	i.t.Helper()
	if conf, err := os.ReadFile(filepath.Join(i.root, confPath)); err != nil || !strings.Contains(string(conf), "an operator's") {
		i.t.Errorf("the upgrade took the operator's line away: %v", err)
	}
}

// end stops the service as its unit does.
func (i *installation) end(pid int) {
	i.t.Helper()
	if out, err := asService(i.t, i.root, "ExecStop").CombinedOutput(); err != nil {
		i.t.Errorf("a stop: %v\n%s", err, out)
	}
	await(i.t, "the process has ended", func() bool { return syscall.Kill(pid, 0) != nil })
}

// remove removes the package, and then its configuration.
func (i *installation) remove() {
	t := i.t
	t.Helper()
	runInRoot(t, i.root, "dpkg", "-r", "nuthatch")
	if got := i.asked(); !strings.Contains(got, "disable --now nuthatch.socket nuthatch.service\n") {
		t.Errorf("systemd is asked to %q", got)
	}
	checkRemoved(t, i.root)
	if _, err := os.Stat(filepath.Join(i.root, confPath)); err != nil {
		t.Errorf("a removal takes the configuration: %v", err)
	}
	runInRoot(t, i.root, "dpkg", "-P", "nuthatch")
	if _, err := os.Stat(filepath.Join(i.root, confPath)); !os.IsNotExist(err) {
		t.Errorf("a purge leaves the configuration: %v", err)
	}
}

// otherForm installs, upgrades and removes the .rpm.
func (i *installation) otherForm() {
	t := i.t
	t.Helper()
	rpm := func(args ...string) { command(t, "rpm", append([]string{"--root", i.root, "--nodeps"}, args...)...) }
	rpm("-i", result(t, built, "*."+rpmArch()+".rpm"))
	checkInstalled(t, i.root)
	appendTo(t, filepath.Join(i.root, confPath), "# an operator's\n")
	_ = i.asked()
	rpm("-U", result(t, upgrade, "*."+rpmArch()+".rpm"))
	if got := i.asked(); !strings.Contains(got, "is-active") || strings.Contains(got, "disable") {
		t.Errorf("systemd is asked to %q", got)
	}
	if _, err := os.Stat(filepath.Join(i.root, "usr/bin/nuthatch")); err != nil {
		t.Errorf("after the upgrade: %v", err)
	}
	checkInstalled(t, i.root)
	i.keptConfiguration()
	rpm("-e", "nuthatch")
	checkRemoved(t, i.root)
}
