package daemon

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/admin/findings"
	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/testkit"
)

// certificateOf is what is in use of a block.
func (s *stage) certificateOf(pool, block string) api.Certificate {
	s.t.Helper()
	for _, c := range s.current.Load().certificates() {
		if c.Pool == pool && c.Block == block {
			return c
		}
	}
	s.t.Fatalf("%s of pool %q has no certificate", block, pool)
	return api.Certificate{}
}

// A reload goes on for all pools, whatever is wrong with the files of one: what was read before
// stays in use there, with the block's other settings as they are now. It is said, and when the
// files are mended they are used.
func TestReloadKeepsCertificates(t *testing.T) {
	server, a, dir := testkit.StartRedis(t), testkit.NewAuthority(t), t.TempDir()
	cert, key := a.Pair("proxy")
	ours, oursKey := a.Pair("ours")
	ca := dir + "/ca.crt"
	write := func(file string, text []byte) {
		t.Helper()
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	signer, err := os.ReadFile(a.CA)
	if err != nil {
		t.Fatal(err)
	}
	write(ca, signer)
	alpha, beta := testkit.FreeAddr(t), testkit.FreeAddr(t)
	process := "  admin: " + testkit.FreeAddr(t) + "\n  admin_tls: {cert: " + cert + ", key: " + key + "}\n"
	text := func(more string, ones int) string {
		return pool("alpha", alpha, testkit.Names(server), "tls: {cert: "+cert+", key: "+key+more+"}") +
			pool("beta", beta, testkit.Names(server), "server_tls: {ca: "+ca+", cert: "+ours+", key: "+oursKey+"}", "client_connections: "+strings.Repeat("1", ones))
	}
	s := startStageWith(t, text("", 1), process)
	for _, block := range []string{"tls", "server_tls", "admin_tls"} {
		of := map[string]string{"tls": "alpha", "server_tls": "beta"}[block]
		if c := s.certificateOf(of, block); c.Until == nil || time.Until(*c.Until) <= 0 || c.Refused != "" {
			t.Errorf("%s: %+v", block, c)
		}
	}
	first := dialTLS(t, alpha, trusting(t, a)).conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	write(key, []byte("nonsense"))
	write(oursKey, []byte("nonsense"))
	write(ca, []byte("nonsense"))
	var told []string
	for _, r := range s.mustReload(text(", client_ca: "+a.CA+", client_cert: required", 2)).Refused {
		told = append(told, r.Pool+" "+r.Block)
	}
	if want := []string{"beta server_tls", "alpha tls", " admin_tls"}; !slices.Equal(told, want) {
		t.Errorf("the reload's answer names %q, want %q", told, want)
	}
	if g := s.current.Load(); g.conf.Pools[g.pool("beta")].ClientConnections != 11 {
		t.Error("the rest of the reload is not in force")
	}
	for _, of := range []struct{ pool, block, why string }{
		{"alpha", "tls", "proxy.key"}, {"beta", "server_tls", "ca.crt"}, {"beta", "server_tls", "ours.key"}, {"", "admin_tls", "proxy.key"},
	} {
		if c := s.certificateOf(of.pool, of.block); c.Until == nil || !strings.Contains(c.Refused, of.why) {
			t.Errorf("%s of %q: %+v, want %q in it", of.block, of.pool, c, of.why)
		}
	}
	if n := s.Events().Count(events.CertificatesRefused); n < 3 {
		t.Errorf("%d events tell it", n)
	}
	conf := trusting(t, a)
	c := dialTLS(t, alpha, conf)
	if got := c.conn.ConnectionState().PeerCertificates[0].SerialNumber.String(); got != first {
		t.Errorf("the certificate is %s, want %s", got, first)
	}
	_ = c.conn.SetDeadline(time.Now().Add(testkit.Patience))
	if _, err := c.conn.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("a client without a certificate, which it needs now: %v", err)
	}
	a.Pair("proxy")
	a.Pair("ours")
	write(ca, signer)
	for _, of := range []struct{ pool, block string }{{"alpha", "tls"}, {"beta", "server_tls"}, {"", "admin_tls"}} {
		awaitTrue(t, "that the files of "+of.block+" are used", func() bool { return s.certificateOf(of.pool, of.block).Refused == "" })
	}
}

