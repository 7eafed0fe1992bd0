package tlsstage_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/testkit"
	"nuthatch/internal/tlsstage"
)

// A folder of certificates is read again if a file in it has changed, come or gone.
func TestFolderChanges(t *testing.T) {
	first, second := testkit.NewAuthority(t), testkit.NewAuthority(t)
	cert, key := first.Pair("proxy")
	folder := t.TempDir()
	at := time.Now().Add(-time.Hour)
	write := func(name string, of *testkit.Authority) {
		t.Helper()
		text, err := os.ReadFile(of.CA)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Second)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write("clients.crt", first)
	e, err := tlsstage.ForClients(&config.TLS{CertFiles: config.CertFiles{Cert: cert, Key: key}, ClientCA: folder, ClientCert: config.ClientCertRequired}, new(tlsstage.Tickets), nil)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(what string, changes bool, want *x509.CertPool) {
		t.Helper()
		if changed, err := e.Load(); changed != changes || err != nil {
			t.Errorf("%s: changed: %t, %v; want %t", what, changed, err, changes)
		}
		if !e.Config().ClientCAs.Equal(want) {
			t.Errorf("%s: other certificates than those of the folder", what)
		}
	}
	both := first.Roots()
	text, err := os.ReadFile(second.CA)
	if err != nil {
		t.Fatal(err)
	}
	both.AppendCertsFromPEM(text)
	expect("nothing has changed", false, first.Roots())
	write("clients.crt", second)
	expect("another certificate in the same file", true, second.Roots())
	write("more.crt", first)
	expect("one more file", true, both)
	if err := os.Remove(filepath.Join(folder, "more.crt")); err != nil {
		t.Fatal(err)
	}
	expect("one file less", true, second.Roots())
}
