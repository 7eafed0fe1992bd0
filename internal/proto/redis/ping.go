package redis

import (
	"bytes"
	"fmt"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// Ping is what a server is asked to find out whether it is well: the parts to be
// sent one after the other, each of which brings one line. Of the last one, Pong
// tells what it means; what a server says to AUTH shows in that.
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
	// It is there and would serve others than PING.
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

// Pong is what a server's answer to PING says about it: msg.OK, or why it is not
// to be given requests.
func Pong(line []byte) msg.Reason {
	for _, p := range pongs {
		if bytes.HasPrefix(line, []byte(p.begins)) {
			return p.why
		}
	}
	return msg.BadReply
}
