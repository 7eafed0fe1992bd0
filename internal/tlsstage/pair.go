package tlsstage

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/regularfile"
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

// An untimely is a certificate whose time is over, or has not come. It can be shown all the
// same.
type untimely struct {
	file  string
	early bool
	// at is when the time begins, or has ended.
	at time.Time
}

func (u *untimely) Error() string {
	at := u.at.UTC().Format(time.RFC3339)
	if u.early {
		return fmt.Sprintf("certificate '%s' is not valid yet: it is valid from %s", u.file, at)
	}
	return fmt.Sprintf("certificate '%s' has expired: it was valid until %s", u.file, at)
}

// isEarly reports whether a certificate's time has yet to come.
func isEarly(refused error) bool {
	u, is := errors.AsType[*untimely](refused)
	return is && u.early
}

// loadPairs reads certificates with their chains, and their keys, and finds what makes them
// useless. If all that is wrong is that some are untimely, it returns them, too.
func loadPairs(pairs ...config.CertFiles) (all []tls.Certificate, err error) {
	all = make([]tls.Certificate, len(pairs))
	for i, c := range pairs {
		pair, fault := loadPair(c)
		if _, is := errors.AsType[*untimely](fault); fault != nil && !is {
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
	switch now, leaf := time.Now(), pair.Leaf; {
	case now.After(leaf.NotAfter):
		return pair, &untimely{file: c.Cert, at: leaf.NotAfter}
	case now.Before(leaf.NotBefore):
		return pair, &untimely{file: c.Cert, early: true, at: leaf.NotBefore}
	}
	return pair, nil
}

func readPair(c config.CertFiles) (pair tls.Certificate, err error) {
	cert, err := regularfile.Read(c.Cert, maxPEM)
	if err != nil {
		return pair, err
	}
	key, err := regularfile.Read(c.Key, maxPEM)
	if err != nil {
		return pair, err
	}
	if key, err = openKey(key, c); err != nil {
		return pair, err
	}
	if pair, err = tls.X509KeyPair(cert, key); err != nil {
		return pair, err
	}
	_, err = Certificates(cert) // the chain, too
	return pair, err
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
	text, err := regularfile.Read(file, maxPassword)
	text = bytes.TrimSpace(text)
	if err == nil && len(text) == 0 {
		err = fmt.Errorf("'%s' has no password", file)
	}
	return string(text), err
}
