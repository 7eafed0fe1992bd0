package tlsstage

import (
	"testing"
	"time"
)

// Handshakes with clients that take all their processors leave those with servers theirs, and
// the other way round.
func TestServersDoNotWaitForClients(t *testing.T) {
	h := NewHandshakes(1)
	for _, isClient := range []bool{true, false} {
		busy, other := h.placesOf(&stage{client: isClient}), h.placesOf(&stage{client: !isClient})
		for range cap(busy) {
			busy.enter()
		}
		select {
		case other <- struct{}{}:
			other.leave()
		default:
			t.Errorf("a handshake as a client: %t, takes the places of the others", isClient)
		}
		for range cap(busy) {
			busy.leave()
		}
	}
}

// Of the handshakes that have waited too long for their clients, in all their waits, those end
// that have waited longest, and as many as wait for a place. One that computes does not end.
func TestLateHandshakes(t *testing.T) {
	const second = int64(time.Second)
	h := NewHandshakes(1)
	h.Set(10, 10*time.Second)
	at := 100 * second
	add := func(waited, since int64) *handshake {
		k := new(handshake)
		k.waited.Store(waited)
		k.since.Store(since)
		h.underWay[k] = struct{}{}
		return k
	}
	computes, fresh := add(50*second, 0), add(0, at-second/2)
	trickles, idles, longest := add(second-1, at-1), add(0, at-second), add(second, at-5*second)
	if got := h.late(at); len(got) != 0 {
		t.Errorf("%d end, and nobody waits", len(got))
	}
	await := func(n int) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.waiting.Init()
		for range n {
			h.waiting.PushBack(new(handshake))
		}
	}
	defer await(0)
	for i, want := range [][]*handshake{{longest}, {trickles, idles}, nil} {
		await(len(want))
		got := h.late(at)
		if len(got) != len(want) {
			t.Fatalf("%d: %d end, want %d", i, len(got), len(want))
		}
		for _, k := range got {
			if k == computes || k == fresh || i == 0 && k != longest {
				t.Errorf("%d: the wrong one ends", i)
			}
		}
	}
}

// A client's first message is whole at its last byte, in whatever records it comes. What is no
// such message is whole at once.
func TestHello(t *testing.T) {
	record := func(kind byte, body string) string {
		return string([]byte{kind, 3, 1, byte(len(body) >> 8), byte(len(body))}) + body
	}
	message := "\x01\x00\x01\x02" + string(make([]byte, 0x102))
	var bytes string
	for _, b := range []byte(message) {
		bytes += record(recordContent, string([]byte{b}))
	}
	for name, said := range map[string]string{
		"one record":             record(recordContent, message),
		"two records":            record(recordContent, message[:100]) + record(recordContent, message[100:]),
		"a header in two":        record(recordContent, message[:2]) + record(recordContent, message[2:]),
		"bytes":                  bytes,
		"no message":             "\x16\x03\x01\x00\x04n",
		"nothing in a record":    record(recordContent, ""),
		"an alert":               record(recordContent, message[:9]) + "\x15\x03\x01\x00\x02",
		"a message of no length": record(recordContent, "\x01\x00\x00\x00"),
	} {
		for step := 1; step <= len(said); step++ {
			var h hello
			for at := 0; at < len(said); at += step {
				end := min(at+step, len(said))
				if whole := h.take([]byte(said[at:end])); whole != (end == len(said)) {
					t.Fatalf("%s, %d bytes at a time: at byte %d of %d it is whole: %t", name, step, end, len(said), whole)
				}
			}
		}
	}
}
