package config

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// differences are the files of testdata on which nuthatch and nutcracker are
// meant to disagree, and why.
var differences = map[string]string{
	"bad-reserved.yml":   "the name nuthatch is kept for the process-wide settings",
	"good-every-key.yml": "keys of nuthatch's own, and a host that nutcracker would look up",
	"good-yaml.yml":      "flow collections, a directive and a document marker are plain YAML",
}

// lineCases are further cases: a pool with these lines, and a listen address
// and a server if they have none. accept is nuthatch's verdict; differs says
// why nutcracker's is the other one, and is empty if it is the same.
var lineCases = []struct {
	name    string
	lines   string
	accept  bool
	differs string
}{
	{name: "nothing more", accept: true},
	{name: "timeout 0", lines: "timeout: 0", accept: true},
	{name: "timeout -1", lines: "timeout: -1"},
	{name: "timeout with zeros", lines: "timeout: 0400", accept: true},
	{name: "timeout quoted", lines: "timeout: '400'", accept: true},
	{name: "timeout hexadecimal", lines: "timeout: 0x10"},
	{
		name: "timeout with a unit", lines: "timeout: 400ms", accept: true,
		differs: "nuthatch writes time in one way in all keys",
	},
	{name: "timeout in parts", lines: "timeout: 1_000"},
	{name: "timeout with a sign", lines: "timeout: +1"},
	{
		name: "timeout too large", lines: "timeout: 4294967297",
		differs: "nutcracker's int overflows to 1",
	},
	{name: "backlog 0", lines: "backlog: 0", accept: true},
	{name: "failure limit 0", lines: "server_failure_limit: 0", accept: true},
	{name: "retry timeout 0", lines: "server_retry_timeout: 0", accept: true},
	{name: "server connections 0", lines: "server_connections: 0"},
	{name: "bool quoted", lines: "redis: 'true'", accept: true},
	{name: "bool yes", lines: "redis: yes"},
	{name: "bool capital", lines: "redis: True"},
	{name: "bool 1", lines: "redis: 1"},
	{name: "auth", lines: "redis: true\nredis_auth: x", accept: true},
	{name: "auth of digits", lines: "redis: true\nredis_auth: 0123", accept: true},
	{name: "auth tilde", lines: "redis: true\nredis_auth: ~", accept: true},
	{name: "auth empty", lines: "redis: true\nredis_auth: ''"},
	{name: "auth before redis", lines: "redis_auth: x\nredis: true", accept: true},
	{name: "auth with memcached", lines: "redis_auth: x"},
	{name: "auth with memcached said", lines: "redis: false\nredis_auth: x"},
	{name: "db with memcached", lines: "redis_db: 3", accept: true},
	{name: "hash in capitals", lines: "hash: MD5"},
	{name: "hash tag of one", lines: "hash_tag: '{'"},
	{name: "hash tag of two bytes", lines: "hash_tag: é", accept: true},
	{name: "hash tag bare", lines: "hash_tag: {}"},
	{name: "key twice", lines: "hash: md5\nhash: md5"},
	{name: "unknown key", lines: "colour: green"},
	{name: "literal block", lines: "hash: |-\n    md5", accept: true},
	{name: "comment after a value", lines: "hash: md5 # not fnv", accept: true},

	{name: "listen IPv6", lines: "listen: ::1:41999", accept: true},
	{
		name: "listen IPv6 in brackets", lines: "listen: '[::1]:41999'", accept: true,
		differs: "nutcracker looks the brackets up as a name",
	},
	{
		name: "listen at an unknown name", lines: "listen: none.invalid:41999", accept: true,
		differs: "nutcracker looks the name up; nuthatch does so when it starts",
	},
	{name: "listen without a host", lines: "listen: ':41999'"},
	{name: "listen without a port", lines: "listen: 127.0.0.1"},
	{name: "listen at port 0", lines: "listen: 127.0.0.1:0"},
	{name: "listen at port 65536", lines: "listen: 127.0.0.1:65536"},
	{name: "listen with a mode", lines: "listen: /tmp/p.sock 0660", accept: true},
	{name: "listen with too large a mode", lines: "listen: /tmp/p.sock 1777"},
	{
		name: "listen with no octal mode", lines: "listen: /tmp/p.sock 0999",
		differs: "nutcracker takes the mode for 0",
	},
	{
		name: "listen at a path with a space", lines: "listen: /tmp/my sock",
		differs: "nutcracker takes the path's end for the mode 0",
	},
	{name: "listen at a long path", lines: "listen: /tmp/" + strings.Repeat("x", 104)},

	{name: "server IPv6", lines: "servers:\n  - ::1:6379:1", accept: true},
	{name: "server IPv6 in brackets", lines: "servers:\n  - '[::1]:6379:1'", accept: true},
	{name: "server with zeros", lines: "servers:\n  - 127.0.0.1:06379:01", accept: true},
	{name: "server by socket", lines: "servers:\n  - /tmp/a.sock:1", accept: true},
	{name: "server by named socket", lines: "servers:\n  - /tmp/a b.sock:1 n", accept: true},
	{name: "server by socket with a colon", lines: "servers:\n  - /tmp/a:b.sock:1"},
	{name: "server by socket without a weight", lines: "servers:\n  - /tmp/a.sock"},
	{name: "server without a weight", lines: "servers:\n  - 127.0.0.1:6379"},
	{name: "server of weight 0", lines: "servers:\n  - 127.0.0.1:6379:0"},
	{name: "server of weight -1", lines: "servers:\n  - 127.0.0.1:6379:-1"},
	{name: "server with two words", lines: "servers:\n  - 127.0.0.1:6379:1 my server"},
	{name: "server with two spaces", lines: "servers:\n  - 127.0.0.1:6379:1  s"},
	{name: "server as a mapping", lines: "servers:\n  - 127.0.0.1:6379:1: s"},
	{name: "server missing in the list", lines: "servers:\n  - 127.0.0.1:6379:1\n  -"},
	{name: "servers not a list", lines: "servers: 127.0.0.1:6379:1"},
	{name: "servers empty", lines: "servers:"},
	{name: "servers of one address", lines: "servers:\n  - 127.0.0.1:6379:1 a\n  - 127.0.0.1:6379:1 b", accept: true},
	{name: "servers of one name", lines: "servers:\n  - 127.0.0.1:6379:1 a\n  - 127.0.0.1:6380:1 a"},
	{name: "servers apart by weight", lines: "servers:\n  - 127.0.0.1:6379:1\n  - 127.0.0.1:6379:2"},
	{name: "server named as another's address", lines: "servers:\n  - h:6379:1\n  - h:6380:1 h:6379"},
	{name: "server named as another's host", lines: "servers:\n  - h:11211:1\n  - h:6380:1 h"},
	{
		name: "server without a host", lines: "servers:\n  - ':6379:1'",
		differs: "no such server can be connected to",
	},
	{
		name: "server with a colon in its host", lines: "servers:\n  - a:b:6379:1",
		differs: "no such server can be connected to",
	},
	{
		name: "server at a long path", lines: "servers:\n  - /tmp/" + strings.Repeat("x", 104) + ":1",
		differs: "no such server can be connected to",
	},
	{
		name: "server of too large a weight", lines: "servers:\n  - 127.0.0.1:6379:4294967297",
		differs: "nutcracker's int overflows to 1",
	},
	{
		name: "server of an empty name", lines: "servers:\n  - '127.0.0.1:6379:1 '",
		differs: "nutcracker hashes the server under an empty name",
	},
	{
		name: "lists the wrong way round", lines: "listen:\n  - 127.0.0.1:41999\nservers: 127.0.0.1:6379:1",
		differs: "nutcracker counts lists and does not look whose they are",
	},

	{
		name:    "two modes for one socket",
		lines:   "listen: /tmp/p.sock\n\nlisten: /tmp/p.sock 0600",
		differs: "nutcracker compares the text; the second pool takes the first one's socket away",
	},
	{name: "two pools at one address", lines: "listen: 127.0.0.1:41999\n\nlisten: 127.0.0.1:41999"},
	{name: "two pools", lines: "listen: 127.0.0.1:41999\n\nlisten: 127.0.0.1:41998", accept: true},
}

