package examples

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// What the unit takes as credentials is where its comment and OPERATIONS.md say, and the proxy
// reads it there, as systemd leaves it: files of mode 0400, in a folder of the service's own. A file
// of the folder that LoadCredential names is "ID_FILE".
func TestCredentials(t *testing.T) {
	unit := read(t, "systemd/nuthatch.service")
	given := regexp.MustCompile(`(?m)^LoadCredential=(\w+):(\S+)$`).FindStringSubmatch(unit)
	if given == nil {
		t.Fatal("the unit takes no credentials")
	}
	const folder = "/run/credentials/nuthatch.service/"
	at := folder + given[1] + "_redis"
	for name, text := range map[string]string{"the unit": unit, "OPERATIONS.md": read(t, "../docs/OPERATIONS.md")} {
		if !strings.Contains(text, at) || !strings.Contains(text, given[2]+"/redis") {
			t.Errorf("%s does not say that %s/redis is %s", name, given[2], at)
		}
	}
	here := t.TempDir() + "/"
	cert, key := testkit.NewAuthority(t).Pair("proxy")
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]string{"redis": "sesame\n", "key": string(text), "token": "t0ken"} {
		if err := os.WriteFile(filepath.Join(here, given[1]+"_"+name), []byte(secret), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	secured, admin := testkit.FreeAddr(t), testkit.FreeAddr(t)
	lines := []string{
		"redis_auth_file: " + at, "server_password: none", "tls: {cert: " + cert + ", key: " + folder + given[1] + "_key, listen: \"" + secured + "\"}",
	}
	conf := testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(testkit.StartRedis(t, "--requirepass", "none")), Lines: lines}.String() +
		"nuthatch:\n  admin: " + admin + "\n  admin_token_file: " + folder + given[1] + "_token\n"
	p := testkit.StartNuthatch(t, strings.ReplaceAll(conf, folder, here))
	c := p.Dial(testkit.Redis)
	for _, say := range [][3]string{{"GET", "k", "-NOAUTH"}, {"AUTH", "wrong", "-ERR invalid password"}, {"AUTH", "sesame", "+OK"}, {"GET", "k", "$-1"}} {
		if got := c.Do(say[0], say[1]); !strings.HasPrefix(got, say[2]) {
			t.Errorf("%s %s: %q, want %q", say[0], say[1], got, say[2])
		}
	}
}
