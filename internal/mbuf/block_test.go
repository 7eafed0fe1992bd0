package mbuf

import (
	"bytes"
	"testing"
)

// Every byte comes to its place, where source and destination overlap too.
func TestCopyBlock(t *testing.T) {
	for _, shift := range []int{BlockSize, 1, 8, BlockSize - 1} {
		b := make([]byte, 2*BlockSize)
		for i := range b {
			b[i] = byte(i)
		}
		want := bytes.Clone(b[:BlockSize])
		CopyBlock((*[BlockSize]byte)(b[shift:]), (*[BlockSize]byte)(b))
		if got := b[shift : shift+BlockSize]; !bytes.Equal(got, want) {
			t.Errorf("at %d: %v", shift, got)
		}
	}
}