// poolsOf makes a file of a case's lines. An empty line begins another pool.
func poolsOf(lines string) string {
	var b strings.Builder
	for i, pool := range strings.Split(lines, "\n\n") {
		if !strings.Contains(pool, "listen:") {
			pool += "\nlisten: 127.0.0.1:41999"
		}
		if !strings.Contains(pool, "servers:") {
			pool += "\nservers:\n  - 127.0.0.1:6379:1"
		}
		pool = strings.TrimPrefix(pool, "\n")
		fmt.Fprintf(&b, "p%d:\n  %s\n", i, strings.ReplaceAll(pool, "\n", "\n  "))
	}
	return b.String()
}

// nutcracker returns the program's path, or fails: without it nothing proves
// that nuthatch reads the same files.
func nutcracker(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("nutcracker")
	if err != nil {
		path = "/usr/sbin/nutcracker"
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("these tests need the program nutcracker 0.5.0 to compare with, and \"make test\" installs it: %v", err)
	}
	return path
}

// verdict asks nutcracker -t about a file.
func verdict(t *testing.T, program, path string) (accepted bool, output string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, "-t", "-c", path).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s -t: %v", program, err)
	}
	switch {
	case err == nil && bytes.Contains(out, []byte("syntax is ok")):
		return true, string(out)
	case err != nil && exit.ExitCode() == 1:
		return false, string(out)
	}
	t.Fatalf("%s -t -c %s gave no verdict: %v\n%s", program, path, err, out)
	return false, ""
}

