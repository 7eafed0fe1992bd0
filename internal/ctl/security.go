package ctl

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"nuthatch/internal/regularfile"
	"nuthatch/internal/tlsstage"
)

// maxCertificates is the most bytes of a file with certificates or a key.
const maxCertificates = 16 << 20

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
	cert, err := regularfile.Read(s.Cert, maxCertificates)
	if err != nil {
		return nil, err
	}
	key, err := regularfile.Read(s.Key, maxCertificates)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// refusedBy says what a listener's alert has against this client's certificate; empty if err is no
// such alert.
func (s *Security) refusedBy(err error) string {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return ""
	}
	// The type of the alert is crypto/tls's own. A listener without TLS 1.3 has no alert of its own
	// for a certificate that is missing.
	switch alert := op.Err.Error(); alert {
	case "tls: certificate required":
		if s.Cert == "" {
			return "asks for a certificate: say --cert FILE and --key FILE"
		}
	case "tls: bad certificate", "tls: handshake failure":
		if s.Cert == "" {
			return "probably asks for a certificate: say --cert FILE and --key FILE"
		}
	case "tls: unknown certificate authority", "tls: expired certificate", "tls: unsupported certificate":
	default:
		return ""
	}
	if s.Cert == "" {
		return ""
	}
	return "does not accept the certificate of --cert: is it signed by one of the listener's 'client_ca', and has it not expired?"
}

// readCertificates reads a file of certificates, and returns the first one too.
func readCertificates(file string) (*x509.CertPool, *x509.Certificate, error) {
	text, err := regularfile.Read(file, maxCertificates)
	if err != nil {
		return nil, nil, err
	}
	all, err := tlsstage.Certificates(text)
	if err != nil {
		return nil, nil, fmt.Errorf("'%s': %w", file, err)
	}
	pool := x509.NewCertPool()
	for _, c := range all {
		pool.AddCert(c)
	}
	return pool, all[0], nil
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
