package compat

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"nuthatch/internal/testkit"
)

// run runs a program that ends by itself and returns its exit code and all that
// it wrote. It runs in dir.
func run(t *testing.T, dir, path string, args ...string) (code int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %q: %v", path, args, err)
	}
	if ctx.Err() != nil {
		t.Fatalf("%s %q does not end; so far:\n%s", path, args, out)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// programs are nutcracker and nuthatch.
func programs(t *testing.T) [2]string {
	t.Helper()
	return [2]string{testkit.Program(t, "nutcracker"), testkit.Binary(t)}
}

// valid is a configuration that nobody needs to serve.
const valid = `alpha:
  listen: 127.0.0.1:1
  hash: fnv1a_64
  distribution: ketama
  redis: true
  servers:
    - 127.0.0.1:2:1 one
`

// Each command line ends with nutcracker's exit code and says, somewhere in its
// output, what both must say.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	paths := programs(t)
	dir := t.TempDir()
	noWarning := valid + "  timeout: 400\n"
	if err := os.WriteFile(filepath.Join(dir, "good.yml"), []byte(noWarning), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		both string // a regular expression for the output
	}{
		{"-h", 0, `(?s)This is .*Usage: .*-v.*-o.*-c.*-s.*-a.*-i.*-p.*-m`},
		{"--help", 0, `Usage: `},
		{"-V", 0, `^This is (nutcracker|nuthatch)-\d+\.\d+\.\d+`},
		{"--version", 0, `^This is (nutcracker|nuthatch)-\d+\.\d+\.\d+`},
		{"-hV", 0, `Usage: `},
		{"-V -x", 1, `invalid option -- 'x'`},
		{"-t -c good.yml", 0, `: configuration file 'good.yml' syntax is ok\n$`},
		{"-tc good.yml", 0, `syntax is ok\n$`},
		{"-tcgood.yml", 0, `syntax is ok\n$`},
		{"--test-conf --conf-file=good.yml", 0, `syntax is ok\n$`},
		{"--test-conf --conf-file good.yml", 0, `syntax is ok\n$`},
		{"-t -c missing.yml", 1, `missing\.yml`},
		{"-x", 1, `(?s)invalid option -- 'x'.*Usage: |Usage: .*invalid option -- 'x'`}, // nuthatch's fault stands last
		{"--nonsense", 1, `Usage: `},
		{"-c", 1, `option -c requires a file name`},
		{"-o", 1, `option -o requires a file name`},
		{"-p", 1, `option -p requires a file name`},
		{"-v", 1, `option -v requires a number`},
		{"-v loud", 1, `option -v requires a number`},
		{"-s", 1, `option -s requires a number`},
		{"-s many", 1, `option -s requires a number`},
		{"-s 0", 1, `option -s value 0 is not a valid port`},
		{"-s 65536", 1, `option -s value 65536 is not a valid port`},
		{"-i", 1, `option -i requires a number`},
		{"-i often", 1, `option -i requires a number`},
		{"-a", 1, `option -a requires a string`},
		{"-m", 1, `option -m requires a number`},
		{"-m 0", 1, `option -m requires a non-zero number`},
		{"-m big", 1, `option -m requires a non-zero number`},
		{"-m 511", 1, `mbuf chunk size must be between 512 and 16777216 bytes`},
		{"-m 16777217", 1, `mbuf chunk size must be between 512 and 16777216 bytes`},
		{"-m 512 -t -c good.yml", 0, `syntax is ok\n$`},
		{"-v 99 -t -c good.yml", 0, `syntax is ok\n$`},
		{"-c missing.yml -o log -p pid -s 1", 1, ``},
		{"-c good.yml -o no/such/folder -p pid -s 1", 1, `no/such/folder`},
	} {
		t.Run(c.args, func(t *testing.T) {
			for _, path := range paths {
				code, output := run(t, dir, path, strings.Fields(c.args)...)
				if code != c.code {
					t.Errorf("%s exits with %d, want %d:\n%s", path, code, c.code, output)
				}
				if !regexp.MustCompile(c.both).MatchString(output) {
					t.Errorf("%s does not say %s:\n%s", path, c.both, output)
				}
			}
		})
	}
}

// A word that is no option is nothing to nutcracker. To nuthatch, which has
// commands, it is a command that it does not know.
func TestCommandLineWords(t *testing.T) {
	t.Parallel()
	paths := programs(t)
	if code, output := run(t, ".", paths[0], "extra", "-V"); code != 0 {
		t.Errorf("nutcracker exits with %d:\n%s", code, output)
	}
	if code, output := run(t, ".", paths[1], "extra", "-V"); code != 1 || !strings.Contains(output, "extra") {
		t.Errorf("nuthatch exits with %d:\n%s", code, output)
	}
}

