// Package pages is memory outside Go's heap, in pages of the system: mapped,
// given back in part, and unmapped with its owner. It reads and writes nothing.
package pages

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Size is that of a page, in bytes.
var Size = os.Getpagesize()

// A Region is a mapping. It is unmapped when nothing refers to the Region, so a
// user of its bytes must keep a reference to it.
type Region struct {
	// Bytes are all of it. None is resident before it is written.
	Bytes []byte
}

// Map returns a region of n bytes, or nil if the system maps no more.
func Map(n int) *Region {
	mem, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil
	}
	// One byte of a huge page would make all of it resident. A kernel without them
	// refuses.
	_ = unix.Madvise(mem, unix.MADV_NOHUGEPAGE)
	r := &Region{Bytes: mem}
	runtime.AddCleanup(r, func(mem []byte) { _ = unix.Munmap(mem) }, mem)
	return r
}

// Slice returns the region as an empty slice of Ts, which must have no pointers.
func Slice[T any](r *Region) []T {
	var t T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(r.Bytes))), len(r.Bytes)/int(unsafe.Sizeof(t)))[:0]
}

// Drop gives n bytes at offset off, whole pages, back to the system. They are zero
// and resident again when they are next used.
func (r *Region) Drop(off, n int) {
	// It is our mapping; there is nothing to do about a system that keeps the pages.
	_ = unix.Madvise(r.Bytes[off:off+n], unix.MADV_DONTNEED)
}

// Resident is how many bytes of the region are in memory.
func (r *Region) Resident() (int, error) {
	pages := make([]byte, (len(r.Bytes)+Size-1)/Size)
	if err := mincore(r.Bytes, pages); err != nil {
		return 0, err
	}
	n := 0
	for _, p := range pages {
		n += int(p&1) * Size
	}
	return n, nil
}

// mincore asks for a byte per page of mem.
func mincore(mem, pages []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(unsafe.SliceData(mem))), uintptr(len(mem)),
		uintptr(unsafe.Pointer(unsafe.SliceData(pages))))
	if errno != 0 {
		return errno
	}
	return nil
}
