package tlsstage

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"nuthatch/internal/regularfile"
)

const (
	// maxPEM is the most bytes of a file with certificates or a key.
	maxPEM = 16 << 20
	// beginsBlock is how the first line of a block in PEM form begins, and beginsCertificate
	// that of a certificate.
	beginsBlock       = "-----BEGIN"
	beginsCertificate = beginsBlock + " CERTIFICATE-----"
)

// errNoCertificate means that a file has none.
var errNoCertificate = errors.New("it has no certificate in PEM form")

// hashedName is what OpenSSL's "rehash" calls certificates in a folder.
var hashedName = regexp.MustCompile(`^[0-9a-f]{8}\.[0-9]+$`)

// Certificates are those in a text in PEM form. Each block must be whole, and each certificate
// readable: half of a file is none.
func Certificates(text []byte) (all []*x509.Certificate, err error) {
	began, blocks := 0, 0
	for line := range bytes.Lines(text) {
		// The last line may have been cut.
		if bytes.HasPrefix(line, []byte(beginsBlock)) || len(line) > 0 && line[len(line)-1] != '\n' && strings.HasPrefix(beginsCertificate, string(line)) {
			began++
		}
	}
	for rest := text; ; blocks++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("its certificate number %d cannot be read: %w", len(all)+1, err)
		}
		all = append(all, c)
	}
	switch {
	case blocks != began:
		return nil, fmt.Errorf("it is damaged, or only a part of a file: of %d blocks in PEM form %d are whole", began, blocks)
	case len(all) == 0:
		return nil, errNoCertificate
	}
	return all, nil
}

// filesIn are what a folder has, in the order of the names.
func filesIn(folder string) (names []string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil // that no certificate is found is told
	}
	for _, e := range entries {
		names = append(names, filepath.Join(folder, e.Name()))
	}
	return names
}

// promisesCertificates reports whether a file in a folder of signers has such a name.
func promisesCertificates(name string) bool {
	return slices.Contains([]string{".pem", ".crt", ".cer"}, filepath.Ext(name)) || hashedName.MatchString(name)
}

// loadCA reads the certificates from a file, or from all files of a folder. In a folder files
// with another name, and without a block in PEM form, are passed over, and so are folders and
// hidden files.
func loadCA(path string) (all signers, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return signers{}, err
	}
	all.pool = x509.NewCertPool()
	if !info.IsDir() {
		err := all.add(path)
		return all, err
	}
	found := false
	for _, file := range filesIn(path) {
		name := filepath.Base(file)
		if info, err := os.Stat(file); err == nil && info.IsDir() || strings.HasPrefix(name, ".") {
			continue
		}
		err := all.add(file)
		switch {
		case err == nil:
			found = true
		case promisesCertificates(name) || !errors.Is(err, errNoCertificate):
			return signers{}, err
		}
	}
	if !found {
		return signers{}, fmt.Errorf("'%s' has no certificate in PEM form", path)
	}
	return all, nil
}

// add adds the certificates of a file.
func (s *signers) add(file string) error {
	text, err := regularfile.Read(file, maxPEM)
	if err != nil {
		return err
	}
	all, err := Certificates(text)
	if err != nil {
		return fmt.Errorf("'%s': %w", file, err)
	}
	for _, c := range all {
		s.pool.AddCert(c)
		if c.NotAfter.After(s.until) {
			s.until = c.NotAfter
		}
	}
	return nil
}