// -D describes the statistics: the same ones, in the same order and form, in
// words of its own.
func TestDescribeStats(t *testing.T) {
	t.Parallel()
	paths := programs(t)
	names := func(path, flag string) string {
		code, output := run(t, ".", path, flag)
		if code != 0 {
			t.Errorf("%s %s exits with %d", path, flag, code)
		}
		_, output, _ = strings.Cut(output, "pool stats:\n")
		return regexp.MustCompile(`"[^"\n]{5,}"`).ReplaceAllString(output, "words")
	}
	for _, flag := range []string{"-D", "--describe-stats"} {
		want, got := strings.TrimSpace(names(paths[0], flag)), strings.TrimSpace(names(paths[1], flag))
		if got != want || strings.Count(want, "words") != 19 {
			t.Errorf("%s: got\n%s\nwant\n%s", flag, got, want)
		}
	}
}

// onlyNuthatch stands for an exit code: nuthatch takes the file, nutcracker
// 0.5.0 does not, because it lacks the key.
const onlyNuthatch = -1

// What nutcracker refuses, or takes, in a configuration file.
func TestConfigurationVerdicts(t *testing.T) {
	t.Parallel()
	paths := programs(t)
	without := func(line string) string { return strings.Replace(valid, line, "", 1) }
	with := func(old, replacement string) string { return strings.Replace(valid, old, replacement, 1) }
	add := func(lines string) string { return with("  redis: true\n", "  redis: true\n"+lines) }
	for _, c := range []struct {
		name, yaml string
		code       int
	}{
		{"as it is", valid, 0},
		{"every key", add("  timeout: 400\n  backlog: 64\n  client_connections: 100\n  tcpkeepalive: true\n" +
			"  preconnect: false\n  redis_auth: x\n  redis_db: 0\n  server_connections: 1\n" +
			"  auto_eject_hosts: true\n  server_retry_timeout: 30000\n  server_failure_limit: 2\n  hash_tag: \"{}\"\n"), 0},
		{"two pools", valid + strings.Replace(strings.Replace(valid, "alpha", "beta", 1), "127.0.0.1:1", "127.0.0.1:3", 1), 0},
		{"a comment", "# words\n" + valid, 0},
		{"reuseport", add("  reuseport: true\n"), onlyNuthatch},
		{"redis_db without redis", with("redis: true", "redis_db: 1"), 0},
		{"a high redis_db", add("  redis_db: 99\n"), 0},
		{"no failure limit", add("  server_failure_limit: 0\n"), 0},
		{"no timeout", add("  timeout: 0\n"), 0},
		{"no backlog", add("  backlog: 0\n"), 0},
		{"two server connections", add("  server_connections: 2\n"), 0},
		{"a socket", with("listen: 127.0.0.1:1", "listen: /tmp/nowhere 0666"), 0},
		{"a socket without a mode", with("listen: 127.0.0.1:1", "listen: /tmp/nowhere"), 0},
		{"server by socket", with("127.0.0.1:2:1 one", "/tmp/nowhere:1 one"), 0},
		{"without a name", with(" one", ""), 0},
		{"no hash", without("  hash: fnv1a_64\n"), 0},
		{"no distribution", without("  distribution: ketama\n"), 0},
		{"no redis", without("  redis: true\n"), 0},

		{"empty", "", 1},
		{"not YAML", "{{{{", 1},
		{"only a pool's name", "alpha:\n", 1},
		{"no listen", without("  listen: 127.0.0.1:1\n"), 1},
		{"no servers", with("    - 127.0.0.1:2:1 one\n", ""), 1},
		{"misspelt key", with("hash:", "hsah:"), 1},
		{"key twice", add("  timeout: 1\n  timeout: 2\n"), 1},
		{"pool twice", valid + valid, 1},
		{"listen twice", valid + strings.Replace(valid, "alpha", "beta", 1), 1},
		{"listen without a port", with("127.0.0.1:1\n", "127.0.0.1\n"), 1},
		{"listen on port 0", with("127.0.0.1:1\n", "127.0.0.1:0\n"), 1},
		{"listen on port 65536", with("127.0.0.1:1\n", "127.0.0.1:65536\n"), 1},
		{"server without a weight", with("127.0.0.1:2:1 one", "127.0.0.1:2"), 1},
		{"server with weight 0", with("127.0.0.1:2:1 one", "127.0.0.1:2:0 one"), 1},
		{"server with a negative weight", with("127.0.0.1:2:1 one", "127.0.0.1:2:-1 one"), 1},
		{"server named twice", with("one\n", "one\n    - 127.0.0.1:3:1 one\n"), 1},
		{"server twice", with("127.0.0.1:2:1 one\n", "127.0.0.1:2:1\n    - 127.0.0.1:2:1\n"), 1},
		{"unknown hash", with("fnv1a_64", "sha1"), 1},
		{"unknown distribution", with("ketama", "maglev"), 1},
		{"hash tag of one character", add("  hash_tag: \"{\"\n"), 1},
		{"hash tag of three characters", add("  hash_tag: \"{x}\"\n"), 1},
		{"timeout in words", add("  timeout: soon\n"), 1},
		{"negative timeout", add("  timeout: -1\n"), 1},
		{"backlog in words", add("  backlog: many\n"), 1},
		{"redis is not a boolean", with("redis: true", "redis: maybe"), 1},
		{"redis_auth without redis", with("redis: true", "redis_auth: x"), 1},
		{"negative redis_db", add("  redis_db: -1\n"), 1},
		{"no server connections", add("  server_connections: 0\n"), 1},
		{"a list where a value belongs", with("hash: fnv1a_64", "hash:\n    - fnv1a_64"), 1},
		{"a value where a list belongs", with("servers:\n    - 127.0.0.1:2:1 one", "servers: 127.0.0.1:2:1"), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "nutcracker.yml")
			if err := os.WriteFile(file, []byte(c.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			for i, path := range paths {
				want := c.code
				if want == onlyNuthatch {
					want = 1 - i
				}
				if code, output := run(t, ".", path, "-t", "-c", file); code != want {
					t.Errorf("%s -t exits with %d, want %d:\n%s", path, code, want, output)
				}
			}
		})
	}
}

