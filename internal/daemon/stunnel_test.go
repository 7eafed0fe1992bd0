package daemon

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/testkit"
)

// startStunnel starts stunnel with these sections, which listen at addrs, and returns what
// stops it.
func startStunnel(t *testing.T, sections string, addrs ...string) (stop func()) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "stunnel.conf")
	if err := os.WriteFile(file, []byte("foreground = yes\npid =\nsyslog = no\ndebug = warning\n"+sections), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testkit.Program(t, "stunnel"), file)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("stunnel says %s", said.String())
		}
	}
	t.Cleanup(stop)
	for _, addr := range addrs {
		testkit.Await(t, "stunnel at "+addr, func() error {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				c.Close()
			}
			return err
		})
	}
	return stop
}

// joined is a file with what the others have, as stunnel's file of a certificate and its key.
func joined(t *testing.T, files ...string) string {
	t.Helper()
	var all []byte
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	file := filepath.Join(t.TempDir(), "joined.pem")
	if err := os.WriteFile(file, all, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestFromStunnel follows docs/FROM-STUNNEL.md: stunnel in front of the proxy and behind it is
// replaced by the proxy's own TLS. The same clients are served, and no key moves.
func TestFromStunnel(t *testing.T) {
	const keys = 200
	a := testkit.NewAuthority(t)
	proxyPEM, ownPEM := joined(t, pairOf(a, "proxy")...), joined(t, pairOf(a, "nuthatch")...)
	var servers, tunnels []string
	behind := ""
	for i := range 2 {
		_, entry := redisTLS(t, a, "--tls-auth-clients", "yes")
		addr, _, _ := strings.Cut(entry, ":1 ")
		servers, tunnels = append(servers, addr), append(tunnels, testkit.FreeAddr(t))
		behind += fmt.Sprintf("[server%d]\nclient = yes\naccept = %s\nconnect = %s\nCAfile = %s\nverifyChain = yes\ncheckHost = localhost\ncert = %s\n", i, tunnels[i], addr, a.CA, ownPEM)
	}
	startStunnel(t, behind, tunnels...)
	plain, secure := testkit.FreeAddr(t), testkit.FreeAddr(t)
	before := []string{tunnels[0] + ":1 one", tunnels[1] + ":1"}
	text := func(servers []string, lines ...string) string {
		return pool("alpha", plain, servers, append(lines, "timeout: 10000")...)
	}
	s := startStage(t, text(before, "proxy_protocol_from: 127.0.0.1"))
	stop := startStunnel(t, fmt.Sprintf("[cache]\naccept = %s\nconnect = %s\ncert = %s\nCAfile = %s\nverifyChain = yes\nprotocol = proxy\n", secure, plain, proxyPEM, a.CA), secure)

	conf := trusting(t, a)
	pair, err := tls.LoadX509KeyPair(a.Pair("client"))
	if err != nil {
		t.Fatal(err)
	}
	conf.Certificates = []tls.Certificate{pair}
	stranger := trusting(t, a)
	expect := func(stage string) {
		t.Helper()
		c := dialTLS(t, secure, conf)
		if got, own := c.do("CLIENT", "INFO"), c.conn.LocalAddr().String(); !strings.Contains(got, " addr="+own+" ") {
			t.Errorf("%s: CLIENT INFO does not have the client's own address %s: %q", stage, own, got)
		}
		for i := range keys {
			if got := c.do("GET", fmt.Sprint("key", i)); got != fmt.Sprint("value", i) {
				t.Fatalf("%s: GET of key %d: %q", stage, i, got)
			}
		}
		if err := refusedByTLS(secure, stranger); err == nil {
			t.Errorf("%s: a client without a certificate is served", stage)
		}
	}
	c := dialTLS(t, secure, conf)
	for i := range keys {
		if got := c.do("SET", fmt.Sprint("key", i), fmt.Sprint("value", i)); got != "+OK" {
			t.Fatalf("SET: %q", got)
		}
	}
	expect("with stunnel on both sides")

	stop()
	lines := []string{tlsLines(proxyPEM, proxyPEM, "listen: \""+secure+"\"", "client_ca: "+a.CA, "client_cert: required")}
	s.mustReload(text(before, lines...))
	expect("with stunnel behind the proxy")

	lines = append(lines, "server_tls: {ca: "+a.CA+", cert: "+ownPEM+", key: "+ownPEM+"}")
	after := text([]string{servers[0] + ":1 one", servers[1] + ":1 " + tunnels[1]}, lines...)
	s.movesNothing(after)
	s.mustReload(after)
	expect("without stunnel")
}

// movesNothing previews a configuration in which every key stays where it is.
func (s *stage) movesNothing(text string) {
	s.t.Helper()
	next, err := config.Parse(s.file, []byte(text))
	if err != nil {
		s.t.Fatal(err)
	}
	change, err := s.Preview(next, true, func(int64) error { return nil })
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range change.Pools {
		for _, k := range p.Keys {
			if k.Moved > 0 {
				s.t.Errorf("the preview says that %v of the keys move (%s)", k.Moved, k.Which)
			}
		}
	}
}

// pairOf are the files of a certificate and its key.
func pairOf(a *testkit.Authority, name string) []string {
	cert, key := a.Pair(name)
	return []string{cert, key}
}

// refusedByTLS is why a client gets no answer to PING.
func refusedByTLS(addr string, conf *tls.Config) error {
	c, err := tls.Dial("tcp", addr, conf)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	b := make([]byte, 16)
	n, err := c.Read(b)
	if n == 0 && err == nil {
		err = errors.New("nothing came")
	}
	return err
}
