package compat

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"nuthatch/internal/testkit"
)

// loopbacks are ways to write an address of this host that getaddrinfo takes.
var loopbacks = []string{"127.1", "127.000.000.001", "0x7f000001", "2130706433", "0", "0177.0x0.1"}

// TestNumericAddresses: an address that getaddrinfo takes is the same server, at the
// same place of the ring, as with nutcracker; likewise for listeners.
func TestNumericAddresses(t *testing.T) {
	t.Parallel()
	pool := testkit.Pool{Protocol: testkit.Redis}
	for _, host := range loopbacks {
		_, port, err := net.SplitHostPort(testkit.StartRedis(t).Addr())
		if err != nil {
			t.Fatal(err)
		}
		pool.Servers = append(pool.Servers, fmt.Sprintf("%s:%s:1", host, port))
	}
	listen := func(host string) string {
		_, port, err := net.SplitHostPort(testkit.FreeAddr(t))
		if err != nil {
			t.Fatal(err)
		}
		return net.JoinHostPort(host, port)
	}
	for _, host := range loopbacks {
		pool.Listen = listen(host)
		nutcracker := testkit.StartNutcracker(t, pool.String(), testkit.Args("-a", host))
		pool.Listen = listen(host)
		admin := listen(host)
		nuthatch := testkit.StartNuthatch(t, pool.String()+"\nnuthatch:\n  admin: "+admin+"\n  admin_insecure: true\n", testkit.Args("-a", host))
		a, b := nutcracker.Dial(testkit.Redis), nuthatch.Dial(testkit.Redis)
		for i := range 64 {
			key := fmt.Sprintf("%s:%d", host, i)
			if got := a.Do("SET", key, "v"); got != "+OK\r\n" {
				t.Fatalf("%s: nutcracker answers SET with %q", host, got)
			}
			if got := b.Do("GET", key); got != "$1\r\nv\r\n" {
				t.Errorf("%s: %s is not where nutcracker has it: %q", host, key, got)
			}
		}
		stats := nuthatch.Stats()
		for _, s := range pool.Servers {
			if name := s[:len(s)-len(":1")]; stats.Value("alpha", name, "requests") < 0 {
				t.Errorf("%s: no statistics of %s", host, name)
			}
		}
		if out, err := exec.Command(testkit.Binary(t), "ctl", "-a", admin, "info").CombinedOutput(); err != nil {
			t.Errorf("ctl -a %s: %v: %s", admin, err, out)
		}
	}
}

// TestListenIsTried: -t refuses an address to listen at that a start refuses, as
// nutcracker's does.
func TestListenIsTried(t *testing.T) {
	t.Parallel()
	for host, good := range map[string]bool{
		"127.1": true, "0": true, "localhost": true, "127.0.0.256": false, "1.2.3.4.5": false, "08": false, "no-such-host.invalid": false,
	} {
		_, port, err := net.SplitHostPort(testkit.FreeAddr(t))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "p.yml")
		pool := testkit.Pool{Protocol: testkit.Redis, Listen: net.JoinHostPort(host, port), Servers: []string{"127.0.0.1:6379:1"}}
		if err := os.WriteFile(file, []byte(pool.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, program := range []string{"nutcracker", testkit.Binary(t)} {
			out, err := exec.Command(program, "-t", "-c", file).CombinedOutput()
			if (err == nil) != good {
				t.Errorf("%s -t of listen %s: %v: %s", filepath.Base(program), host, err, out)
			}
		}
		if good {
			continue
		}
		if out, err := exec.Command(testkit.Binary(t), "-c", file, "-s", port, "-o", os.DevNull).CombinedOutput(); err == nil {
			t.Errorf("listen %s: started: %s", host, out)
		}
	}
}
