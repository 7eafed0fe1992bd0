package tlsstage_test

import (
	"bytes"
	"crypto/tls"
	"strings"
	"testing"
)

// A turncoat says what it should in its first flight, and something else in place of each
// later one.
type turncoat struct {
	*caller
	instead []byte
	flights int
}

func (c *turncoat) Write(b []byte) (int, error) {
	if c.flights++; c.flights > 1 {
		if _, err := c.say(c.instead); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	return c.say(b)
}

// What may not come in the middle of a handshake ends it: the connection is never made, and
// nothing of it comes to the handler.
func TestGarbageInTheHandshake(t *testing.T) {
	for name, instead := range map[string]string{
		"plain bytes":      "PING\r\n",
		"zeros":            strings.Repeat("\x00", 100),
		"a fatal alert":    "\x15\x03\x03\x00\x02\x02\x28",
		"data":             "\x17\x03\x03\x00\x10" + strings.Repeat("x", 16),
		"another hello":    "\x16\x03\x03\x00\x06\x01\x00\x00\x02\x03\x03",
		"an early change":  "\x14\x03\x03\x00\x01\x01\x16\x03\x03\x00\x04\x14\x00\x00\x00",
		"too long":         "\x16\x03\x03\xff\xff",
		"a huge message":   "\x16\x03\x03\x00\x04\x10\xff\xff\xff",
		"an empty message": "\x16\x03\x03\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			versions(t, func(t *testing.T, h *hall) {
				c, g := h.call()
				conn := tls.Client(&turncoat{caller: c, instead: []byte(instead)}, h.client)
				// In TLS 1.3 the client's side is over with what it never said.
				if err := conn.Handshake(); err == nil && h.client.MaxVersion == tls.VersionTLS12 {
					t.Error("the client's handshake succeeds")
				}
				c.peer.CloseWrite()
				h.until("the end", func() bool { return g.fault != nil || g.ended })
				if g.made || len(g.data) > 0 {
					t.Errorf("made: %t, %q comes", g.made, g.data)
				}
			})
		})
	}
}

// A client that refuses the certificate says so, and the connection ends with its reason.
func TestAlertInTheHandshake(t *testing.T) {
	versions(t, func(t *testing.T, h *hall) {
		h.client.RootCAs = nil
		c, g := h.call()
		if err := tls.Client(c, h.client).Handshake(); err == nil {
			t.Fatal("a certificate of nobody's is trusted")
		}
		h.until("the fault", func() bool { return g.fault != nil })
		if g.made || !strings.Contains(g.fault.Error(), "remote error: tls: ") {
			t.Errorf("made: %t, the fault is %v", g.made, g.fault)
		}
	})
}

// A stream that ends in the middle of a record, or without a last word, ends: what came in
// whole records comes, and nothing of the rest.
func TestStreamBreaksOff(t *testing.T) {
	for name, of := range map[string]func(record []byte) []byte{
		"without a last word":       func([]byte) []byte { return nil },
		"in a record's header":      func(b []byte) []byte { return b[:3] },
		"in the middle of a record": func(b []byte) []byte { return b[:len(b)-1] },
	} {
		t.Run(name, func(t *testing.T) {
			versions(t, func(t *testing.T, h *hall) {
				c, g := h.call()
				conn := tls.Client(c, h.client)
				if _, err := conn.Write([]byte("whole")); err != nil {
					t.Fatal(err)
				}
				c.hold = true
				if _, err := conn.Write([]byte("broken")); err != nil {
					t.Fatal(err)
				}
				if _, err := c.say(of(bytes.Clone(c.held))); err != nil {
					t.Fatal(err)
				}
				c.peer.CloseWrite()
				h.until("the end", func() bool { return g.ended || g.fault != nil })
				if string(g.data) != "whole" {
					t.Errorf("%q comes", g.data)
				}
			})
		})
	}
}