// bothProxies starts each proxy in turn, over a server that refuses, and hands
// it to use.
func bothProxies(t *testing.T, use func(t *testing.T, p *testkit.Proxy, isNuthatch bool), opts ...testkit.Option) {
	t.Helper()
	for i, start := range []func(testing.TB, string, ...testkit.Option) *testkit.Proxy{
		testkit.StartNutcracker, testkit.StartNuthatch,
	} {
		t.Run([]string{"nutcracker", "nuthatch"}[i], func(t *testing.T) {
			yaml := testkit.Pool{Protocol: testkit.Redis, Servers: []string{testkit.Entry(testkit.Refused(t), 1, "")}}.String()
			use(t, start(t, yaml, opts...), i == 1)
		})
	}
}

func readFile(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(b)
}

// SIGTTIN and SIGTTOU move the log level, and the log says so; SIGUSR1 and
// SIGUSR2 do no harm.
func TestLogLevelSignals(t *testing.T) {
	t.Parallel()
	bothProxies(t, func(t *testing.T, p *testkit.Proxy, _ bool) {
		for _, c := range []struct {
			signal syscall.Signal
			level  int
		}{
			{syscall.SIGTTIN, 6}, {syscall.SIGTTIN, 7}, {syscall.SIGTTOU, 6}, {syscall.SIGTTOU, 5}, {syscall.SIGTTOU, 4},
		} {
			said := regexp.MustCompile(fmt.Sprintf(`(?i)level.*\b%d\b`, c.level))
			before := len(said.FindAllString(readFile(p.Log), -1))
			p.Signal(c.signal)
			testkit.Await(t, fmt.Sprintf("the log to tell of level %d", c.level), func() error {
				if len(said.FindAllString(readFile(p.Log), -1)) == before {
					return errors.New(readFile(p.Log))
				}
				return nil
			})
		}
		p.Signal(syscall.SIGUSR1)
		p.Signal(syscall.SIGUSR2)
		c := p.Dial(testkit.Redis)
		if got := c.Do("PING"); got != "+PONG\r\n" {
			t.Errorf("PING gets %q", got)
		}
	})
}

// The log names each signal, and says what it brings, in nutcracker's words. SIGSEGV,
// sent from outside, ends either proxy.
func TestSignalsAreNamed(t *testing.T) {
	t.Parallel()
	said := regexp.MustCompile(`signal \d+ \(SIG[A-Z0-9]+\) received, [a-z ]+[a-z]`)
	var lines [2][]string
	for i, start := range []func(testing.TB, string, ...testkit.Option) *testkit.Proxy{testkit.StartNutcracker, testkit.StartNuthatch} {
		p := start(t, testkit.Pool{Protocol: testkit.Redis, Servers: []string{testkit.Entry(testkit.Refused(t), 1, "")}}.String(), testkit.Crashes())
		for n, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGSEGV} {
			awaitIdle(t, p)
			p.Signal(signal)
			testkit.Await(t, "the log to tell of "+signal.String(), func() error {
				if len(said.FindAllString(readFile(p.Log), -1)) != n+1 {
					return errors.New(readFile(p.Log))
				}
				return nil
			})
		}
		lines[i] = said.FindAllString(readFile(p.Log), -1)
		if state := p.Wait(); state.Success() {
			t.Errorf("after SIGSEGV: %v", state)
		}
	}
	for n, line := range lines[1] { // whose line has a member behind it
		if line = strings.TrimSuffix(line, " signal"); line != lines[0][n] {
			t.Errorf("nuthatch logs %q, nutcracker %q", line, lines[0][n])
		}
	}
}

