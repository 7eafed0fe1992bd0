package integration

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"nuthatch/internal/testkit"
)

// A replaceable is a proxy whose program a test replaces.
type replaceable struct {
	*testkit.Proxy
	t       *testing.T
	dir     string
	program string // where it was started from
	pids    string // the file that new programs write their pids to
}

func startReplaceable(t *testing.T, yaml string) *replaceable {
	t.Helper()
	dir := t.TempDir()
	r := &replaceable{t: t, program: filepath.Join(dir, "program"), pids: filepath.Join(dir, "pids"), dir: dir}
	if err := os.Symlink(testkit.Binary(t), r.program); err != nil {
		t.Fatal(err)
	}
	r.Proxy = testkit.StartNuthatch(t, yaml, testkit.From(r.program))
	return r
}

// put replaces the program by a script. BIN in it stands for nuthatch, PIDS for the
// file of pids.
func (r *replaceable) put(script string) {
	r.t.Helper()
	script = strings.NewReplacer("BIN", testkit.Binary(r.t), "PIDS", r.pids).Replace(script)
	next := r.program + ".next"
	err := errors.Join(os.WriteFile(next, []byte("#!/bin/sh\n"+script+"\n"), 0o700), os.Rename(next, r.program))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		for _, pid := range r.started() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
}

// started are the pids of the new programs.
func (r *replaceable) started() (pids []int) {
	text, err := os.ReadFile(r.pids)
	if err != nil {
		return nil
	}
	for word := range strings.FieldsSeq(string(text)) {
		if pid, err := strconv.Atoi(word); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// upgradeTo sends SIGUSR2 and waits until n new programs, or parts of one, run.
func (r *replaceable) upgradeTo(n int) []int {
	r.t.Helper()
	r.Signal(syscall.SIGUSR2)
	testkit.Await(r.t, "the new program to run", func() error {
		if got := r.started(); len(got) < n {
			return fmt.Errorf("%d of %d do", len(got), n)
		}
		return nil
	})
	return r.started()
}

// awaitEnd waits until the processes have ended and nobody listens.
func (r *replaceable) awaitEnd(pids []int) {
	r.t.Helper()
	testkit.Await(r.t, "the new program to end", func() error {
		if i := slices.IndexFunc(pids, alive); i >= 0 {
			return fmt.Errorf("%d is alive", pids[i])
		}
		return r.unserved()
	})
}

// unserved tells who listens.
func (r *replaceable) unserved() error {
	for _, addr := range append(slices.Clone(r.Addrs), r.StatsAddr) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return fmt.Errorf("somebody listens at %s", addr)
		}
	}
	return nil
}

// The ways in which a new program hangs: one that is none of ours, one that is
// behind a script, and ours at its configuration.
var hungPrograms = map[string]struct {
	script string
	pids   int
	// prepare makes it hang.
	prepare func(r *replaceable)
	// orphan: a part of it is out of the reach of whoever is killed.
	orphan bool
}{
	"another program": {script: "echo $$ >> PIDS; exec sleep 300", pids: 1},
	"behind a script": {script: "sleep 300 & echo $$ $! >> PIDS; wait", pids: 2, orphan: true},
	"deaf to signals": {script: "trap '' INT TERM HUP; echo $$ >> PIDS; exec sleep 300", pids: 1},
	"at its configuration": {script: "echo $$ >> PIDS; exec BIN \"$@\"", pids: 1, prepare: func(r *replaceable) {
		if err := errors.Join(os.Remove(r.Config), syscall.Mkfifo(r.Config, 0o600)); err != nil {
			r.t.Fatal(err)
		}
		writer, err := os.OpenFile(r.Config, os.O_RDWR, 0) // it writes nothing; without one the file is empty
		if err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() { writer.Close() })
	}},
}

// TestHungUpgrade: the new program hangs, and the old one is told to end, in every
// way, or the new one is killed. Nobody keeps a listener, and nothing waits.
func TestHungUpgrade(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	pool := testkit.Pool{Name: "alpha", Protocol: testkit.Redis, Servers: testkit.Names(server)}.String()
	for name, hung := range hungPrograms {
		for _, end := range []string{"TERM", "INT", "USR2 TERM", "KILL", "new KILL"} {
			t.Run(name+"/"+end, func(t *testing.T) {
				t.Parallel()
				r := startReplaceable(t, pool)
				r.put(hung.script)
				if hung.prepare != nil {
					hung.prepare(r)
				}
				pids := r.upgradeTo(hung.pids)
				switch end {
				case "TERM":
					r.Signal(syscall.SIGTERM)
				case "INT":
					r.Signal(syscall.SIGINT)
				case "USR2 TERM":
					r.Signal(syscall.SIGUSR2)
					awaitLogged(t, r.Proxy, 1, "upgrade refused")
					r.Signal(syscall.SIGTERM)
				case "KILL":
					r.Kill()
				default:
					for _, pid := range pids {
						_ = syscall.Kill(pid, syscall.SIGKILL)
					}
					awaitLogged(t, r.Proxy, 1, "upgrade failed: this program goes on")
					if got := successor(t, r.Proxy); got != r.Pid() {
						t.Errorf("the pid file has %d, want %d", got, r.Pid())
					}
					if got := r.Dial(testkit.Redis).Do("PING"); got != "+PONG\r\n" {
						t.Errorf("PING after the failed upgrade: %q", got)
					}
					return
				}
				if end != "KILL" {
					if state := r.Wait(); !state.Success() {
						t.Errorf("the old program ended with %v", state)
					}
					if _, err := os.Stat(r.PidFile); err == nil {
						t.Error("the pid file is left")
					}
				} else if hung.orphan {
					pids = pids[:1] // the script goes, and what it has started holds nothing
				}
				r.awaitEnd(pids)
				if logged(t, r.Proxy, "program upgraded") > 0 {
					t.Error("the log says that the program was upgraded")
				}
			})
		}
	}
}

