package tlsstage

import (
	"bytes"
	"cmp"
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

// An expired is a certificate whose time is over. It can be shown all the same.
type expired struct {
	file  string
	until time.Time
}

func (e *expired) Error() string {
	return fmt.Sprintf("certificate '%s' has expired: it was valid until %s", e.file, e.until.UTC().Format(time.RFC3339))
}

// loadPairs reads certificates with their chains, and their keys, and finds what makes them
// useless. If all that is wrong is that some have expired, it returns them, too.
func loadPairs(pairs ...config.CertFiles) (all []tls.Certificate, err error) {
	all = make([]tls.Certificate, len(pairs))
	for i, c := range pairs {
		pair, fault := loadPair(c)
		if _, is := errors.AsType[*expired](fault); fault != nil && !is {
			return nil, fault
		}
		all[i], err = pair, cmp.Or(err, fault)
	}
	return all, err
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
		return pair, &expired{c.Cert, pair.Leaf.NotAfter}
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
	if key, err = openKey(key, c); err != nil {
		return pair, err
	}
	return tls.X509KeyPair(cert, key)
}

// openKey removes the password from a key in PEM form. c says where the password is.
func openKey(text []byte, c config.CertFiles) ([]byte, error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return text, nil
		}
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" && !c.HasPassword():
			return nil, errors.New("the key has a password: say where it is, with key_password_file or key_password_env")
		case block.Type == "ENCRYPTED PRIVATE KEY":
			password, err := passwordOf(c)
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

// passwordOf is the password of a key.
func passwordOf(c config.CertFiles) (string, error) {
	if c.KeyPasswordEnv == "" {
		return readPassword(c.KeyPasswordFile)
	}
	password, err := config.SecretSource{Env: c.KeyPasswordEnv}.Read()
	return password.Reveal(), err
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