// A pool that had no certificate before needs one that can be used: the reload is refused, and
// says which pool's, and where.
func TestReloadNeedsCertificates(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	listen := testkit.FreeAddr(t)
	s := startStage(t, pool("alpha", listen, testkit.Names(server)))
	if err := os.WriteFile(key, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.write(pool("alpha", listen, testkit.Names(server), tlsLines(cert, key)))
	if _, err := s.Reload("test"); err == nil || !regexp.MustCompile(`:[0-9]+: pool 'alpha': tls: `).MatchString(err.Error()) {
		t.Errorf("the reload: %v", err)
	}
}

// A proxy starts with a certificate that has expired: clients that look at it refuse it, all
// else goes on. It is said, by -t too.
func TestStartWithExpiredCertificate(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Issue("proxy", time.Now().Add(-time.Minute))
	secured, plain := testkit.FreeAddr(t), testkit.FreeAddr(t)
	text := pool("alpha", secured, testkit.Names(server), tlsLines(cert, key)) + pool("beta", plain, testkit.Names(server))
	s := startStage(t, text)
	if got := testkit.Dial(t, testkit.Redis, plain).Do("PING"); got != "+PONG\r\n" {
		t.Errorf("another pool: %q", got)
	}
	conf := trusting(t, a)
	conf.InsecureSkipVerify = true
	if got := dialTLS(t, secured, conf).do("PING"); got != "+PONG" {
		t.Errorf("a client that does not look at the certificate: %q", got)
	}
	if c := s.certificateOf("alpha", "tls"); !strings.Contains(c.Refused, "has expired") || c.Until == nil || time.Until(*c.Until) > 0 {
		t.Errorf("it is shown as %+v", c)
	}
	if e := s.Events().LatestOf(events.CertificatesRefused); e == nil || e.Pool != "alpha" {
		t.Errorf("the event is %v", e)
	}
	parsed, err := config.Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	found := checkCertificates(checkedStart{Options: Options{Config: parsed}})
	if len(found) != 1 || !found[0].Doubt || !strings.Contains(found[0].Err.Error(), "pool 'alpha': tls: certificate") {
		t.Errorf("-t finds %v", found)
	}
	for _, tt := range []struct {
		ends time.Duration
		want string
	}{{findings.CertificateSoon - time.Hour, "pool 'alpha': tls: the certificate ends in 13d"}, {findings.CertificateSoon + time.Hour, ""}} {
		a.Issue("proxy", time.Now().Add(tt.ends))
		found := checkCertificates(checkedStart{Options: Options{Config: parsed}})
		if tt.want == "" && len(found) > 0 || tt.want != "" && (len(found) != 1 || !found[0].Doubt || !strings.Contains(found[0].Err.Error(), tt.want)) {
			t.Errorf("-t finds %v of a certificate that ends in %v, want %q", found, tt.ends, tt.want)
		}
	}
	a.Pair("proxy")
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	awaitTrue(t, "the new certificate", func() bool { return ctx.Err() != nil || s.certificateOf("alpha", "tls").Refused == "" })
	dialTLS(t, secured, trusting(t, a))
}

// The certificates that sign those of clients and servers end as others do: -t says so.
func TestSignersEnd(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Issue("proxy", time.Now().Add(2*findings.CertificateSoon))
	clients := tlsLines(cert, key, "client_ca: "+a.CA, "client_cert: required")
	text := pool("a", testkit.FreeAddr(t), testkit.Names(server), clients) +
		pool("b", testkit.FreeAddr(t), testkit.Names(server), "server_tls: {ca: "+a.CA+"}") +
		pool("c", testkit.FreeAddr(t), testkit.Names(server), "server_tls: {ca: "+a.CA+", verify: none}")
	parsed, err := config.Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		ends        time.Duration
		alpha, beta string
	}{
		{findings.CertificateSoon + time.Hour, "", ""},
		{findings.CertificateSoon - time.Hour, "tls: the certificates of 'client_ca' end in 13d", "server_tls: the certificates of 'ca' end in 13d"},
		{-time.Minute, "tls: the certificates of 'client_ca' have ended", "server_tls: the certificates of 'ca' have ended"},
	} {
		a.EndAt(time.Now().Add(tt.ends))
		found := checkCertificates(checkedStart{Options: Options{Config: parsed}})
		if tt.alpha == "" {
			if len(found) > 0 {
				t.Errorf("%v: -t finds %v", tt.ends, found)
			}
			continue
		}
		if len(found) != 2 || !strings.HasPrefix(found[0].Err.Error(), "pool 'a': "+tt.alpha) || !strings.HasPrefix(found[1].Err.Error(), "pool 'b': "+tt.beta) {
			t.Errorf("%v: -t finds %v, want %q and %q", tt.ends, found, tt.alpha, tt.beta)
		}
		for _, f := range found {
			if !f.Doubt {
				t.Errorf("%v: %v is a fault", tt.ends, f.Err)
			}
		}
	}
}
