package redis

import (
	"bytes"
	"fmt"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// Ping is what a health check sends: requests to be sent one after the other, each of
// which brings one line. Pong says what the last line means. A refused AUTH shows in
// that line, too.
func Ping(login config.Login) [][]byte {
	var asked [][]byte
	if auth := login.Words(); auth != nil {
		asked = append(asked, encode(append([]string{"AUTH"}, auth...)...))
	}
	return append(asked, encode("PING"))
}

// encode writes a request.
func encode(words ...string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, w := range words {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b
}

// pongs are the beginnings of what a server may say to PING.
var pongs = []struct {
	begins string
	why    msg.Reason
}{
	{"+PONG", msg.OK},
	// The server is well, and would serve other requests than PING.
	{"-NOPERM", msg.OK},
	{"-ERR unknown command", msg.OK},
	{"-LOADING", msg.Loading},
	{"-MASTERDOWN", msg.MasterDown},
	{"-READONLY", msg.ReadOnly},
	{"-BUSY", msg.ScriptBusy},
	{"-NOAUTH", msg.LoginRefused},
	{"-WRONGPASS", msg.LoginRefused},
	{"-ERR max number of clients reached", msg.NoDescriptors},
	{"-DENIED", msg.AccessDenied},
}

// PongToAnybody is Pong for a check that says no password: a server that wants one is well.
func PongToAnybody(line []byte) msg.Reason {
	if why := Pong(line); why != msg.LoginRefused {
		return why
	}
	return msg.OK
}

// Pong judges a server's answer to PING: msg.OK, or why the server should get no
// requests.
func Pong(line []byte) msg.Reason {
	for _, p := range pongs {
		if bytes.HasPrefix(line, []byte(p.begins)) {
			return p.why
		}
	}
	return msg.BadReply
}
