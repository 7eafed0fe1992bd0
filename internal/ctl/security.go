package ctl

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
)

// A Security is how an admin listener is connected to with TLS. With the zero value, an
// https:// address is, and its certificate must be one that the system trusts.
type Security struct {
	// CA is the file of the certificates that sign the listener's; empty: the system has
	// them.
	CA string
	// Shown is the file of the certificate that the listener shows, on this host; empty: it
	// is not known.
	Shown string
	// Cert and Key are the files of this client's own certificate, if the listener asks for
	// one.
	Cert, Key string
}

// on reports whether host:port is an address with TLS.
func (s *Security) on() bool { return s.CA != "" || s.Shown != "" || s.Cert != "" }

func (s *Security) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	switch {
	case s.CA != "":
		roots, _, err := readCertificates(s.CA)
		if err != nil {
			return nil, err
		}
		c.RootCAs = roots
	case s.Shown != "":
		// It is the one that must be shown, by whatever address the proxy is reached.
		roots, leaf, err := readCertificates(s.Shown)
		if err != nil {
			return nil, err
		}
		c.RootCAs, c.ServerName = roots, nameOf(leaf)
	}
	if s.Cert == "" {
		return c, nil
	}
	pair, err := tls.LoadX509KeyPair(s.Cert, s.Key)
	if err != nil {
		return nil, err
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// readCertificates reads a file of certificates, and returns the first one too.
func readCertificates(file string) (*x509.CertPool, *x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	pool := x509.NewCertPool()
	block, _ := pem.Decode(text)
	if block == nil || !pool.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("%s has no certificate in PEM form", file)
	}
	first, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return pool, first, nil
}

// nameOf is a name that the certificate is good for.
func nameOf(c *x509.Certificate) string {
	switch {
	case len(c.DNSNames) > 0:
		return strings.Replace(c.DNSNames[0], "*", "any", 1)
	case len(c.IPAddresses) > 0:
		return c.IPAddresses[0].String()
	}
	return c.Subject.CommonName
}
