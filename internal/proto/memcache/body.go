package memcache

// A valueBody is how far a value has come: of a request, or in a reply.
type valueBody struct {
	// lack is how many bytes are still to come, the line end's two included.
	lack int
}

// skip skips what data has of the value, and checks its line end. ok is false if that is
// none.
func (b *valueBody) skip(data []byte) (n int, ok bool) {
	n = min(b.lack, len(data))
	lack := b.lack
	b.lack -= n
	if cr := lack - 2; cr >= 0 && cr < n && data[cr] != '\r' {
		return n, false
	}
	return n, n < lack || lack == 0 || data[lack-1] == '\n'
}
