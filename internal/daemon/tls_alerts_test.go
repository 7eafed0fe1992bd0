package daemon

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// TLS's alerts (RFC 8446, 6), as crypto/tls calls them.
const (
	alertHandshakeFailure    = "handshake failure"              // 40
	alertExpiredCertificate  = "expired certificate"            // 45
	alertUnknownAuthority    = "unknown certificate authority"  // 48
	alertProtocolVersion     = "protocol version not supported" // 70
	alertCertificateRequired = "certificate required"           // 116, of TLS 1.3
	fromTheOtherSide         = "remote error: tls: "
)

// A client whose handshake is refused is told why by TLS's own alert. A name (SNI) that is nobody's
// is no fault: the client is shown the first certificate.
func TestTLSAlerts(t *testing.T) {
	server, a, stranger := testkit.StartRedis(t), testkit.NewAuthority(t), testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	open, asking, modern := testkit.FreeAddr(t), testkit.FreeAddr(t), testkit.FreeAddr(t)
	startStage(t, pool("a", open, testkit.Names(server), tlsLines(cert, key, "ciphers: TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"), "client_connections: 50")+
		pool("b", asking, testkit.Names(server), tlsLines(cert, key, "client_ca: "+a.CA, "client_cert: required"))+
		pool("c", modern, testkit.Names(server), tlsLines(cert, key, "min_version: TLSv1.3")))
	shows := func(by *testkit.Authority, until time.Duration) func(*tls.Config) {
		file, key := by.Issue("client", time.Now().Add(until))
		pair, err := tls.LoadX509KeyPair(file, key)
		if err != nil {
			t.Fatal(err)
		}
		return func(c *tls.Config) {
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
	}
	only := func(version uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version }
	}
	named := func(c *tls.Config) { c.ServerName, c.InsecureSkipVerify = "nobody.example", true }
	for _, tt := range []struct {
		name, at string
		is       []func(*tls.Config)
		want     string // empty: it is served
	}{
		{"no certificate", asking, nil, alertCertificateRequired},
		{"no certificate, TLS 1.2", asking, []func(*tls.Config){only(tls.VersionTLS12)}, alertHandshakeFailure},
		{"a stranger's", asking, []func(*tls.Config){shows(stranger, time.Hour)}, alertUnknownAuthority},
		{"a stranger's, TLS 1.2", asking, []func(*tls.Config){shows(stranger, time.Hour), only(tls.VersionTLS12)}, alertUnknownAuthority},
		{"one that has expired", asking, []func(*tls.Config){shows(a, -time.Minute)}, alertExpiredCertificate},
		{"a good one", asking, []func(*tls.Config){shows(a, time.Hour)}, ""},
		{"TLS 1.1", open, []func(*tls.Config){only(tls.VersionTLS11)}, alertProtocolVersion},
		{"TLS 1.2 where 1.3 is needed", modern, []func(*tls.Config){only(tls.VersionTLS12)}, alertProtocolVersion},
		{"TLS 1.2", open, []func(*tls.Config){only(tls.VersionTLS12)}, ""},
		{"no common suite", open, []func(*tls.Config){only(tls.VersionTLS12), func(c *tls.Config) { c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256} }}, alertHandshakeFailure},
		{"a name that is nobody's", open, []func(*tls.Config){named}, ""},
		{"a name that is nobody's, TLS 1.2", open, []func(*tls.Config){named, only(tls.VersionTLS12)}, ""},
	} {
		conf := trusting(t, a)
		for _, is := range tt.is {
			is(conf)
		}
		switch err := pings(tt.at, conf); {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (err == nil || !strings.HasSuffix(err.Error(), fromTheOtherSide+tt.want)):
			t.Errorf("%s: %v, want the alert %q", tt.name, err, tt.want)
		}
	}
}

// pings sends PING with TLS, and returns why there is no answer.
func pings(addr string, conf *tls.Config) error {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", addr, conf)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write(testkit.RESP("PING")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 100))
	return err
}
