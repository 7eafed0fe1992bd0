package mbuf

import "encoding/binary"

// BlockSize is how many bytes CopyBlock copies.
const BlockSize = 32

// CopyBlock copies a small piece as if it had BlockSize bytes, for callers that have as many
// bytes to copy, room for them, and overwrite the surplus or never use it. It takes eight
// instructions; an assignment of arrays, which may overlap for all that the compiler knows,
// takes a call of memmove, before which the caller has to put away its registers.
func CopyBlock(dst, src *[BlockSize]byte) {
	order := binary.NativeEndian
	a, b := order.Uint64(src[0:8]), order.Uint64(src[8:16])
	c, d := order.Uint64(src[16:24]), order.Uint64(src[24:32])
	order.PutUint64(dst[0:8], a)
	order.PutUint64(dst[8:16], b)
	order.PutUint64(dst[16:24], c)
	order.PutUint64(dst[24:32], d)
}