// awaitIdle waits until a program sleeps, and so has dealt with its last signal. nutcracker
// opens its log anew in the signal's handler: what another handler logs in between is lost.
func awaitIdle(t *testing.T, p *testkit.Proxy) {
	t.Helper()
	testkit.Await(t, "the program to sleep", func() error {
		_, behind, _ := strings.Cut(readFile(fmt.Sprintf("/proc/%d/stat", p.Pid())), ") ")
		if !strings.HasPrefix(behind, "S ") {
			return fmt.Errorf("its state is %q", behind)
		}
		return nil
	})
}

// SIGHUP reopens the log: after a move of the file, a new one appears under the
// old name and gets what follows.
func TestLogReopen(t *testing.T) {
	t.Parallel()
	bothProxies(t, func(t *testing.T, p *testkit.Proxy, _ bool) {
		if err := os.Rename(p.Log, p.Log+".1"); err != nil {
			t.Fatal(err)
		}
		p.Signal(syscall.SIGHUP)
		testkit.Await(t, "the new log", func() error {
			_, err := os.Stat(p.Log)
			return err
		})
		awaitIdle(t, p)
		p.Signal(syscall.SIGTTOU)
		testkit.Await(t, "words in the new log", func() error {
			if !strings.Contains(readFile(p.Log), "level") {
				return fmt.Errorf("it has %q", readFile(p.Log))
			}
			return nil
		})
	})
}

// SIGINT and SIGTERM end the process and its clients' connections. nuthatch has
// a pid file until then, which nutcracker only has as a daemon and leaves
// behind.
func TestEndingSignals(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			bothProxies(t, func(t *testing.T, p *testkit.Proxy, isNuthatch bool) {
				if got := strings.TrimSpace(readFile(p.PidFile)); isNuthatch && got != strconv.Itoa(p.Pid()) {
					t.Errorf("the pid file has %q, the process is %d", got, p.Pid())
				}
				idle := p.Dial(testkit.Redis)
				p.Signal(signal)
				state := p.Wait()
				idle.ExpectEnd()
				if !isNuthatch {
					return
				}
				if !state.Exited() {
					t.Errorf("it ends with %v", state)
				}
				if _, err := os.Stat(p.PidFile); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("the pid file is still there (%v)", err)
				}
			})
		})
	}
}

// -d: the command returns at once with 0, and the proxy serves in the
// background under the process id in the pid file.
func TestDaemonize(t *testing.T) {
	t.Parallel()
	for _, path := range programs(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			dir := t.TempDir()
			listen := testkit.FreeAddr(t)
			yaml := testkit.Pool{Listen: listen, Protocol: testkit.Redis, Servers: []string{testkit.Entry(testkit.Refused(t), 1, "")}}
			file, log, pidFile := filepath.Join(dir, "nutcracker.yml"), filepath.Join(dir, "log"), filepath.Join(dir, "pid")
			if err := os.WriteFile(file, []byte(yaml.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			_, port, _ := strings.Cut(testkit.FreeAddr(t), ":")
			code, output := run(t, dir, path, "-d", "-c", file, "-o", log, "-p", pidFile, "-s", port, "-a", "127.0.0.1")
			if code != 0 {
				t.Fatalf("exit code %d: %s%s", code, output, readFile(log))
			}
			var pid int
			testkit.Await(t, "the pid file", func() (err error) {
				pid, err = strconv.Atoi(strings.TrimSpace(readFile(pidFile)))
				return err
			})
			t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) }) // it may be gone
			testkit.Await(t, "PING", func() error {
				c, err := testkit.TryDial(t, testkit.Redis, listen)
				if err == nil {
					c.Send(testkit.RESP("PING"))
					c.Expect("+PONG\r\n")
				}
				return err
			})
			if session, err := syscall.Getpgid(pid); err != nil || session == syscall.Getpgrp() {
				t.Errorf("the daemon is in process group %d, like the test (%v)", session, err)
			}
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			testkit.Await(t, "the daemon's end", func() error {
				if c, err := testkit.TryDial(t, testkit.Redis, listen); err == nil {
					c.Close()
					return errors.New("it still accepts")
				}
				return nil
			})
		})
	}
}
