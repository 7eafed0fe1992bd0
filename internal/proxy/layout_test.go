package proxy

import (
	"testing"
	"unsafe"

	"nuthatch/internal/msg"
)

// What every client and every request takes has bounds: tens of thousands of clients are
// usual, and Go's allocator rounds sizes up to 480 and 512 bytes. What few of them need
// stands behind a pointer.
func TestSizes(t *testing.T) {
	for _, of := range []struct {
		name       string
		size, most uintptr
	}{
		{"client", unsafe.Sizeof(client{}), 480},
		{"msg.Session", unsafe.Sizeof(msg.Session{}), 56},
		{"msg.Msg", unsafe.Sizeof(msg.Msg{}), 256},
	} {
		if of.size > of.most {
			t.Errorf("a %s has %d bytes, at most %d were wanted", of.name, of.size, of.most)
		}
	}
}
