package memcache

import "testing"

// A client with TLS on a port without is named as what it is.
func TestTLSIsRecognised(t *testing.T) {
	_, _, err := New(Options{}).NewRequestParser().Parse([]byte("\x16\x03\x01\x02\x00\x01\x00\n"))
	if err == nil || err.Reply != "CLIENT_ERROR a client with TLS on a port without TLS\r\n" {
		t.Errorf("a client's hello: %v", err)
	}
}
