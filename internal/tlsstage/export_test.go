package tlsstage

// Busy has other work take all processors of handshakes with clients, until free is called.
func (h *Handshakes) Busy() (free func()) {
	for range cap(h.clients) {
		h.clients.enter()
	}
	return func() {
		for range cap(h.clients) {
			h.clients.leave()
		}
	}
}

// SetRoom sets how many handshakes may wait.
func (h *Handshakes) SetRoom(n int) { h.room = n }

// MaxHello is the most bytes of a client's first message.
const MaxHello = maxHello
