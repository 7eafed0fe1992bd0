package integration

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// ctl speaks TLS with an admin listener, shows the certificate that this asks for, and says what
// is wrong if they do not come together.
func TestCtlTLS(t *testing.T) {
	t.Parallel()
	a, stranger := testkit.NewAuthority(t), testkit.NewAuthority(t)
	cert, key := a.Pair("admin")
	own, ownKey := a.Pair("operator")
	other, otherKey := stranger.Pair("operator")
	text, c := withAdmin(t, testkit.Pool{Name: "alpha", Protocol: testkit.Redis, Servers: testkit.Names(testkit.StartRedis(t))}.String(),
		fmt.Sprintf("admin_tls: {cert: %s, key: %s, client_ca: %s, client_cert: required}", cert, key, a.CA))
	testkit.StartNuthatch(t, text)
	const done, failed, noAnswer = 0, 1, 3
	for name, tt := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"with all":                      {[]string{"--cacert", a.CA, "--cert", own, "--key", ownKey}, done, "nuthatch"},
		"without a certificate":         {[]string{"--cacert", a.CA}, failed, "asks for a certificate: say --cert FILE and --key FILE"},
		"with another's certificate":    {[]string{"--cacert", a.CA, "--cert", other, "--key", otherKey}, failed, "does not accept the certificate of --cert"},
		"with another's signers":        {[]string{"--cacert", stranger.CA, "--cert", own, "--key", ownKey}, noAnswer, "certificate signed by unknown authority"},
		"with a certificate and no key": {[]string{"--cacert", a.CA, "--cert", own}, failed, "--cert and --key need each other"},
		"without TLS":                   {nil, noAnswer, "is an address with TLS; say --cacert"},
		"with a file that is no such":   {[]string{"--cacert", ownKey}, failed, "no certificate in PEM form"},
		"with a file that is not there": {[]string{"--cacert", a.CA + ".gone"}, failed, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			out, status := c.run(append(tt.args, "info")...)
			if status != tt.status || !strings.Contains(out, tt.says) {
				t.Errorf("exit status %d, want %d, with %q: %s", status, tt.status, tt.says, out)
			}
		})
	}
}
