package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/ctl"
	"nuthatch/internal/testkit"
	"nuthatch/internal/version"
)

// outcome is what a call of the program shows to whoever made it.
type outcome struct {
	status int
	stderr string
}

// firstLine is where a fault is named; what follows it is the usage text.
func (o outcome) firstLine() string {
	line, _, _ := strings.Cut(o.stderr, "\n")
	return line
}

// lastLine is where our own name names a fault.
func (o outcome) lastLine() string {
	text := strings.TrimSuffix(o.stderr, "\n")
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// TestEveryVerbHasHelp of its own, with the options that it takes.
func TestEveryVerbHasHelp(t *testing.T) {
	for _, c := range ctl.Commands() {
		for _, args := range [][]string{{nuthatch, "ctl", c.Name, "--help"}, {nuthatch, "ctl", "help", c.Name}} {
			var stdout, stderr bytes.Buffer
			status := run(args, &stdout, &stderr)
			about, example, options := c.Guide()
			text := strings.Join(strings.Fields(stdout.String()), " ")
			if want := "Usage: nuthatch ctl [options] " + c.Name; status != 0 || stderr.Len() > 0 || !strings.HasPrefix(text, want) ||
				about == "" || !strings.Contains(text, about) || !strings.Contains(text, " Example: "+example+" Options:") {
				t.Errorf("%q: status %d, %q and %q", args, status, &stderr, &stdout)
			}
			if !strings.HasPrefix(example, "nuthatch ctl "+c.Name) {
				t.Errorf("the example of %s is %q", c.Name, example)
			}
			for _, o := range (&ctlFlags{}).table() {
				has := strings.Contains(stdout.String(), " --"+o.long+" ") || strings.Contains(stdout.String(), " --"+o.long+"=")
				if own := slices.Contains(append(options, "help", "json"), o.long); has != own && !strings.Contains(about+example, "--"+o.long) {
					t.Errorf("the help of %s has --%s: %t", c.Name, o.long, has)
				}
			}
			for line := range strings.Lines(stdout.String()) {
				if len(line) > usageWidth+1 && !strings.Contains(line, " : ") {
					t.Errorf("%s: a line is too long: %s", c.Name, line)
				}
			}
		}
	}
	var stdout, stderr bytes.Buffer
	if run([]string{nuthatch, "ctl", "pause", "-h"}, &stdout, &stderr); !strings.Contains(stdout.String(), "--for=S") || strings.Contains(stdout.String(), "--keys") {
		t.Errorf("the help of pause is %q", &stdout)
	}
}

// Faults in the command lines of subcommands stand last, below how these are used. An option that a
// command of ctl does not have is refused before the proxy is asked, and those that have it are named.
func TestFaultsOfSubcommands(t *testing.T) {
	const asks = "127.0.0.1:1" // nobody is to be asked
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"ctl", "-w", "5m"}, "nuthatch ctl: a command is missing"},
		{[]string{"ctl", "latency", "-a", asks, "--window", "1m"}, "nuthatch ctl latency: invalid option -- '-w'; commands that have it: status, stats, servers"},
		{[]string{"ctl", "-w", "10s", "clients", "-a", asks}, "nuthatch ctl clients: invalid option -- '-w'; commands that have it: status, stats, servers"},
		{[]string{"ctl", "stats", "-a", asks, "--for", "3s"}, "nuthatch ctl stats: invalid option -- '--for'; commands that have it: pause"},
		{[]string{"check", "foo"}, `nuthatch check: unexpected argument "foo"; the only one is engine`},
		{[]string{"check", "--write"}, "nuthatch check: --write needs --against-nutcracker"},
		{[]string{"check", "--keys", "0"}, "nuthatch check: needs one key or more"},
	} {
		got := runAs(t, nuthatch, tt.args...)
		which, _, _ := strings.Cut(strings.TrimPrefix(tt.want, nuthatch+" "), ":")
		help := "'" + nuthatch + " " + which + " --help' lists the options.\n"
		if got.status != exitFailure || got.lastLine() != tt.want || !strings.HasPrefix(got.firstLine(), "Usage: "+nuthatch+" "+which) || !strings.Contains(got.stderr, help) {
			t.Errorf("%q: status %d, want 1 and %q:\n%s", tt.args, got.status, tt.want, got.stderr)
		}
	}
	if got := runAs(t, nuthatch, "-v", "99", "-V"); got.firstLine() != "nuthatch: option -v: levels are 0 to 11; 99 means 11" {
		t.Errorf("-v 99: %q", got.firstLine())
	}
}

