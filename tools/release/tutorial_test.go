package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A reader follows the tutorial: one step after the other, in a folder of his own.
type reader struct {
	t   *testing.T
	dir string
	env []string
}

// fence is a block of code in a document: its language, and what is in it.
var fence = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")

// TestTutorial does what the tutorial says, as printed, and sees what it promises: a server is
// added, one fails, and it is well again.
func TestTutorial(t *testing.T) {
	text, err := os.ReadFile("../../docs/TUTORIAL.md")
	if err != nil {
		t.Fatal(err)
	}
	r := newReader(t)
	steps := fence.FindAllStringSubmatch(string(text), -1)
	promised := map[string][]string{
		"get user:1\nnuthatch ctl status": {"nothing needs a look"},
		"nuthatch ctl reload":             {"reloaded"},
		"nuthatch ctl where":              {"one", "two", "three", "v1", "v10", "v20"},
		"for i in $(seq 12)":              {"Connection refused", "v1", "v12"},
		"nuthatch ctl events":             {"server two (127.0.0.1:6380) answers again after"},
	}
	for i, step := range steps {
		switch code := step[2]; step[1] {
		case "yaml":
			name := strings.TrimPrefix(strings.SplitN(code, "\n", 2)[0], "# ")
			if err := os.WriteFile(filepath.Join(r.dir, name), []byte(code), 0o600); err != nil {
				t.Fatal(err)
			}
		case "sh":
			var want []string
			for part, lines := range promised {
				if strings.Contains(code, part) {
					want = append(want, lines...)
					delete(promised, part)
				}
			}
			if i+1 < len(steps) && steps[i+1][1] == "" {
				want = append(want, strings.Split(strings.TrimSpace(steps[i+1][2]), "\n")...)
			}
			r.follow(code, want)
		}
	}
	if len(promised) > 0 {
		t.Errorf("the tutorial has no step with %q", promised)
	}
}

func newReader(t *testing.T) *reader {
	t.Helper()
	archive := result(t, built, "*_linux_"+arch+".tar.gz")
	leaveTheMachine(t)
	if err := unix.Mount("run", "/run", "tmpfs", 0, ""); err != nil { // where root's proxy has its socket
		t.Fatal(err)
	}
	r := &reader{t: t, dir: t.TempDir()}
	command(t, "tar", "-x", "-C", r.dir, "--strip-components=1", "-f", archive)
	r.env = []string{"PATH=" + r.dir + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + r.dir}
	t.Cleanup(func() {
		for _, port := range []string{"6379", "6380", "6381"} {
			_ = exec.Command("redis-cli", "-p", port, "shutdown", "nosave").Run()
		}
	})
	return r
}

// follow types a step, and waits until it shows what it should. What starts something is typed
// once.
func (r *reader) follow(code string, want []string) {
	r.t.Helper()
	if begin, serve, ok := strings.Cut(code, "nuthatch -c "); ok {
		r.enter(begin)
		r.serve("nuthatch -c " + serve)
		return
	}
	shown := ""
	lacks := func(line string) bool { return !strings.Contains(number(shown), number(strings.TrimSpace(line))) }
	defer func() {
		if r.t.Failed() {
			r.t.Logf("%s\nshows\n%s\nand should show\n%s", code, shown, strings.Join(want, "\n"))
		}
	}()
	await(r.t, "the tutorial's step shows what it should", func() bool {
		shown = r.enter(code)
		return !slices.ContainsFunc(want, lacks)
	})
}

// number puts N in the place of figures that differ from one run to the next.
func number(text string) string {
	return regexp.MustCompile(`\d+(\.\d+)?(s| of | requests)`).ReplaceAllString(text, "N$2")
}

// serve starts the proxy in the reader's other terminal.
func (r *reader) serve(line string) {
	r.t.Helper()
	cmd := r.shell("exec " + line)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	r.await("22121")
}

// enter types lines, and returns what they show. A server that they start is up before the next
// step, as it is for somebody who reads on.
func (r *reader) enter(code string) string {
	r.t.Helper()
	out, err := r.shell(code).CombinedOutput()
	if err != nil && !strings.Contains(code, "ctl status") {
		r.t.Fatalf("%s: %v\n%s", code, err, out)
	}
	for _, started := range regexp.MustCompile(`redis-server --port (\d+)`).FindAllStringSubmatch(code, -1) {
		r.await(started[1])
	}
	return string(bytes.TrimSpace(out))
}

func (r *reader) shell(code string) *exec.Cmd {
	cmd := exec.Command("bash", "-e", "-c", code)
	cmd.Dir, cmd.Env = r.dir, r.env
	return cmd
}

func (r *reader) await(port string) {
	r.t.Helper()
	await(r.t, "something listens at "+port, func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}