// compare fails unless nuthatch's verdict is nutcracker's, or, if differs is
// not empty, is not.
func compare(t *testing.T, program, path, differs string) (accepted bool) {
	t.Helper()
	_, err := Load(path)
	theirs, output := verdict(t, program, path)
	if agree := (err == nil) == theirs; agree != (differs == "") {
		t.Errorf("nuthatch: %v; nutcracker accepts: %v\n%s\nintended difference: %q", err, theirs, output, differs)
	}
	return err == nil
}

// TestVerdictsOfFiles compares the verdicts on the files of testdata.
func TestVerdictsOfFiles(t *testing.T) {
	program := nutcracker(t)
	for _, path := range glob(t, "testdata/*.yml") {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			compare(t, program, path, differences[name])
		})
	}
	for name := range differences {
		if _, err := os.Stat(filepath.Join("testdata", name)); err != nil {
			t.Errorf("the differences name a file that is not there: %v", err)
		}
	}
}

// TestVerdictsOfLines compares the verdicts on one matter at a time.
func TestVerdictsOfLines(t *testing.T) {
	program := nutcracker(t)
	dir := t.TempDir()
	for i, tt := range lineCases {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, strconv.Itoa(i)+".yml")
			text := poolsOf(tt.lines)
			writeFile(t, path, []byte(text))
			if got := compare(t, program, path, tt.differs); got != tt.accept {
				t.Errorf("accepted: %v, want %v:\n%s", got, tt.accept, text)
			}
		})
	}
}

// TestNamesAndOrder starts nutcracker and compares the names and the order of
// its pools and servers, as its statistics show them, with Load's.
func TestNamesAndOrder(t *testing.T) {
	program := nutcracker(t)
	dir := t.TempDir()
	hosts, found := bytes.CutPrefix(readTestFile(t, "testdata/good-hosts.yml"), []byte("hosts:\n  listen: 0.0.0.0:23201\n"))
	if !found {
		t.Fatal("testdata/good-hosts.yml does not begin as it did")
	}
	var text strings.Builder
	for _, name := range []string{"zz", "hosts", "b", "abc"} {
		fmt.Fprintf(&text, "%s:\n  listen: %s\n%s", name, filepath.Join(dir, name), hosts)
	}
	path := filepath.Join(dir, "order.yml")
	writeFile(t, path, []byte(text.String()))

	cfg, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	for _, pool := range cfg.Pools {
		ours = append(ours, "pool "+pool.Name)
		for _, s := range pool.Servers {
			ours = append(ours, s.StatsName())
		}
	}
	theirs := statsNames(t, program, path)
	if !slices.Equal(ours, theirs) {
		t.Errorf("names and order: %q, nutcracker's: %q", ours, theirs)
	}
}

// statsNames runs nutcracker with the file at path, fetches its statistics
// once, and returns the names of pools and servers in their order.
func statsNames(t *testing.T, program, path string) []string {
	t.Helper()
	port := freePort(t)
	var output bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, "-c", path, "-a", "127.0.0.1", "-s", strconv.Itoa(port))
	cmd.Stderr = &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	var exit error // written before ended is closed
	go func() {
		exit = cmd.Wait()
		close(ended)
	}()
	defer func() {
		// An error only says that the process has ended, which is what is wanted.
		_ = cmd.Process.Kill()
		<-ended
	}()
	conn := dialUntil(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), func() {
		select {
		case <-ended:
			t.Fatalf("nutcracker ended: %v\n%s", exit, output.Bytes())
		default:
		}
	})
	names := decodeNames(t, json.NewDecoder(conn))
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	return names
}

// decodeNames walks nutcracker's statistics for the keys whose value is an object.
func decodeNames(t *testing.T, dec *json.Decoder) []string {
	t.Helper()
	var names []string
	key, depth, isKey := "", 0, false
	for {
		token, err := dec.Token()
		if err != nil {
			t.Fatalf("nutcracker's statistics: %v", err)
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '}' {
				depth--
				if depth == 0 {
					return names
				}
			} else {
				depth++
			}
			if v == '{' && depth == 2 {
				names = append(names, "pool "+key)
			} else if v == '{' && depth == 3 {
				names = append(names, key)
			}
			isKey = true
		case string:
			if isKey {
				key = v
			}
			isKey = !isKey
		default:
			isKey = true
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return port
}

// dialUntil connects to a server that is starting; alive fails the test if it
// has given up.
func dialUntil(t *testing.T, address string, alive func()) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn
		}
		alive()
		select {
		case <-ctx.Done():
			t.Fatalf("nobody listens at %s: %v", address, err)
		case <-tick.C:
		}
	}
}