// TestWhichPoolIsChecked: of a file with several pools one has to be named.
func TestWhichPoolIsChecked(t *testing.T) {
	path := writeConf(t, "alpha:\n  listen: 127.0.0.1:1\n  servers:\n    - 127.0.0.1:3:1\nbeta:\n  listen: 127.0.0.1:2\n  servers:\n    - 127.0.0.1:3:1\n")
	const asks = "127.0.0.1:1" // nobody is to be asked
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "nuthatch check: " + path + " has several pools: say which with --pool (alpha, beta)"},
		{[]string{"--pool", "gamma"}, "nuthatch check: " + path + ` has no pool "gamma": it has alpha, beta`},
	} {
		got := runAs(t, nuthatch, append([]string{"check", "--against-nutcracker", asks, "-c", path}, tt.args...)...)
		if got.status != exitFailure || got.lastLine() != tt.want {
			t.Errorf("%q: status %d and %q, want %q", tt.args, got.status, got.lastLine(), tt.want)
		}
	}
}

// runAs calls this program by a name.
func runAs(t *testing.T, name string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := run(append([]string{"/usr/sbin/" + name}, args...), &stdout, &stderr)
	if stdout.Len() > 0 {
		t.Errorf("%s %q wrote to standard output, where nutcracker writes nothing:\n%s", name, args, &stdout)
	}
	return outcome{status, stderr.String()}
}

// runReal calls the real nutcracker. Only arguments that make it exit at once
// may be given.
func runReal(t *testing.T, args ...string) outcome {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(testkit.Program(t, nutcracker), args...)
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			t.Fatal(err)
		}
	}
	return outcome{cmd.ProcessState.ExitCode(), strings.ReplaceAll(stderr.String(), "\r\n", "\n")}
}

// commandLines are calls that make nutcracker exit at once.
var commandLines = [][]string{
	{"-V"},
	{"--version"},
	{"-h"},
	{"--help"},
	{"-D"},
	{"--describe-stats"},
	{"-hD"},
	{"-tV"},
	{"-z"},
	{"-?"},
	{"-Vz"},
	{"-V", "-z"},
	{"-z", "-V"},
	{"-Vv"},
	{"-v6V"},
	{"-Vsx"},
	{"-é"},
	{"-v"},
	{"-v", ""},
	{"-v", "x"},
	{"-v", "-1"},
	{"-v", "+1"},
	{"-v", "0x1"},
	{"-v", "1 "},
	{"-v=6"},
	{"-v="},
	{"-v", "007", "-V"},
	{"-v", "99", "-V"},
	{"-v6", "-V"},
	{"-dv6", "-V"},
	{"-v", "-V"},
	{"-s"},
	{"-s", "0"},
	{"-s", "1", "-V"},
	{"-s", "65535", "-V"},
	{"-s", "65536"},
	{"-s", "-5"},
	{"-s", "http"},
	{"-i"},
	{"-i", "-1"},
	{"-i", "0", "-V"},
	{"-i", "1s"},
	{"-m"},
	{"-m", "0"},
	{"-m", "x"},
	{"-m", "511"},
	{"-m", "512", "-V"},
	{"-m", "16777216", "-V"},
	{"-m", "16777217"},
	{"-c"},
	{"-o"},
	{"-p"},
	{"-a"},
	{"-a", "", "-V"},
	{"--verbose"},
	{"--verbose=x"},
	{"--verbose=6", "-V"},
	{"--verbose", "6", "-V"},
	{"--verbose="},
	{"--verb=3", "-V"},
	{"--daem", "-V"},
	{"--stats-p=1", "-V"},
	{"--stats-port"},
	{"--stats-addr"},
	{"--conf-file"},
	{"--output"},
	{"--pid-file"},
	{"--mbuf-size"},
	{"--mbuf-size=1"},
	{"--version=3"},
	{"--daemonize=yes"},
	{"foo", "-V"},
	{"-V", "foo"},
	{"-V", "--", "-z"},
	{"-V", "-"},
}

