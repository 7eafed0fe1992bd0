package redis

import (
	"testing"

	"nuthatch/internal/msg"
)

// What servers say to a stand-in lets a client go on only if it is a reply, or an error that is
// known to be about the stand-in's words.
func TestForbids(t *testing.T) {
	a := &passer{}
	for reply, want := range map[string]bool{
		"+OK\r\n": false, "*0\r\n": false, "$-1\r\n": false, "%0\r\n": false,
		"-ERR syntax error\r\n": false, "-ERR value is not an integer or out of range\r\n": false, "-ERR No such client\r\n": false,
		"-ERR Unknown category ' '\r\n": false, "-ERR User ' ' not found\r\n": false, "-ERR Unrecognized option ' '\r\n": false,
		"-ERR Unknown option or number of arguments for CONFIG SET - ' '\r\n": false, "-ERR Unsupported CONFIG parameter:  \r\n": false,
		"-ERR Unknown option or number of arguments for CONFIG SET - 'dir'\r\n": true,
		"": true, "-\r\n": true, "-ERR\r\n": true, "-ERR access denied\r\n": true, "-ERR you may not: syntax error\r\n": true,
		"-NOAUTH Authentication required.\r\n": true, "-NOPERM this user has no permissions to run the 'info' command\r\n": true,
		"-WRONGPASS syntax error\r\n": true, "-FORBIDDEN\r\n": true, "-syntax error\r\n": true, "!12\r\nsyntax error\r\n": true,
		"-ERR unknown command 'x'\r\n": true, "-ERR User 'bob' not found\r\n": true, "-ERR operation not permitted\r\n": true,
		"-ERR wrong number of arguments for 'x' command\r\n": true, "-LOADING Redis is loading the dataset in memory\r\n": true,
	} {
		if got := a.Forbids([]byte(reply)); got != want {
			t.Errorf("%q: %t", reply, got)
		}
	}
}

// Only Redis's own words show that a client without a login needs none.
func TestOpens(t *testing.T) {
	a := &passer{}
	for reply, want := range map[string]bool{
		"+PONG\r\n": true, "-NOPERM this user has no permissions to run the 'ping' command\r\n": true,
		"-NOPERM User default has no permissions to run the 'ping' command\r\n": true,
		"": false, "+LOGIN\r\n": false, "-NOPERM log in first\r\n": false, "-NOAUTH Authentication required.\r\n": false, "-ERR what\r\n": false, "$4\r\nPONG\r\n": false,
	} {
		if got := a.Opens([]byte(reply)); got != want {
			t.Errorf("%q: %t", reply, got)
		}
	}
}

// A connection is its user's only if the server has said OK to its login.
func TestHandshakeOfUsers(t *testing.T) {
	p := New(Options{Passthrough: true, MaxUsers: 8, Logins: NewLogins()})
	user, ok := p.logins.enter(msg.NewCredentials(true, []byte("alice"), []byte("pw")), 8)
	if !ok {
		t.Fatal("no room")
	}
	for reply, want := range map[string]msg.Reason{
		"+OK\r\n": msg.OK, "+WELCOME\r\n": msg.BadReply, ":1\r\n": msg.BadReply, "-ERR no\r\n": msg.UserRefused, "-WRONGPASS no\r\n": msg.UserRefused,
	} {
		if _, unfit := p.HandshakeReply(msg.Lane{RESP: 2, User: user}, 0, []byte(reply)); unfit != want {
			t.Errorf("%q: %v", reply, unfit)
		}
	}
}
