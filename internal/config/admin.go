package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// adminOff is how a file turns the admin listener off.
const adminOff = "off"

// defaultAdmin is where the admin listener is if the file says nothing.
const defaultAdmin = "127.0.0.1:22223"

// kindAdmin is kindListen or "off", which is the zero Address.
var kindAdmin = kind{form: "address or off", text: true, parse: parseAdmin, schema: textOf(adminOff + `|` + listenPattern)}

// kindPath is the path of a file.
var kindPath = kind{form: "path", text: true, parse: parsePath, schema: textOf(`/.*`)}

// kindPercent is a whole number without a sign behind it.
var kindPercent = kind{form: "percent", parse: parsePercent, span: numberSpan, schema: numberSchema}

func parseAdmin(r limits, text string) (value, error) {
	if text == adminOff {
		return value{}, nil
	}
	return parseListenValue(r, text)
}

func parsePercent(r limits, text string) (value, error) {
	v, err := parseNumber(r, text)
	if number, sign := strings.CutSuffix(text, "%"); err != nil && sign {
		if _, inner := parseNumber(r, number); inner == nil {
			return value{}, fmt.Errorf("%w; write %s", err, number)
		}
	}
	return v, err
}

func parsePath(_ limits, text string) (value, error) {
	if !strings.HasPrefix(text, "/") {
		return value{}, errors.New("expected an absolute path, found " + quote(text))
	}
	return value{text: text}, nil
}

// IsLocal reports whether only users of this host can connect to the address: a
// unix socket, an IP address that loops back, or the name localhost.
func (a Address) IsLocal() bool {
	if a.Network == NetworkUnix {
		return true
	}
	ip, err := netip.ParseAddr(a.Host)
	if err != nil {
		return strings.EqualFold(a.Host, "localhost")
	}
	return ip.IsLoopback()
}

// checkProcess checks keys of the block "nuthatch:" against each other.
func (r *reader) checkProcess(b *block, p *Process) {
	r.checkTracing(b, &p.Tracing)
	admin, token, file := b.seen["admin"], b.seen["admin_token"], b.seen["admin_token_file"]
	variable := b.seen["admin_token_env"]
	if p.AdminWritten = len(admin.read) > 0; p.AdminWritten {
		r.admin = admin.read[0]
	}
	if written := b.seen["admin_socket"]; len(written.read) > 0 {
		r.adminSocket = written.read[0]
	}
	none := DefaultProcess()
	r.checkClientTLS(b, "admin_tls", &p.AdminTLS, &none.AdminTLS)
	hasToken := p.HasAdminToken() || p.HasReadToken() || token.faulty || file.faulty || variable.faulty
	for _, key := range []string{"admin_read_token", "admin_read_token_file", "admin_read_token_env"} {
		hasToken = hasToken || b.seen[key].faulty
	}
	if p.AdminWritten && p.Admin.Network != "" && !p.Admin.IsLocal() && !hasToken && !p.AdminInsecure {
		r.fault(admin.read[0], b, "admin", "everybody who reaches "+p.Admin.String()+" could carry out actions: set 'admin_token' or "+
			"'admin_token_file', listen on 127.0.0.1 or a unix socket, or allow it with 'admin_insecure: true'")
	}
}