// TestCommandLineIsNutcrackers gives the same arguments to both programs:
// status and first line must be the same.
func TestCommandLineIsNutcrackers(t *testing.T) {
	conf := writeConf(t, "pool:\n  listen: 127.0.0.1:22121\n  servers:\n   - 127.0.0.1:6379:1\n")
	for _, args := range append(commandLines,
		[]string{"-t", "-c", conf}, []string{"-tc", conf}, []string{"-tc" + conf},
		[]string{"-t", "--conf-file=" + conf}, []string{"foo", "-t", "-c", conf},
	) {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			theirs, ours := runReal(t, args...), runAs(t, nutcracker, args...)
			if theirs.status != ours.status {
				t.Errorf("exit status %d, nutcracker's is %d", ours.status, theirs.status)
			}
			if got, want := ours.firstLine(), theirs.firstLine(); got != want {
				t.Errorf("says %q, nutcracker says %q", got, want)
			}
		})
	}
}

// TestUnknownLongOption: nutcracker shows a NUL byte for the name; the name is
// of more use.
func TestUnknownLongOption(t *testing.T) {
	tests := []struct{ arg, want string }{
		{"--zzz", "nutcracker: invalid option -- 'zzz'"},
		{"--zzz=1", "nutcracker: invalid option -- 'zzz'"},
		{"--stats", "nutcracker: invalid option -- 'stats'"}, // ambiguous
		{"--=1", "nutcracker: invalid option -- ''"},
	}
	for _, tt := range tests {
		theirs, ours := runReal(t, tt.arg), runAs(t, nutcracker, tt.arg)
		if theirs.status != ours.status || ours.firstLine() != tt.want {
			t.Errorf("%s: status %d and %q, want nutcracker's status %d and %q",
				tt.arg, ours.status, ours.firstLine(), theirs.status, tt.want)
		}
	}
}

// TestUsageHasNutcrackersOptions compares what the two usage texts offer:
// synopsis, letters, names and argument kinds, and the defaults that packages
// of nutcracker do not change.
func TestUsageHasNutcrackersOptions(t *testing.T) {
	row := regexp.MustCompile(`(?m)^  (-.), (--\S+)`)
	synopsis := regexp.MustCompile(`(?s)Usage:.*?\n\n`)
	defaults := regexp.MustCompile(`default: [0-9][0-9.]*`)
	theirs, ours := runReal(t, "-h").stderr, runAs(t, nutcracker, "-h").stderr
	for _, re := range []*regexp.Regexp{row, synopsis, defaults} {
		want, got := re.FindAllString(theirs, -1), re.FindAllString(ours, -1)
		if len(want) == 0 || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s in the usage text: %q, nutcracker's: %q", re, got, want)
		}
	}
	if strings.Contains(ours, "demo") {
		t.Error("the usage text offers subcommands under nutcracker's name")
	}
}

func TestVersion(t *testing.T) {
	tests := []struct{ name, want string }{
		{"nuthatch", "This is nuthatch-" + version.Version + "\nasync event backend: epoll, io_uring\n\n"},
		{"nutcracker", "This is nutcracker-0.5.0\nasync event backend: epoll\nserved by nuthatch-" + version.Version + "\n\n"},
		{"any other name", "This is nuthatch-" + version.Version + "\nasync event backend: epoll, io_uring\n\n"},
	}
	for _, tt := range tests {
		if got := runAs(t, tt.name, "-V"); got.status != 0 || got.stderr != tt.want {
			t.Errorf("%s -V: status %d and %q, want 0 and %q", tt.name, got.status, got.stderr, tt.want)
		}
	}
}

