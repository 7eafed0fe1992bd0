package integration

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"

	"nuthatch/internal/testkit"
)

// pymemcache, as Debian packages it, with a script of its own.
func TestPymemcache(t *testing.T) {
	t.Parallel()
	s := memcacheStage(t, "allow_flush: true")
	out := command(t, "", "/usr/bin/python3", "../clients/pymemcache_client.py", port(t, s.proxy))
	if out != "ok\n" {
		t.Errorf("pymemcache_client.py: %s", out)
	}
}

// What gomemcache has beyond the commands of TestGoMemcache.
func TestGoMemcacheMore(t *testing.T) {
	t.Parallel()
	s := memcacheStage(t, "allow_flush: true")
	client := memcache.New(testkit.Plain(t, s.proxy.Addr()))
	client.Timeout = testkit.Patience
	t.Cleanup(func() { _ = client.Close() })
	keys := spread(60)
	for _, key := range keys {
		if err := client.Set(&memcache.Item{Key: key, Value: []byte("value of " + key)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range keys {
		if item, err := client.GetAndTouch(key, 100); err != nil || string(item.Value) != "value of "+key {
			t.Errorf("GetAndTouch(%s): %v, %v", key, item, err)
		}
	}
	if err := client.FlushAll(); err != nil {
		t.Errorf("FlushAll: %v", err)
	}
	if items, err := client.GetMulti(keys); err != nil || len(items) > 0 {
		t.Errorf("after FlushAll: %d items, %v", len(items), err)
	}
}

// libmemcached's tools: its own test of a server's capabilities, whole files, a
// load, and what they show of statistics.
func TestLibmemcachedTools(t *testing.T) {
	t.Parallel()
	s := memcacheStage(t, "allow_flush: true")
	servers := "--servers=" + testkit.Plain(t, s.proxy.Addr())
	tool := func(name string, args ...string) string {
		t.Helper()
		return command(t, "", testkit.Program(t, name), args...)
	}
	host, _, err := net.SplitHostPort(testkit.Plain(t, s.proxy.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	if out := tool("memccapable", "-h", host, "-p", port(t, s.proxy), "-a"); !strings.Contains(out, "All tests passed") {
		t.Errorf("memccapable:\n%s", out)
	}
	tool("memcping", servers)

	dir := t.TempDir()
	var files []string
	for i, size := range []int{0, 10, 5_000, 300_000, 1_000_000} {
		path := filepath.Join(dir, fmt.Sprintf("file%d", i))
		if err := os.WriteFile(path, bytes.Repeat([]byte{byte('a' + i)}, size), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	tool("memccp", append([]string{servers}, files...)...)
	for i, path := range files[1:] {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := tool("memccat", servers, filepath.Base(path)); got != string(want)+"\n" {
			t.Errorf("memccat of file %d: %d bytes, want %d and a line end", i+1, len(got), len(want))
		}
		tool("memcexist", servers, filepath.Base(path))
		tool("memctouch", servers, "--expire=100", filepath.Base(path))
	}
	// memcached lists what it has not used for a while, if anything.
	if out := tool("memcdump", servers); strings.Contains(out, ":") {
		t.Errorf("memcdump: %s", out)
	}
	for _, path := range files[1:] {
		tool("memcrm", servers, filepath.Base(path))
	}
	if out := tool("memcstat", servers); !strings.Contains(out, "pool: alpha\n") {
		t.Errorf("memcstat: %s", out)
	}
	for i := range s.servers {
		if out := tool("memcstat", servers, "settings"); !strings.Contains(out, fmt.Sprintf("s%d:maxbytes: ", i+1)) {
			t.Errorf("memcstat settings has no s%d:\n%s", i+1, out)
		}
	}
	for _, args := range []string{"--test=set", "--test=set --noreply", "--test=get --initial-load=500", "--test=mget --initial-load=500"} {
		out := tool("memcslap", append([]string{servers, "--concurrency=4", "--execute-number=500"}, strings.Fields(args)...)...)
		if !strings.Contains(out, "Time total") || strings.Contains(strings.ToLower(out), "fail") {
			t.Errorf("memcslap %s:\n%s", args, out)
		}
	}
	tool("memcflush", servers)
}
