package memcache

import (
	"bytes"

	"nuthatch/internal/msg"
)

// Ping is what a server is asked to find out whether it is well.
func Ping() [][]byte { return [][]byte{[]byte("version\r\n")} }

// Pong is what a server's answer to that says about it: msg.OK, or why it is not
// to be given requests.
func Pong(line []byte) msg.Reason {
	if bytes.HasPrefix(line, []byte("VERSION ")) {
		return msg.OK
	}
	if bytes.HasPrefix(line, []byte("ERROR Too many open connections")) {
		return msg.NoDescriptors
	}
	return msg.BadReply
}
