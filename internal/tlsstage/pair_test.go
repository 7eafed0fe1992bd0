package tlsstage_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/testkit"
	"nuthatch/internal/tlsstage"
)

// A key may have a password, as OpenSSL encrypts it. Whatever else is told as what it is,
// and no text has the password.
func TestKeysWithPasswords(t *testing.T) {
	password := func(text string) string {
		file := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	right, wrong, none := password("sesame\n"), password("open barley"), password(" \n")
	for _, tt := range []struct{ key, password, fault string }{
		{"plain.key", "", ""},
		{"plain.key", right, ""},
		{"aes256.key", right, ""},
		{"aes128-sha1.key", right, ""},
		{"aes192-sha512.key", right, ""},
		{"aes256.key", "", "key_password_file"},
		{"aes256.key", wrong, "the password may be another one"},
		{"aes256.key", none, "has no password"},
		{"aes256.key", filepath.Join(t.TempDir(), "nowhere"), "no such file"},
		{"scrypt.key", right, "want PBKDF2"},
		{"des.key", right, "want PBES2"},
		{"traditional.key", right, "openssl pkcs8 -topk8"},
		{"cert.crt", right, "cert.crt"},
	} {
		var conf config.TLS
		conf.Cert, conf.Key, conf.KeyPasswordFile = filepath.Join("testdata", "cert.crt"), filepath.Join("testdata", tt.key), tt.password
		_, err := tlsstage.ForClients(&conf, new(tlsstage.Tickets), nil)
		switch {
		case tt.fault == "" && err != nil:
			t.Errorf("%s: %v", tt.key, err)
		case tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)):
			t.Errorf("%s: %v, want %q in it", tt.key, err, tt.fault)
		case err != nil && (strings.Contains(err.Error(), "sesame") || strings.Contains(err.Error(), "barley")):
			t.Errorf("%s: the error has the password: %v", tt.key, err)
		}
	}
}

// The password may be in an environment variable.
func TestKeyPasswordInEnvironment(t *testing.T) {
	for password, fault := range map[string]string{"sesame": "", "open barley": "the password may be another one", "": "the environment variable KEY_PASSWORD is not set, or empty"} {
		t.Setenv("KEY_PASSWORD", password)
		var conf config.TLS
		conf.Cert, conf.Key, conf.KeyPasswordEnv = filepath.Join("testdata", "cert.crt"), filepath.Join("testdata", "aes256.key"), "KEY_PASSWORD"
		_, err := tlsstage.ForClients(&conf, new(tlsstage.Tickets), nil)
		switch {
		case fault == "" && err != nil:
			t.Error(err)
		case fault != "" && (err == nil || !strings.Contains(err.Error(), fault) || password != "" && strings.Contains(err.Error(), password)):
			t.Errorf("with %q: %v, want %q in it", password, err, fault)
		}
	}
}

// A key that is damaged anywhere does no worse than to be refused.
func TestKeyDamaged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("sesame"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("testdata", "aes256.key"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(text) {
		damaged := []byte(string(text))
		if damaged[i]++; damaged[i] == '\n'+1 {
			continue
		}
		key := filepath.Join(t.TempDir(), "damaged.key")
		if err := os.WriteFile(key, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		var conf config.TLS
		conf.Cert, conf.Key, conf.KeyPasswordFile = filepath.Join("testdata", "cert.crt"), key, file
		_, err := tlsstage.ForClients(&conf, new(tlsstage.Tickets), nil)
		if err != nil && strings.Contains(err.Error(), "sesame") {
			t.Errorf("the error has the password: %v", err)
		}
	}
}

// Keys of tickets come from a file, one on each line.
func TestTicketKeysFile(t *testing.T) {
	key := strings.Repeat("0123456789abcdef", 4)
	for text, want := range map[string]int{
		key: 1, key + "\n": 1, "\n" + key + "\r\n\n" + strings.ToUpper(key) + "\n": 2,
		"": -1, key[1:]: -1, key + "0": -1, key + "00": -1, "x" + key[1:]: -1, strings.Repeat(key+"\n", 17): -1,
	} {
		file := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := tlsstage.ReadTicketKeys(file)
		if (err == nil) != (want > 0) || want > 0 && len(keys) != want {
			t.Errorf("%q: %d keys, %v", text, len(keys), err)
		}
		if err != nil && (!strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "0123")) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The keys of one program are those of the next, and nothing else is.
func TestTicketsHanded(t *testing.T) {
	var old, next tlsstage.Tickets
	a := testkit.NewAuthority(t)
	var conf config.TLS
	conf.Cert, conf.Key = a.Pair("proxy")
	if _, err := tlsstage.ForClients(&conf, &old, nil); err != nil { // makes a key
		t.Fatal(err)
	}
	handed, err := old.Hand()
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Take(handed); err != nil {
		t.Fatal(err)
	}
	if again, err := next.Hand(); err != nil || !bytes.Equal(again, handed) {
		t.Errorf("%s is handed on, %v, want %s", again, err, handed)
	}
	for _, text := range []string{"", "{", `{"keys":["00"]}`, `{"keys":["` + strings.Repeat("x", 64) + `"]}`, `{"keys":` + strings.Repeat(`[`, 100) + `}`} {
		if err := next.Take([]byte(text)); err == nil {
			t.Errorf("%q is taken for keys", text)
		}
	}
	if again, err := next.Hand(); err != nil || !bytes.Equal(again, handed) {
		t.Errorf("what is no keys has changed them: %s, %v", again, err)
	}
}
