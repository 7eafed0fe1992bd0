package redis

import (
	"strings"
	"testing"
)

// A side of TLS that talks to one without is named as what it is.
func TestTLSIsRecognised(t *testing.T) {
	p := New(Options{})
	_, _, err := p.NewRequestParser().Parse([]byte("\x16\x03\x01\x02\x00\x01\x00\n"))
	if err == nil || err.Reply != "-ERR Protocol error: a client with TLS on a port without TLS\r\n" {
		t.Errorf("a client's hello: %v", err)
	}
	_, _, err = p.NewReplyParser().Parse([]byte("\x15\x03\x01\x00\x02\x02\x46"))
	if err == nil || !strings.Contains(err.Msg, "server_tls") {
		t.Errorf("a server's alert: %v", err)
	}
}
