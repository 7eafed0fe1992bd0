package tlsstage_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/eventloop"
)

// A rawSide seals records of TLS 1.3 as its connection's client would, among them those
// that crypto/tls never sends. The connection must say nothing more itself.
type rawSide struct {
	t      *testing.T
	secret []byte
	seq    uint64
}

// The types of content of a record.
const (
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
)

// rawAfter shakes hands over c, and takes the connection's way out over.
func rawAfter(t *testing.T, h *hall, c *caller, g *guest) (*tls.Conn, *rawSide) {
	t.Helper()
	var log bytes.Buffer
	conf := h.client.Clone()
	conf.MinVersion, conf.KeyLogWriter = tls.VersionTLS13, &log
	conn := tls.Client(c, conf)
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	h.until("the handshake", func() bool { return g.made })
	if suite := conn.ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		t.Fatalf("the suite is %s", tls.CipherSuiteName(suite))
	}
	for line := range strings.Lines(log.String()) {
		if words := strings.Fields(line); words[0] == "CLIENT_TRAFFIC_SECRET_0" {
			secret, err := hex.DecodeString(words[2])
			if err != nil {
				t.Fatal(err)
			}
			return conn, &rawSide{t: t, secret: secret}
		}
	}
	t.Fatal("no secret was logged")
	return nil, nil
}

// expand is HKDF-Expand-Label.
func (r *rawSide) expand(label string, n int) []byte {
	r.t.Helper()
	label = "tls13 " + label
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(append(append(info, byte(len(label))), label...), 0)
	b, err := hkdf.Expand(sha256.New, r.secret, string(info), n)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// record is one record with the content.
func (r *rawSide) record(kind byte, content []byte) []byte {
	r.t.Helper()
	block, err := aes.NewCipher(r.expand("key", 16))
	if err != nil {
		r.t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		r.t.Fatal(err)
	}
	nonce := r.expand("iv", aead.NonceSize())
	var seq [8]byte
	binary.BigEndian.PutUint64(seq[:], r.seq)
	for i, b := range seq {
		nonce[len(nonce)-len(seq)+i] ^= b
	}
	r.seq++
	header := []byte{recordData, 3, 3}
	header = binary.BigEndian.AppendUint16(header, uint16(len(content)+1+aead.Overhead()))
	return aead.Seal(header, nonce, append(bytes.Clone(content), kind), header)
}

// keyUpdate is a record that has the other side take this one's next keys, and, if asked,
// its own next ones.
func (r *rawSide) keyUpdate(asked byte) []byte {
	r.t.Helper()
	b := r.record(recordHandshake, []byte{24, 0, 0, 1, asked})
	r.secret, r.seq = r.expand("traffic upd", sha256.Size), 0
	return b
}

// Either side may change its keys, and have the other change its own, as often as it likes.
func TestKeyUpdates(t *testing.T) {
	h := newHall(t)
	c, g := h.call()
	conn, raw := rawAfter(t, h, c, g)
	for i := range 100 {
		want := fmt.Sprintf("request %d", i)
		g.data = nil
		said := append(raw.keyUpdate(byte(i%2)), raw.record(recordData, []byte(want))...)
		if _, err := c.say(said); err != nil {
			t.Fatal(err)
		}
		h.until("the request", func() bool { return string(g.data) == want })
		g.Out().AppendString(h.loop.Bufs(), want)
		g.Flush()
		got := make([]byte, len(want))
		if n, err := conn.Read(got); err != nil || string(got[:n]) != want {
			t.Fatalf("%d: %q, %v", i, got[:n], err)
		}
	}
	if n := h.loop.Bufs().Live(); n != 0 {
		t.Errorf("%d chunks are in use", n)
	}
}

// A peer that has keys changed again and again, and does not read that they are, is cut
// off before much waits for it.
func TestKeyUpdatesUnread(t *testing.T) {
	h := newHall(t)
	c, g := h.call()
	_, raw := rawAfter(t, h, c, g)
	most := int64(0)
	for n := 0; g.fault == nil && n < 100_000; n++ {
		// crypto/tls takes a few in a row, and any number with data between them.
		if _, err := c.peer.Write(append(raw.record(recordData, []byte("x")), raw.keyUpdate(1)...)); err != nil {
			t.Fatal(err)
		}
		h.turn()
		most = max(most, int64(h.loop.Bufs().InUse()))
	}
	if !errors.Is(g.fault, eventloop.ErrUnread) {
		t.Errorf("the fault is %v, want %v", g.fault, eventloop.ErrUnread)
	}
	if most > 256<<10 {
		t.Errorf("%d bytes were in use", most)
	}
}

// What may not come behind a handshake ends the connection, and is told the peer.
func TestNotBehindTheHandshake(t *testing.T) {
	for name, said := range map[string]func(*rawSide) []byte{
		"a fatal alert":       func(r *rawSide) []byte { return r.record(recordAlert, []byte{2, 40}) },
		"another hello":       func(r *rawSide) []byte { return r.record(recordHandshake, []byte{1, 0, 0, 2, 3, 3}) },
		"a ticket":            func(r *rawSide) []byte { return r.record(recordHandshake, []byte{4, 0, 0, 1, 0}) },
		"a key update of two": func(r *rawSide) []byte { return r.record(recordHandshake, []byte{24, 0, 0, 1, 2}) },
		"another type":        func(r *rawSide) []byte { return r.record(99, []byte("x")) },
		"an unknown key":      func(r *rawSide) []byte { b := r.record(recordData, []byte("x")); b[7] ^= 1; return b },
		"plain bytes":         func(*rawSide) []byte { return []byte("PING\r\n") },
		"too long a record":   func(*rawSide) []byte { return []byte{recordData, 3, 3, 0xff, 0xff} },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHall(t)
			c, g := h.call()
			_, raw := rawAfter(t, h, c, g)
			if _, err := c.say(append(raw.record(recordData, []byte("before")), said(raw)...)); err != nil {
				t.Fatal(err)
			}
			h.until("the fault", func() bool { return g.fault != nil })
			if string(g.data) != "before" {
				t.Errorf("%q comes before the fault", g.data)
			}
		})
	}
}
