package hashkit

import (
	"crypto/md5"
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// nutcracker reads keys through C's char, which is signed on x86-64: in some of
// its hashes a byte above 127 enters as a negative number. signed widens a byte
// in that way.
func signed(b byte) uint32 { return uint32(int32(int8(b))) }

// oneAtATime: Bob Jenkins, "Hash functions", Dr. Dobb's Journal, 1997; with
// signed bytes.
func oneAtATime(key []byte) uint32 {
	var h uint32
	for _, b := range key {
		h += signed(b)
		h += h << 10
		h ^= h >> 6
	}
	h += h << 3
	h ^= h >> 11
	h += h << 15
	return h
}

func md5Sum(key []byte) uint32 {
	digest := md5.Sum(key)
	return binary.LittleEndian.Uint32(digest[:])
}

// crc16Table holds the CRC of every byte for CCITT's polynomial 0x1021, most
// significant bit first.
var crc16Table = func() (table [256]uint32) {
	const polynomial = 0x1021
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			carry := crc >> 15
			crc = crc<<1 ^ carry*polynomial
		}
		table[i] = uint32(crc)
	}
	return table
}()

// crc16 keeps the register 32 bits wide: what a 16-bit register would shift out
// stays in the upper half, and is part of the result. The lower half is
// CRC-16/XMODEM.
func crc16(key []byte) uint32 {
	var crc uint32
	for _, b := range key {
		crc = crc<<8 ^ crc16Table[byte(crc>>8)^b]
	}
	return crc
}

func crc32IEEE(key []byte) uint32 { return crc32.ChecksumIEEE(key) }

// crc32Libmemcached keeps 15 bits of the CRC, so that on a ketama ring every key
// lands within the first 2^15 of 2^32 positions. That is what libmemcached does,
// and the reason that crc32a exists.
func crc32Libmemcached(key []byte) uint32 { return crc32IEEE(key) >> 16 & 0x7fff }

// Parameters of Fowler, Noll and Vo's hashes. Multiplication and exclusive or
// never carry downwards, so the low 32 bits of a 64-bit FNV need only the low 32
// bits of its parameters.
const (
	fnv32Offset    uint32 = 0x811c9dc5
	fnv32Prime     uint32 = 0x01000193
	fnv64OffsetLow uint32 = 0x84222325 // of 0xcbf29ce484222325
	fnv64PrimeLow  uint32 = 0x000001b3 // of 0x100000001b3
)

func fnv1(key []byte, offset, prime uint32) uint32 {
	h := offset
	for _, b := range key {
		h = h*prime ^ signed(b)
	}
	return h
}

func fnv1a(key []byte, offset, prime uint32) uint32 {
	h := offset
	for _, b := range key {
		h = (h ^ signed(b)) * prime
	}
	return h
}

// hsieh: Paul Hsieh, "SuperFastHash", 2004, begun at 0 rather than at the
// length. Of all its reads only the third byte of a three-byte tail is signed.
func hsieh(key []byte) uint32 {
	var h uint32
	for ; len(key) >= 4; key = key[4:] {
		h += uint32(binary.LittleEndian.Uint16(key))
		mixed := uint32(binary.LittleEndian.Uint16(key[2:]))<<11 ^ h
		h = h<<16 ^ mixed
		h += h >> 11
	}
	switch len(key) {
	case 3:
		h += uint32(binary.LittleEndian.Uint16(key))
		h ^= h << 16
		h ^= signed(key[2]) << 18
		h += h >> 11
	case 2:
		h += uint32(binary.LittleEndian.Uint16(key))
		h ^= h << 11
		h += h >> 17
	case 1:
		h += uint32(key[0])
		h ^= h << 10
		h += h >> 1
	}
	h ^= h << 3
	h += h >> 5
	h ^= h << 4
	h += h >> 17
	h ^= h << 25
	h += h >> 6
	return h
}

// murmur: Austin Appleby, MurmurHash2, 2008, with a seed made of the length.
func murmur(key []byte) uint32 {
	const (
		m = 0x5bd1e995
		r = 24
	)
	length := uint32(len(key))
	h := 0xdeadbeef*length ^ length
	for ; len(key) >= 4; key = key[4:] {
		k := binary.LittleEndian.Uint32(key) * m
		k ^= k >> r
		h = h*m ^ k*m
	}
	if len(key) > 0 {
		h = (h ^ littleEndianTail(key)) * m
	}
	h ^= h >> 13
	h *= m
	h ^= h >> 15
	return h
}

// jenkins: Bob Jenkins, lookup3.c (hashlittle), 2006.
func jenkins(key []byte) uint32 {
	const initval = 13
	start := 0xdeadbeef + uint32(len(key)) + initval
	a, b, c := start, start, start
	if len(key) == 0 {
		return c
	}
	for ; len(key) > 12; key = key[12:] {
		a += binary.LittleEndian.Uint32(key)
		b += binary.LittleEndian.Uint32(key[4:])
		c += binary.LittleEndian.Uint32(key[8:])
		a, b, c = jenkinsMix(a, b, c)
	}
	// The last 1 to 12 bytes, as if zeroes followed.
	switch {
	case len(key) > 8:
		a += binary.LittleEndian.Uint32(key)
		b += binary.LittleEndian.Uint32(key[4:])
		c += littleEndianTail(key[8:])
	case len(key) > 4:
		a += binary.LittleEndian.Uint32(key)
		b += littleEndianTail(key[4:])
	default:
		a += littleEndianTail(key)
	}
	return jenkinsFinal(a, b, c)
}

func jenkinsMix(a, b, c uint32) (x, y, z uint32) {
	a = (a - c) ^ bits.RotateLeft32(c, 4)
	c += b
	b = (b - a) ^ bits.RotateLeft32(a, 6)
	a += c
	c = (c - b) ^ bits.RotateLeft32(b, 8)
	b += a
	a = (a - c) ^ bits.RotateLeft32(c, 16)
	c += b
	b = (b - a) ^ bits.RotateLeft32(a, 19)
	a += c
	c = (c - b) ^ bits.RotateLeft32(b, 4)
	b += a
	return a, b, c
}

func jenkinsFinal(a, b, c uint32) uint32 {
	c = (c ^ b) - bits.RotateLeft32(b, 14)
	a = (a ^ c) - bits.RotateLeft32(c, 11)
	b = (b ^ a) - bits.RotateLeft32(a, 25)
	c = (c ^ b) - bits.RotateLeft32(b, 16)
	a = (a ^ c) - bits.RotateLeft32(c, 4)
	b = (b ^ a) - bits.RotateLeft32(a, 14)
	return (c ^ b) - bits.RotateLeft32(b, 24)
}

// littleEndianTail reads 1 to 4 bytes as a little-endian number.
func littleEndianTail(tail []byte) uint32 {
	var v uint32
	for i, b := range tail {
		v |= uint32(b) << (8 * i)
	}
	return v
}
