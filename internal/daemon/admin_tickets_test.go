package daemon

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// Sessions with the admin listener are resumed as long as the keys of their tickets are in
// use, and no longer.
func TestAdminTickets(t *testing.T) {
	a := testkit.NewAuthority(t)
	cert, key := a.Pair("admin")
	admin := testkit.FreeAddr(t)
	keys := filepath.Join(t.TempDir(), "keys")
	write := func(digit string) {
		t.Helper()
		if err := os.WriteFile(keys, []byte(strings.Repeat(digit, 64)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("1")
	startStageWith(t, pool("alpha", testkit.FreeAddr(t), []string{"127.0.0.1:1:1 a"}),
		"  admin: "+admin+"\n  tls_ticket_keys_file: "+keys+"\n  admin_tls: {cert: "+cert+", key: "+key+"}\n")
	// A session of TLS 1.2 begins with the handshake, and may be resumed any number of times.
	conf := trusting(t, a)
	conf.MaxVersion = tls.VersionTLS12
	resumes := func(conf *tls.Config) bool {
		t.Helper()
		raw, err := net.Dial("tcp", admin) //nolint:noctx // it is on this machine
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		c := tls.Client(raw, conf)
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		return c.ConnectionState().DidResume
	}
	first := tls.NewLRUClientSessionCache(1)
	conf.ClientSessionCache = first
	resumes(conf)
	conf.ClientSessionCache = onlyReads{first}
	if !resumes(conf) {
		t.Fatal("a session is not resumed")
	}
	write("2")
	awaitTrue(t, "that the session is resumed no more", func() bool { return !resumes(conf) })
}

// onlyReads is a cache that stays as it is.
type onlyReads struct{ tls.ClientSessionCache }

func (onlyReads) Put(string, *tls.ClientSessionState) {}