func TestTestConf(t *testing.T) {
	tests := []struct {
		name, conf string
		status     int
		want       []string // in this order
	}{
		{
			"valid", "pool:\n  listen: 127.0.0.1:22121\n  redis: true\n  timeout: 400\n  servers:\n   - 127.0.0.1:6379:1\n", 0,
			[]string{"nuthatch: configuration file 'FILE' syntax is ok\n"},
		},
		{
			"valid and probably wrong", "pool:\n  listen: 127.0.0.1:22121\n  servers:\n   - 127.0.0.1:6379:1\n", 0,
			[]string{
				"nuthatch: configuration file 'FILE' syntax is ok\n", "warning: FILE:1: pool 'pool': timeout: without it clients wait for ever for a server that hangs; write timeout: 400ms\n",
				"warning: FILE:4: pool 'pool': servers: port 6379 is Redis's, and the pool speaks Memcached's protocol; write redis: true\n",
				"nuthatch: warnings only: the file is valid, and is used as it stands\n",
			},
		},
		{
			"two faults", "pool:\n  listen: 127.0.0.1:22121\n  hasch: murmur\n  timeout: soon\n  servers:\n   - 127.0.0.1:6379:1\n", 1,
			[]string{"hasch", "timeout", "nuthatch: configuration file 'FILE' syntax is invalid\n"},
		},
		{"empty", "", 1, []string{"nuthatch: configuration file 'FILE' syntax is invalid\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := writeConf(t, tt.conf)
			got := runAs(t, nuthatch, "-t", "-c", path)
			if got.status != tt.status {
				t.Errorf("exit status %d, want %d", got.status, tt.status)
			}
			rest := strings.ReplaceAll(got.stderr, path, "FILE")
			for _, want := range tt.want {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Fatalf("%q is not in what is left of the output, %q", want, rest)
				}
				rest = after
			}
			if rest != "" {
				t.Errorf("%q follows the verdict", rest)
			}
		})
	}
}

func TestMissingConf(t *testing.T) {
	theirs, ours := runReal(t, "-t", "-c", "/does/not/exist"), runAs(t, nutcracker, "-t", "-c", "/does/not/exist")
	if theirs.status != ours.status || !strings.HasSuffix(ours.stderr, theirs.stderr) {
		t.Errorf("status %d and %q, want nutcracker's status %d and at the end its %q",
			ours.status, ours.stderr, theirs.status, theirs.stderr)
	}
	if !strings.Contains(ours.firstLine(), "no such file or directory") {
		t.Errorf("%q does not say what is wrong", ours.firstLine())
	}
}

// TestInvalidConfIsNotServed: the faults are told, and nothing is started.
func TestInvalidConfIsNotServed(t *testing.T) {
	path := writeConf(t, "pool:\n  listen: nowhere\n")
	got := runAs(t, nuthatch, "-d", "-c", path)
	if got.status != 1 || !strings.Contains(got.stderr, "listen") || !strings.HasSuffix(got.stderr, "is invalid, not started\n") {
		t.Errorf("status %d, standard error %q", got.status, got.stderr)
	}
}

// TestUnreadableConf: a file that is not there is not called invalid under our own name.
func TestUnreadableConf(t *testing.T) {
	for _, args := range [][]string{{"-c", "/does/not/exist"}, {"-t", "-c", "/does/not/exist"}} {
		got := runAs(t, nuthatch, args...)
		want := "nuthatch: configuration file '/does/not/exist' cannot be read; -c names another one\n"
		if got.status != 1 || !strings.Contains(got.firstLine(), "no such file") || !strings.HasSuffix(got.stderr, "\n"+want) {
			t.Errorf("%q: status %d, standard error %q", args, got.status, got.stderr)
		}
	}
}