// TestUpgradeAndKilled: the old program is killed at each moment of an upgrade. Either
// the new one serves and the pid file leads to it, or nobody has the listeners.
func TestUpgradeAndKilled(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	pool := testkit.Pool{Name: "alpha", Protocol: testkit.Redis, Servers: testkit.Names(server)}.String()
	moments := map[string]func(r *replaceable) error{
		"at once": func(*replaceable) error { return nil },
		"the new program runs": func(r *replaceable) error {
			if len(r.started()) == 0 {
				return errors.New("it does not run")
			}
			return nil
		},
		"the pid file is the new program's": func(r *replaceable) error {
			if text, err := os.ReadFile(r.PidFile); err != nil || string(text) == strconv.Itoa(r.Pid()) {
				return fmt.Errorf("it has %s, %w", text, err)
			}
			return nil
		},
		"it is upgraded": func(r *replaceable) error {
			if logged(r.t, r.Proxy, "program upgraded") == 0 {
				return errors.New("it is not")
			}
			return nil
		},
	}
	for name, come := range moments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range rounds(t, 3) {
				r := startReplaceable(t, pool)
				r.put("echo $$ >> PIDS; exec BIN \"$@\"")
				r.Signal(syscall.SIGUSR2)
				testkit.Await(t, "the moment", func() error { return come(r) })
				r.Kill()
				served := false
				testkit.Await(t, "one or none to serve", func() error {
					pid := successor(t, r.Proxy)
					if conn, err := net.Dial("tcp", r.Addr()); err == nil && pid != r.Pid() && alive(pid) &&
						logged(t, r.Proxy, "started on pid "+strconv.Itoa(pid)) > 0 {
						served = true
						conn.Close()
						return nil
					}
					if slices.ContainsFunc(r.started(), alive) {
						return errors.New("a new program is there and does not serve")
					}
					return r.unserved()
				})
				if served {
					if got := r.Dial(testkit.Redis).Do("PING"); got != "+PONG\r\n" {
						t.Errorf("PING: %q", got)
					}
					endProcess(t, successor(t, r.Proxy))
				} else if name == "it is upgraded" {
					t.Error("nobody serves after the upgrade")
				}
			}
		})
	}
}

// TestUpgradeTellsTheServiceManager: the main process is the one that serves, also if
// what was started has put it into the background.
func TestUpgradeTellsTheServiceManager(t *testing.T) {
	server := testkit.StartRedis(t)
	pool := testkit.Pool{Name: "alpha", Protocol: testkit.Redis, Servers: testkit.Names(server)}.String()
	for name, script := range map[string]string{
		"in the foreground": "exec BIN \"$@\"",
		"in the background": "setsid BIN \"$@\" &",
	} {
		t.Run(name, func(t *testing.T) {
			at := testkit.SocketPath(t, "notify")
			manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer manager.Close()
			t.Setenv("NOTIFY_SOCKET", at)
			r := startReplaceable(t, pool)
			r.put(script)
			pid := upgrade(t, r.Proxy, r.Pid())
			if got := r.Dial(testkit.Redis).Do("PING"); got != "+PONG\r\n" {
				t.Errorf("PING: %q", got)
			}
			buf := make([]byte, 256)
			for want := fmt.Sprintf("MAINPID=%d", pid); ; {
				n, err := manager.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				if got := string(buf[:n]); got == want {
					break
				} else if strings.HasPrefix(got, "MAINPID") {
					t.Fatalf("the manager is told %s, want %s", got, want)
				}
			}
		})
	}
}

// TestUpgradeOfManyListeners: more of them than one message carries.
func TestUpgradeOfManyListeners(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	var pools strings.Builder
	for i := range 150 {
		pools.WriteString(testkit.Pool{Name: fmt.Sprintf("p%d", i), Protocol: testkit.Redis, Servers: testkit.Names(server)}.String())
	}
	p := testkit.StartNuthatch(t, pools.String())
	upgrade(t, p, p.Pid())
	for _, addr := range p.Addrs {
		if got := testkit.Dial(t, testkit.Redis, addr).Do("PING"); got != "+PONG\r\n" {
			t.Errorf("PING: %q", got)
		}
	}
}

// TestOrdersDuringAHungUpgrade: what has nothing to do with it does not wait for it.
func TestOrdersDuringAHungUpgrade(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	at := testkit.SocketPath(t, "admin")
	r := startReplaceable(t, testkit.Pool{Name: "alpha", Protocol: testkit.Redis, Servers: []string{server.Entry("s1")}}.String()+
		"nuthatch:\n  admin: "+at+"\n")
	r.put("echo $$ >> PIDS; exec sleep 300")
	pids := r.upgradeTo(1)
	for _, order := range []struct {
		args, want string
		fails      bool
	}{
		{"disable alpha s1", "", false},
		{"reconnect alpha", "", false},
		{"enable alpha s1", "", false},
		{"upgrade", "an upgrade is under way", true},
		{"drain", "", false},
	} {
		args := append([]string{"ctl", "-a", at}, strings.Fields(order.args)...)
		out, err := exec.Command(testkit.Binary(t), args...).CombinedOutput()
		if (err != nil) != order.fails || !strings.Contains(string(out), order.want) {
			t.Errorf("%s: %v, %s", order.args, err, out)
		}
	}
	if state := r.Wait(); !state.Success() {
		t.Errorf("the old program ended with %v", state)
	}
	r.awaitEnd(pids)
}
