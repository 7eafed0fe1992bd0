package redis

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// A Role is what a server is in its replication, as it says itself.
type Role uint8

const (
	// RoleUnknown means that the server does not say: it does not know ROLE, or does not
	// allow it.
	RoleUnknown Role = iota
	// RolePrimary means that it takes writes.
	RolePrimary
	// RoleReplica means that it follows a primary.
	RoleReplica
	// RoleOther means that it is no server for keys, but a sentinel.
	RoleOther
)

// String is the role's name.
func (r Role) String() string {
	return [...]string{RoleUnknown: "unknown", RolePrimary: "primary", RoleReplica: "replica", RoleOther: "sentinel"}[r]
}

// roleWords are how the reply to ROLE begins, behind its number of elements.
var roleWords = map[string]Role{"master": RolePrimary, "slave": RoleReplica, "sentinel": RoleOther}

// roleOf reads the reply to ROLE, of which b is at least the beginning.
func roleOf(b []byte) Role {
	if len(b) == 0 || b[0] != '*' {
		return RoleUnknown
	}
	_, rest, _ := bytes.Cut(b, []byte("\r\n"))
	_, rest, _ = bytes.Cut(rest, []byte("\r\n"))
	word, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return roleWords[string(word)]
}

// roleObjection judges the reply to ROLE of a server that must be a primary. A server
// that does not say what it is gets requests.
func roleObjection(b []byte) (objection string, unfit msg.Reason) {
	switch r := roleOf(b); r {
	case RolePrimary:
		return "", msg.OK
	case RoleUnknown:
		text, failed := errorText(b)
		if !failed {
			text = unexpectedReply
		}
		return "ROLE: " + plain([]byte(text), maxShown), msg.OK
	default:
		return "ROLE: it is a " + r.String(), msg.NotPrimary
	}
}

// errNoRole means that the end of the connection came in place of a role.
var errNoRole = errors.New("the server closed the connection")

// AskRole asks a server what it is, on a fresh connection, and logs in first if there is
// a password.
func AskRole(conn io.ReadWriter, login config.Login) (Role, error) {
	var asked []byte
	lines := 0
	if auth := login.Words(); auth != nil {
		asked = append(asked, encode(append([]string{"AUTH"}, auth...)...)...)
		lines = 1
	}
	if _, err := conn.Write(append(asked, encode("ROLE")...)); err != nil {
		return RoleUnknown, err
	}
	in := bufio.NewReaderSize(conn, maxSaidLine)
	var reply []byte
	for range lines {
		if _, err := in.ReadSlice('\n'); err != nil {
			return RoleUnknown, noRole(err)
		}
	}
	for range 3 { // the head, the length of the first word, and the word
		line, err := in.ReadSlice('\n')
		if err != nil {
			return RoleUnknown, noRole(err)
		}
		if reply = append(reply, line...); reply[0] != '*' {
			break
		}
	}
	return roleOf(reply), nil
}

func noRole(err error) error {
	if errors.Is(err, io.EOF) {
		return errNoRole
	}
	return err
}
