package tlsstage_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/regularfile"
	"nuthatch/internal/testkit"
	"nuthatch/internal/tlsstage"
)

func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Half a file of signers is none, wherever it was cut, also if certificates in front of the cut are
// whole. So is a chain.
func TestCutCertificates(t *testing.T) {
	first, second := testkit.NewAuthority(t), testkit.NewAuthority(t)
	cert, key := first.Pair("proxy")
	head, tail, leaf := readFile(t, first.CA), readFile(t, second.CA), readFile(t, cert)
	bundle, chain := filepath.Join(t.TempDir(), "ca.crt"), filepath.Join(t.TempDir(), "chain.crt")
	clients := config.TLS{CertFiles: config.CertFiles{Cert: chain, Key: key}, ClientCA: bundle, ClientCert: config.ClientCertRequired}
	servers := config.ServerTLS{CA: bundle}
	for n := 0; n <= len(tail); n++ {
		if n > 40 && n < len(tail)-40 && n%7 > 0 { // not all, for the time that it takes
			continue
		}
		whole := n == 0 || n >= len(tail)-1 // without the newline at the end
		writeFile(t, bundle, append(bytes.Clone(head), tail[:n]...))
		writeFile(t, chain, leaf)
		_, asked := tlsstage.ForClients(&clients, new(tlsstage.Tickets), nil)
		_, asking := tlsstage.ForServers(&servers, nil)
		writeFile(t, bundle, head)
		writeFile(t, chain, append(bytes.Clone(leaf), tail[:n]...))
		_, chained := tlsstage.ForClients(&clients, new(tlsstage.Tickets), nil)
		for what, err := range map[string]error{"client_ca": asked, "ca": asking, "cert": chained} {
			if (err == nil) != whole || err != nil && !strings.Contains(err.Error(), "it is damaged, or only a part of a file") {
				t.Fatalf("%s, cut at %d of %d bytes: %v", what, n, len(tail), err)
			}
		}
	}
	damaged := bytes.Clone(tail)
	damaged[len(damaged)/2] ^= 1
	writeFile(t, bundle, append(bytes.Clone(head), damaged...))
	if _, err := tlsstage.ForServers(&servers, nil); err == nil {
		t.Error("a bundle with a bit that is another one is taken")
	}
}

// Each file of a folder that has, or by its name should have, a certificate must be whole. Others
// are passed over.
func TestFolderOfSigners(t *testing.T) {
	a := testkit.NewAuthority(t)
	text := readFile(t, a.CA)
	for _, tt := range []struct {
		name, text string
		refused    string // empty: the file is passed over
	}{
		{"README", "These are our signers.\n", ""},
		{".hidden.crt", "nonsense", ""},
		{"empty", "", ""},
		{"some.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", ""},
		{"more.crt", "", "it has no certificate"},
		{"more.pem", "nonsense", "it has no certificate"},
		{"0a1b2c3d.0", "", "it has no certificate"},
		{"more", string(text[:len(text)/2]), "only a part of a file"},
		{"more.crt", string(text[:12]), "only a part of a file"},
	} {
		folder := t.TempDir()
		writeFile(t, filepath.Join(folder, "a.crt"), text)
		conf := config.ServerTLS{CA: folder}
		e, err := tlsstage.ForServers(&conf, nil)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(folder, tt.name), []byte(tt.text))
		_, err = e.Load()
		if (tt.refused == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), tt.refused) || !strings.Contains(err.Error(), tt.name)) {
			t.Errorf("%s: %v, want %q in it", tt.name, err, tt.refused)
		}
		if e.Refused() != "" && !e.Config().RootCAs.Equal(a.Roots()) {
			t.Errorf("%s: what was read before is not in use", tt.name)
		}
	}
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "a.crt"), text)
	if err := syscall.Mkfifo(filepath.Join(folder, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tlsstage.ForServers(&config.ServerTLS{CA: folder}, nil); !errors.Is(err, regularfile.ErrKind) {
		t.Errorf("a pipe in the folder: %v", err)
	}
}

// A certificate that is not valid yet is shown if there is no other, with a warning, and without one
// when its time has come.
func TestEarlyCertificate(t *testing.T) {
	a := testkit.NewAuthority(t)
	cert, key := a.IssueFrom("proxy", time.Now().Add(time.Hour))
	conf := config.TLS{CertFiles: config.CertFiles{Cert: cert, Key: key}}
	e, err := tlsstage.ForClients(&conf, new(tlsstage.Tickets), nil)
	if err != nil || !strings.Contains(e.Refused(), "is not valid yet") {
		t.Fatalf("%v, and refused is %q", err, e.Refused())
	}
	info, err := os.Stat(cert)
	if err != nil {
		t.Fatal(err)
	}
	good, goodKey := a.Pair("good")
	for _, of := range [][2]string{{good, cert}, {goodKey, key}} { // in the same file, with the same time: as if time had gone by
		writeFile(t, of[1], readFile(t, of[0]))
		if err := os.Chtimes(of[1], info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
	}
	if changed, err := e.Load(); !changed || err != nil || e.Refused() != "" {
		t.Errorf("when it is valid: changed %t, %v, refused %q", changed, err, e.Refused())
	}
	a.IssueFrom("good", time.Now().Add(time.Hour))
	conf.Cert, conf.Key = good, goodKey
	if later, err := tlsstage.ForClients(&conf, new(tlsstage.Tickets), e); err != nil || later.Config().Certificates[0].Leaf.NotBefore.After(time.Now()) {
		t.Errorf("one that is not valid yet takes the place of one that is: %v", err)
	}
}
