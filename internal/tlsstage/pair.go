package tlsstage

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"nuthatch/internal/config"
)

// maxPassword is the most bytes that are read of a password's file.
const maxPassword = 4096

// pairFiles are the files of certificates.
func pairFiles(pairs ...config.CertFiles) (all []string) {
	for _, c := range pairs {
		all = append(all, files(c.Cert, c.Key, c.KeyPasswordFile)...)
	}
	return all
}

// loadPairs reads certificates with their chains, and their keys, and finds what makes them
// useless.
func loadPairs(pairs ...config.CertFiles) ([]tls.Certificate, error) {
	all := make([]tls.Certificate, len(pairs))
	for i, c := range pairs {
		var err error
		if all[i], err = loadPair(c); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func loadPair(c config.CertFiles) (tls.Certificate, error) {
	pair, err := readPair(c)
	if err != nil {
		if _, is := errors.AsType[*os.PathError](err); is {
			return pair, err
		}
		return pair, fmt.Errorf("certificate '%s' with key '%s': %w", c.Cert, c.Key, err)
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) {
		return pair, fmt.Errorf("certificate '%s' has expired: it was valid until %s", c.Cert, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return pair, nil
}

func readPair(c config.CertFiles) (pair tls.Certificate, err error) {
	cert, err := os.ReadFile(c.Cert)
	if err != nil {
		return pair, err
	}
	key, err := os.ReadFile(c.Key)
	if err != nil {
		return pair, err
	}
	if key, err = openKey(key, c.KeyPasswordFile); err != nil {
		return pair, err
	}
	return tls.X509KeyPair(cert, key)
}

// openKey removes the password from a key in PEM form. file has the password; empty:
// there is none.
func openKey(text []byte, file string) ([]byte, error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return text, nil
		}
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" && file == "":
			return nil, errors.New("the key has a password: name its file, with key_password_file")
		case block.Type == "ENCRYPTED PRIVATE KEY":
			password, err := readPassword(file)
			if err != nil {
				return nil, err
			}
			der, err := decryptKey(block.Bytes, password)
			if err != nil {
				return nil, err
			}
			return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
		case block.Headers["DEK-Info"] != "":
			return nil, errors.New("the key is encrypted in OpenSSL's old form, which is not supported: convert it with 'openssl pkcs8 -topk8 -v2 aes256'")
		}
	}
}

func readPassword(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPassword))
	text = bytes.TrimSpace(text)
	if err == nil && len(text) == 0 {
		err = fmt.Errorf("'%s' has no password", file)
	}
	return string(text), err
}
