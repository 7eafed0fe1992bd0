package tlsstage

import "testing"

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
