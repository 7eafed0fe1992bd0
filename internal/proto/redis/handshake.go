package redis

import (
	"bytes"
	"strconv"
	"strings"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A step is one request of the handshake with a server.
type step uint8

const (
	stepHello    step = iota // HELLO 3, with the login if there is one
	stepAuth                 // AUTH
	stepSelect               // SELECT
	stepRole                 // ROLE
	stepReadOnly             // READONLY
	stepID                   // CLIENT ID
)

// A greeter prepares a server connection for a lane.
type greeter struct{ *rules }

// loginOf is what servers are told of who a lane's connections are.
func (g *greeter) loginOf(lane msg.Lane) serverLogin {
	switch {
	case lane.User == msg.ServiceUser, lane.User == 0 && !g.passes:
		return serverLoginOf(g.login)
	case lane.User == 0, lane.User == msg.LoginUser, lane.User == msg.GuestUser:
		return serverLogin{}
	}
	return g.logins.login(lane.User)
}

// isUsers tells whether a lane's connections are logged in as a user that clients have said.
func isUsers(lane msg.Lane) bool { return lane.User != 0 && lane.User < msg.LoginUser }

// steps are those of a lane's handshake.
func (g *greeter) steps(lane msg.Lane, login serverLogin) []step {
	var s [5]step
	n := s[:0]
	switch {
	case lane.IsRESP3():
		n = append(n, stepHello)
	case login.words != nil:
		n = append(n, stepAuth)
	}
	if !lane.Aside && g.databases.number(lane) != 0 {
		n = append(n, stepSelect)
	}
	if lane.Demand == msg.ForPrimary {
		n = append(n, stepRole)
	}
	if lane.Demand == msg.ForReplica {
		n = append(n, stepReadOnly)
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
	login := g.loginOf(lane)
	steps := g.steps(lane, login)
	for _, s := range steps {
		switch s {
		case stepHello:
			w.request(append([]string{"HELLO", "3"}, login.hello()...)...)
		case stepAuth:
			w.request(append([]string{"AUTH"}, login.words...)...)
		case stepSelect:
			w.request("SELECT", strconv.Itoa(g.databases.number(lane)))
		case stepRole:
			w.request("ROLE")
		case stepReadOnly:
			w.request("READONLY")
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
		w.request("HELLO", strconv.FormatInt(versionOf(to), 10))
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
// password. But a connection of a user, server_user's or one that clients have said, is unfit
// without its login: it would be another user's, where the user default needs no password.
func (g *greeter) HandshakeReply(lane msg.Lane, i int, b []byte) (objection string, unfit msg.Reason) {
	login := g.loginOf(lane)
	s := g.steps(lane, login)[i]
	if s == stepRole {
		return roleObjection(b)
	}
	first := byte(0)
	if len(b) > 0 {
		first = b[0]
	}
	agrees := first == '+' && s != stepHello || first == '%' && s == stepHello
	if s == stepAuth && isUsers(lane) {
		agrees = bytes.HasPrefix(b, []byte("+OK"))
	}
	if s == stepID || agrees {
		return "", msg.OK
	}
	text, failed := errorText(b)
	if !failed {
		text = unexpectedReply
	}
	text = withoutPassword(login, text)
	if s == stepReadOnly {
		return "READONLY: " + text, msg.OK // it redirects what it is asked
	}
	loginFailed := bytes.HasPrefix(b, []byte("-NOAUTH")) || bytes.HasPrefix(b, []byte("-WRONGPASS"))
	switch {
	case g.passes && !failed:
		return text, msg.BadReply
	case isUsers(lane) && bytes.HasPrefix(b, []byte("-ERR max number of clients")):
		return text, msg.NoDescriptors
	case isUsers(lane) && bytes.HasPrefix(b, []byte("-DENIED")):
		return text, msg.AccessDenied
	case isUsers(lane), g.passes && loginFailed && lane.User == 0:
		return text, msg.UserRefused
	case s == stepAuth && !g.passes && RefusesUser(login.words, b):
		return "AUTH: " + text, msg.LoginRefused
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

// RefusesUser reports whether a server's answer to AUTH with these words refuses a user that they
// name. What refuses every connection is no refusal of the user.
func RefusesUser(words []string, answer []byte) bool {
	if len(words) < 2 || bytes.HasPrefix(answer, []byte("-ERR max number of clients")) {
		return false
	}
	return bytes.HasPrefix(answer, []byte("-WRONGPASS")) || bytes.HasPrefix(answer, []byte("-NOAUTH")) || bytes.HasPrefix(answer, []byte("-ERR"))
}

// withoutPassword returns the part of a server's error that anybody may see, on one
// line. Arguments are left out, since a server that does not know the command lists
// them.
func withoutPassword(login serverLogin, text string) string {
	text, _, _ = strings.Cut(text, ", with args")
	if p := login.password(); p != "" && strings.Contains(text, p) {
		return "refused"
	}
	return plain([]byte(text), maxShown)
}
