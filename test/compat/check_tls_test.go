package compat

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// The check asks the servers over TLS, if the file says so, while nutcracker reaches them without:
// so a file that changes to TLS is checked before it is used.
func TestCheckOverTLS(t *testing.T) {
	t.Parallel()
	a, other := testkit.NewAuthority(t), testkit.NewAuthority(t)
	cert, key := a.Pair("server")
	var plain, secured []string
	for _, name := range []string{"one", "two", "three"} {
		addr := testkit.FreeAddr(t)
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		server := testkit.StartRedis(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", a.CA, "--tls-auth-clients", "no")
		plain, secured = append(plain, server.Entry(name)), append(secured, addr+":1 "+name)
	}
	nutcracker := testkit.StartNutcracker(t, testkit.Pool{Protocol: testkit.Redis, Servers: plain}.String())
	pool := testkit.Pool{
		Protocol: testkit.Redis, Listen: nutcracker.Addrs[0], Servers: secured,
		Lines: []string{"server_tls: {ca: " + a.CA + ", server_name: localhost}"},
	}
	if r, status := checkAgainst(t, nutcracker, pool.String()); status != 0 || !r.Same() || len(r.Servers) != 3 {
		t.Errorf("status %d, %+v", status, r)
	}
	pool.Servers[0], pool.Servers[1] = strings.Replace(secured[0], " one", " two", 1), strings.Replace(secured[1], " two", " one", 1)
	if r, status := checkAgainst(t, nutcracker, pool.String()); status == 0 || r.Same() {
		t.Errorf("with two servers' names the other way round: status %d, %+v", status, r)
	}
	pool.Lines[0] = "server_tls: {ca: " + other.CA + ", server_name: localhost}"
	file := filepath.Join(t.TempDir(), "check.yml")
	if err := os.WriteFile(file, []byte(pool.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(testkit.Binary(t), "check", "-c", file, "--against-nutcracker", nutcracker.Addrs[0]).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "certificate signed by unknown authority") {
		t.Errorf("with servers that nobody vouches for: %v, %s", err, out)
	}
}
