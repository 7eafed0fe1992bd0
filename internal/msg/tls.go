package msg

// What a side of TLS says first to one that does not speak it: neither protocol has such a
// byte where a request or a reply begins.
const (
	// TLSHandshake begins what a client says.
	TLSHandshake = 0x16
	// TLSAlert begins what a server answers to what is no TLS.
	TLSAlert = 0x15
)

// TLSRefusal is what a client with TLS is told for which there is no room: a fatal alert,
// internal_error, which needs no handshake.
const TLSRefusal = "\x15\x03\x01\x00\x02\x02\x50"

// TLSDenial is what a client is told whose address is not let in: access_denied.
const TLSDenial = "\x15\x03\x01\x00\x02\x02\x31"
