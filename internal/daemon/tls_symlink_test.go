package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"nuthatch/internal/events"
	"nuthatch/internal/testkit"
)

// A mounted Secret: certificate, key and authority lead through "..data", which is swapped. What
// it leads to is used from then on, without a reload. A swap to a
// pair that does not fit leaves the old one in use.
func TestTLSCertificatesBehindALink(t *testing.T) {
	a, server := testkit.NewAuthority(t), testkit.StartRedis(t)
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fill := func(name string) (cert, key []byte) {
		certFile, keyFile := a.Pair("proxy")
		must(os.Mkdir(filepath.Join(dir, name), 0o700))
		for from, to := range map[string]string{certFile: "tls.crt", keyFile: "tls.key", a.CA: "ca.crt"} {
			text, err := os.ReadFile(from)
			must(err)
			must(os.WriteFile(filepath.Join(dir, name, to), text, 0o600))
		}
		cert, err := os.ReadFile(certFile)
		must(err)
		key, err = os.ReadFile(keyFile)
		must(err)
		return cert, key
	}
	swap := func(name string) {
		must(os.Symlink(name, filepath.Join(dir, "..tmp")))
		must(os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")))
	}
	fill("..0")
	swap("..0")
	for _, file := range []string{"tls.crt", "tls.key", "ca.crt"} {
		must(os.Symlink(filepath.Join("..data", file), filepath.Join(dir, file)))
	}
	cert, key, ca := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), filepath.Join(dir, "ca.crt")
	listen := testkit.FreeAddr(t)
	s := startStage(t, pool("alpha", listen, testkit.Names(server), tlsLines(cert, key, "client_ca: "+ca, "client_cert: optional")))
	shown := func() string {
		return dialTLS(t, listen, trusting(t, a)).conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	first := shown()
	fill("..1")
	swap("..1")
	awaitTrue(t, "the certificate behind the link", func() bool { return shown() != first })
	second := shown()
	otherCert, _ := fill("..2")
	_, key3 := fill("..3")
	must(os.WriteFile(filepath.Join(dir, "..3", "tls.crt"), otherCert, 0o600)) // a pair that does not fit
	must(os.WriteFile(filepath.Join(dir, "..3", "tls.key"), key3, 0o600))
	swap("..3")
	awaitTrue(t, "that the pair does not fit", func() bool { return s.Events().LatestOf(events.CertificatesRefused) != nil })
	if got := shown(); got != second {
		t.Errorf("the certificate is %s, want the one before, %s", got, second)
	}
	swap("..2")
	awaitTrue(t, "the next certificate", func() bool { return shown() != second })
}
