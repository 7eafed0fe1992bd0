package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An Authority signs certificates for tests. Its files are in a folder of the test's.
type Authority struct {
	// CA is the file of its own certificate.
	CA     string
	t      testing.TB
	folder string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
}

// NewAuthority makes an authority.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, folder: t.TempDir(), key: newKey(t)}
	a.CA = filepath.Join(a.folder, "ca.crt")
	a.cert = &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority of " + t.Name()}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	a.EndAt(time.Now().Add(30 * 24 * time.Hour))
	return a
}

// EndAt writes the authority's own certificate anew, valid until then.
func (a *Authority) EndAt(until time.Time) {
	a.t.Helper()
	a.write(a.CA, a.sign(a.cert, a.key, until), "CERTIFICATE")
}

// Roots trusts the authority alone.
func (a *Authority) Roots() *x509.CertPool {
	a.t.Helper()
	text, err := os.ReadFile(a.CA)
	if err != nil {
		a.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return roots
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign makes the certificate of key, from the template.
func (a *Authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey, until time.Time) []byte {
	a.t.Helper()
	a.serial++
	template.SerialNumber = big.NewInt(a.serial)
	// The clock of package synctest begins in the year 2000.
	if template.NotAfter = until; template.NotBefore.IsZero() {
		template.NotBefore = time.Date(1999, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

func (a *Authority) write(path string, der []byte, kind string) {
	a.t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// Issue writes a certificate for this machine, under that name, valid until then, and its
// key. A second call with the same name replaces the files.
func (a *Authority) Issue(name string, until time.Time) (cert, key string) {
	a.t.Helper()
	return a.issue(name, pkix.Name{CommonName: name}, time.Time{}, until)
}

// IssueFrom is Issue for the hour from then on.
func (a *Authority) IssueFrom(name string, from time.Time) (cert, key string) {
	a.t.Helper()
	return a.issue(name, pkix.Name{CommonName: name}, from, from.Add(time.Hour))
}

// PairOfTwo writes a certificate with two common names, and its key.
func (a *Authority) PairOfTwo(first, second string) (cert, key string) {
	a.t.Helper()
	common := asn1.ObjectIdentifier{2, 5, 4, 3}
	return a.issue(first+"-"+second, pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: common, Value: first}, {Type: common, Value: second}}}, time.Time{}, time.Now().Add(time.Hour))
}

func (a *Authority) issue(name string, subject pkix.Name, from, until time.Time) (cert, key string) {
	a.t.Helper()
	k := newKey(a.t)
	der := a.sign(&x509.Certificate{
		Subject: subject, NotBefore: from, DNSNames: []string{"localhost", name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, k, until)
	cert, key = filepath.Join(a.folder, name+".crt"), filepath.Join(a.folder, name+".key")
	a.write(cert, der, "CERTIFICATE")
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(key, raw, "PRIVATE KEY")
	return cert, key
}

// Pair is Issue for an hour.
func (a *Authority) Pair(name string) (cert, key string) {
	a.t.Helper()
	return a.Issue(name, time.Now().Add(time.Hour))
}
