package tlsstage

// A hello is how far a client's first message has come. A handshake takes no place before
// the proxy can answer it: a client that says half of it, or a byte now and then, holds
// nobody up.
type hello struct {
	// record is the header of the record, message that of the message in it, each as far
	// as it has come.
	record  [recordHeader]byte
	message [messageHeader]byte
	// haveRecord and haveMessage are how many bytes of them have come. body is how many of
	// the record are to come, rest how many of the message.
	haveRecord, haveMessage, body, rest int
	// size is how many bytes have come in all.
	size int
}

const (
	// messageHeader is the size of the header of a message of a handshake.
	messageHeader = 4
	// helloMessage is the type of a client's first message.
	helloMessage = 1
	// maxHello is the most bytes that a client's first message may have, with the headers
	// of its records.
	maxHello = 16 << 10
)

// take takes more bytes, and reports whether the handshake can be answered now: the message
// is whole, or it is none, which the handshake then says.
func (h *hello) take(b []byte) (whole bool) {
	h.size += len(b)
	for len(b) > 0 {
		if h.body == 0 {
			n := copy(h.record[h.haveRecord:], b)
			h.haveRecord += n
			b = b[n:]
			if h.haveRecord < recordHeader {
				return false
			}
			h.haveRecord = 0
			h.body = int(h.record[3])<<8 + int(h.record[4])
			if h.record[0] != recordContent || h.body == 0 {
				return true
			}
			continue
		}
		n := min(h.body, len(b))
		h.body -= n
		if h.takeMessage(b[:n]) {
			return true
		}
		b = b[n:]
	}
	return false
}

// takeMessage takes what a record carries.
func (h *hello) takeMessage(b []byte) (whole bool) {
	if h.haveMessage < messageHeader {
		n := copy(h.message[h.haveMessage:], b)
		h.haveMessage += n
		b = b[n:]
		switch {
		case h.message[0] != helloMessage:
			return true
		case h.haveMessage < messageHeader:
			return false
		}
		h.rest = int(h.message[1])<<16 + int(h.message[2])<<8 + int(h.message[3])
	}
	h.rest -= len(b)
	return h.rest <= 0
}
