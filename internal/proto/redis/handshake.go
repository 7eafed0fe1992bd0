package redis

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"

	"nuthatch/internal/config"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A step is one request of the handshake with a server.
type step uint8

const (
	stepHello  step = iota // HELLO 3, with the login if there is one
	stepAuth               // AUTH
	stepSelect             // SELECT
	stepRole               // ROLE
	stepID                 // CLIENT ID
)

// A greeter prepares a server connection for a lane.
type greeter struct{ *rules }

// steps are those of a lane's handshake.
func (g *greeter) steps(lane msg.Lane) []step {
	var s [4]step
	n := s[:0]
	switch {
	case lane.IsRESP3():
		n = append(n, stepHello)
	case g.login.Password != "":
		n = append(n, stepAuth)
	}
	if !lane.Aside && g.databases.number(lane) != 0 {
		n = append(n, stepSelect)
	}
	if lane.Primary {
		n = append(n, stepRole)
	}
	if lane.Private {
		n = append(n, stepID)
	}
	return n
}

// Handshake appends the requests that prepare a fresh connection for the lane: the
// login, as AUTH or within HELLO 3, and SELECT, where they are needed. It returns how
// many replies they will bring.
func (g *greeter) Handshake(lane msg.Lane, pool *mbuf.Pool, out *mbuf.Chain) int {
	w := writer{pool: pool, out: out}
	steps := g.steps(lane)
	for _, s := range steps {
		switch s {
		case stepHello:
			if l := g.login; l.Password == "" {
				w.request("HELLO", "3")
			} else {
				w.request("HELLO", "3", "AUTH", cmp.Or(l.User, defaultUser), l.Password.Reveal())
			}
		case stepAuth:
			w.request(append([]string{"AUTH"}, g.login.Words()...)...)
		case stepSelect:
			w.request("SELECT", strconv.Itoa(g.databases.number(lane)))
		case stepRole:
			w.request("ROLE")
		case stepID:
			w.request("CLIENT", "ID")
		}
	}
	return len(steps)
}

// AppendLane implements proxy.Lender.
func (g *greeter) AppendLane(from, to msg.Lane, pool *mbuf.Pool, out *mbuf.Chain) int {
	w := writer{pool: pool, out: out}
	n := 0
	if from.IsRESP3() != to.IsRESP3() {
		w.request("HELLO", strconv.FormatInt(version(to), 10))
		n++
	}
	if db := g.databases.number(to); db != g.databases.number(from) {
		w.request("SELECT", strconv.Itoa(db))
		n++
	}
	return n
}

// HandshakeReply returns the server's objection in its i-th reply, which is b, or
// nothing if it agreed. The text never contains the password, even if the server's text
// does.
//
// Without its protocol version or its database a connection is unfit. Without a login
// it is not: requests get the server's own errors, or none if the server has no
// password.
func (g *greeter) HandshakeReply(lane msg.Lane, i int, b []byte) (objection string, unfit msg.Reason) {
	s := g.steps(lane)[i]
	if s == stepRole {
		return roleObjection(b)
	}
	first := byte(0)
	if len(b) > 0 {
		first = b[0]
	}
	if s == stepID || first == '+' && s != stepHello || first == '%' && s == stepHello {
		return "", msg.OK
	}
	text, failed := errorText(b)
	if !failed {
		text = unexpectedReply
	}
	text = withoutPassword(g.login, text)
	loginFailed := bytes.HasPrefix(b, []byte("-NOAUTH")) || bytes.HasPrefix(b, []byte("-WRONGPASS"))
	switch {
	case s == stepAuth:
		return "AUTH: " + text, msg.OK
	case s == stepHello && loginFailed:
		return "HELLO 3: " + text, msg.LoginRefused
	case s == stepHello:
		g.learned.setRESP3(untested)
		return "HELLO 3: " + text, msg.NoRESP3
	case loginFailed:
		unfit = msg.LoginRefused
	default:
		unfit = msg.NoDatabase
	}
	return "SELECT " + strconv.Itoa(g.databases.number(lane)) + ": " + text, unfit
}

// withoutPassword returns the part of a server's error that anybody may see, on one
// line. Arguments are left out, since a server that does not know the command lists
// them.
func withoutPassword(login config.Login, text string) string {
	text, _, _ = strings.Cut(text, ", with args")
	if p := login.Password; p != "" && strings.Contains(text, p.Reveal()) {
		return "refused"
	}
	return plain([]byte(text), maxShown)
}
