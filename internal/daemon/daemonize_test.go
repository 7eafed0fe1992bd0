package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// roleEnv makes this test binary play a program that is told to daemonize; its
// value says how the background half ends.
const roleEnv = "NUTHATCH_TEST_DAEMONIZE"

// TestDaemonizedProgram is no test by itself: it is the program that the other
// tests start, and does nothing unless they do.
func TestDaemonizedProgram(t *testing.T) {
	role := os.Getenv(roleEnv)
	if role == "" {
		return
	}
	report, err := Daemonize()
	if report == nil {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	switch role {
	case "serves":
		facts := daemonFacts()
		if err := os.WriteFile(os.Getenv("NUTHATCH_TEST_FACTS"), []byte(facts), 0o666); err != nil {
			report(err)
			os.Exit(1)
		}
		report(nil)
	case "fails":
		report(errors.New("listen tcp 127.0.0.1:22121: address already in use"))
		os.Exit(1)
	case "dies":
		os.Exit(7)
	}
	os.Exit(0)
}

// daemonFacts describes the background process as it sees itself.
func daemonFacts() string {
	sid, _, _ := syscall.RawSyscall(syscall.SYS_GETSID, 0, 0, 0)
	var b strings.Builder
	fmt.Fprintf(&b, "leads its session: %t\n", int(sid) == os.Getpid())
	for fd := range 3 {
		target, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		fmt.Fprintf(&b, "fd %d: %s %v\n", fd, target, err)
	}
	_, marked := os.LookupEnv(daemonMarker)
	fmt.Fprintf(&b, "marker left: %t\n", marked)
	return b.String()
}

// runDaemonized starts the program in the given role, called by name, and
// returns its exit status and what it wrote on standard error.
func runDaemonized(t *testing.T, name, role, facts string) (status int, stderr string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	cmd := exec.Command(self, "-test.run=^TestDaemonizedProgram$")
	cmd.Args[0] = name
	cmd.Env = append(os.Environ(), roleEnv+"="+role, "NUTHATCH_TEST_FACTS="+facts)
	cmd.Stderr = &b
	if err := cmd.Run(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			t.Fatal(err)
		}
	}
	return cmd.ProcessState.ExitCode(), b.String()
}

func TestDaemonize(t *testing.T) {
	facts := filepath.Join(t.TempDir(), "facts")
	status, stderr := runDaemonized(t, os.Args[0], "serves", facts)
	if status != 0 || stderr != "" {
		t.Fatalf("exit status %d, standard error %q; want 0 and nothing", status, stderr)
	}
	got, err := os.ReadFile(facts) // written before the report, so it is there
	if err != nil {
		t.Fatal(err)
	}
	want := "leads its session: true\n" +
		"fd 0: /dev/null <nil>\nfd 1: /dev/null <nil>\nfd 2: /dev/null <nil>\n" +
		"marker left: false\n"
	if string(got) != want {
		t.Errorf("the daemon found\n%swant\n%s", got, want)
	}
	st, err := os.Stat(facts)
	if err != nil {
		t.Fatal(err)
	}
	if mode := st.Mode().Perm(); mode != 0o666 {
		t.Errorf("the daemon's files get mode %o, want 666: the mask is not 0", mode)
	}
}

func TestDaemonizeTellsFailure(t *testing.T) {
	tests := []struct{ role, want string }{
		{"fails", "listen tcp 127.0.0.1:22121: address already in use\n"},
		{"dies", "daemon: the background process ended before it listened: exit status 7\n"},
	}
	for _, tt := range tests {
		t.Run(tt.role, func(t *testing.T) {
			status, stderr := runDaemonized(t, os.Args[0], tt.role, "")
			if status != 1 || stderr != tt.want {
				t.Errorf("exit status %d, standard error %q; want 1 and %q", status, stderr, tt.want)
			}
		})
	}
}

func TestDaemonizeByAnyName(t *testing.T) {
	link := filepath.Join(t.TempDir(), "nutcracker")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{link, "a name that leads nowhere"} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			facts := filepath.Join(t.TempDir(), "facts")
			if status, stderr := runDaemonized(t, name, "serves", facts); status != 0 {
				t.Errorf("exit status %d: %s", status, stderr)
			}
		})
	}
}

// TestDaemonizeIgnoresFalseMarker: the marker alone, without the pipe, must not
// make a process believe that somebody waits for its report.
func TestDaemonizeIgnoresFalseMarker(t *testing.T) {
	t.Setenv(daemonMarker, "1")
	if pipe := inheritedPipe(); pipe != nil {
		t.Errorf("inheritedPipe took descriptor %d for the report pipe", daemonPipe)
	}
}