func TestOurOwnName(t *testing.T) {
	tests := []struct {
		args []string
		want string // last line: behind two on how it is used
	}{
		{[]string{"dmeo"}, `nuthatch: unknown command "dmeo"; did you mean 'nuthatch demo'?`},
		{[]string{"relaod"}, `nuthatch: unknown command "relaod"; did you mean 'nuthatch ctl reload'?`},
		{[]string{"ctl", "relaod"}, `nuthatch ctl: no command "relaod"; did you mean "reload"? see 'nuthatch ctl help'`},
		{[]string{"ctl", "-z"}, "nuthatch ctl: invalid option -- 'z'"},
		{[]string{"-v"}, "nuthatch: option -v requires a number"},
		{[]string{"-t", "my.yml"}, `nuthatch: unexpected argument "my.yml" (a configuration file is given with -c)`},
		{[]string{"schema", "now"}, `nuthatch schema: unexpected argument "now"`},
		{[]string{"demo", "-z"}, "nuthatch demo: invalid option -- 'z'"},
		{[]string{"demo", "now"}, `nuthatch demo: unexpected argument "now"`},
		{[]string{"demo", "--listen"}, "nuthatch demo: option -l requires a string"},
		{[]string{"demo", "--listen", "22121"}, "nuthatch demo: --listen 22121: want host:port, like 127.0.0.1:22121"},
	}
	for _, tt := range tests {
		if got := runAs(t, nuthatch, tt.args...); got.status != 1 || got.lastLine() != tt.want || strings.Count(got.stderr, "\n") > 3 {
			t.Errorf("nuthatch %q: status %d and %q, want 1 and at the end %q", tt.args, got.status, got.stderr, tt.want)
		}
	}
}

// TestSchema: the command writes the schema, as JSON, and nothing else.
func TestSchema(t *testing.T) {
	var stdout, stderr bytes.Buffer
	status := run([]string{nuthatch, "schema"}, &stdout, &stderr)
	var doc map[string]any
	if err := json.Unmarshal(stdout.Bytes(), &doc); err != nil || status != 0 || stderr.Len() > 0 {
		t.Fatalf("status %d, standard error %q: %v", status, &stderr, err)
	}
	if stdout.String() != string(config.Schema()) || doc["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("wrote a schema of %v, %d bytes", doc["$schema"], stdout.Len())
	}
}

func writeConf(t *testing.T, yaml string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nutcracker.yml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPreview(t *testing.T) {
	const head = "pool:\n  listen: 127.0.0.1:22121\n  servers:\n   - 127.0.0.1:6379:1 a\n   - 127.0.0.1:6380:"
	old := writeConf(t, head+"1 b\n")
	tests := []struct {
		name, conf, against string
		status              int
		stdout, stderr      string // a part of each
	}{
		{"nothing changes", old, old, 0, "nothing changes\n", "syntax is ok"},
		{"keys move because they must", writeConf(t, head+"1 b\n   - 127.0.0.1:6381:1 c\n"), old, 0, " a ", "syntax is ok"},
		{"keys move that need not", writeConf(t, head+"5 b\n"), old, 2, "warning: weights change", "syntax is ok"},
		{"the new one is invalid", writeConf(t, head+"0 b\n"), old, 1, "", "syntax is invalid"},
		{"the old one is missing", old, "/does/not/exist", 1, "", "nothing to compare with"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run([]string{"nuthatch", "-t", "-c", tt.conf, "--against", tt.against}, &stdout, &stderr)
			if status != tt.status || !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("status %d, standard output %q, standard error %q; want %d, %q, %q",
					status, &stdout, &stderr, tt.status, tt.stdout, tt.stderr)
			}
		})
	}
	if got := runAs(t, nuthatch, "--against", old); got.status != 1 || got.lastLine() != "nuthatch: option --against goes with -t" {
		t.Errorf("--against without -t: status %d and %q", got.status, got.stderr)
	}
	if got := runAs(t, nuthatch, "-t", "--against"); got.lastLine() != "nuthatch: option --against requires a file name" {
		t.Errorf("--against without a file: %q", got.stderr)
	}
	if got := runAs(t, nutcracker, "-t", "--against", old); got.firstLine() != "nutcracker: invalid option -- 'against'" {
		t.Errorf("called nutcracker: %q", got.firstLine())
	}
}
