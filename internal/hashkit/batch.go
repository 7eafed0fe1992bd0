package hashkit

import "encoding/binary"

// Servers finds the owners of many keys: dst[i] becomes the index of the server that
// owns keys[i]. It returns false, and dst is undefined, if no server is live, or if no
// server has the slot of a key. dst must be as long as keys. Random distributions have no
// owners; use Server for these. The contents of keys are undefined afterwards.
func (r *Ring) Servers(keys [][]byte, dst []uint16) bool {
	c := r.Continuum
	if c.live == 0 {
		return false
	}
	f, isFNV := r.Hash.fnv()
	if !isFNV || c.servers == 1 {
		if c.distribution == Slots && c.servers > 1 {
			return c.slotServers(keys, dst)
		}
		for i, key := range keys {
			dst[i] = uint16(r.Server(key, 0))
		}
		return true
	}
	if r.Tag != (Tag{}) {
		for i, key := range keys {
			keys[i] = r.Tag.Of(key)
		}
	}
	f.servers(c, keys, dst)
	return true
}

// fnv is a hash of Fowler, Noll and Vo, for many keys at once. Two things make that
// faster than one key after the other:
//
// Every step of the hash waits for the multiplication of the step before. So four keys
// are hashed side by side. And most keys of a request begin alike ("session:…"). So the
// state of the hash after the first word is known from earlier keys.
type fnv struct {
	offset, prime uint32
	// xorFirst: the variant that ends in "a".
	xorFirst bool
	// word is the first eight bytes of a key, and after the state of the hash behind
	// them.
	word  uint64
	after uint32
}

// wordSize is the length of fnv.word.
const wordSize = 8

// fnv returns the hash's parameters if it is a FNV.
func (h Hash) fnv() (f fnv, ok bool) {
	switch h {
	case FNV1_64:
		return fnv{offset: fnv64OffsetLow, prime: fnv64PrimeLow}.begun(), true
	case FNV1a_64:
		return fnv{offset: fnv64OffsetLow, prime: fnv64PrimeLow, xorFirst: true}.begun(), true
	case FNV1_32:
		return fnv{offset: fnv32Offset, prime: fnv32Prime}.begun(), true
	case FNV1a_32:
		return fnv{offset: fnv32Offset, prime: fnv32Prime, xorFirst: true}.begun(), true
	case OneAtATime, MD5, CRC16, CRC32, CRC32a, Hsieh, Murmur, Jenkins, SlotHash:
	}
	return fnv{}, false
}

// begun knows the state of the hash after the word 0.
func (f fnv) begun() fnv {
	f.learn(make([]byte, wordSize))
	return f
}

// learn notes the state of the hash after the first word of key.
func (f *fnv) learn(key []byte) {
	f.word = binary.LittleEndian.Uint64(key)
	f.after = f.sum(key[:wordSize], f.offset)
}

// sum goes on with a hash that has come to h.
func (f *fnv) sum(key []byte, h uint32) uint32 {
	if f.xorFirst {
		return fnv1a(key, h, f.prime)
	}
	return fnv1(key, h, f.prime)
}

// servers is Ring.Servers for keys whose tags are taken off.
func (f *fnv) servers(c *Continuum, keys [][]byte, dst []uint16) {
	dst = dst[:len(keys)]
	for len(keys) >= 4 && len(dst) >= 4 {
		h := f.sumFour((*[4][]byte)(keys))
		dst[0] = uint16(c.Index(h[0]))
		dst[1] = uint16(c.Index(h[1]))
		dst[2] = uint16(c.Index(h[2]))
		dst[3] = uint16(c.Index(h[3]))
		keys, dst = keys[4:], dst[4:]
	}
	for i, key := range keys {
		dst[i] = uint16(c.Index(f.sumOne(key)))
	}
}

// sumOne is the hash of a key; as for KeyHash, 0 for an empty one.
func (f *fnv) sumOne(key []byte) uint32 {
	if len(key) == 0 {
		return 0
	}
	return f.sum(key, f.offset)
}

func (f *fnv) sumFour(keys *[4][]byte) (h [4]uint32) {
	n := min(len(keys[0]), len(keys[1]), len(keys[2]), len(keys[3]))
	if n == 0 {
		return [4]uint32{f.sumOne(keys[0]), f.sumOne(keys[1]), f.sumOne(keys[2]), f.sumOne(keys[3])}
	}
	from, start := 0, f.offset
	if n >= wordSize {
		w := binary.LittleEndian.Uint64(keys[0])
		if (binary.LittleEndian.Uint64(keys[1])^w)|(binary.LittleEndian.Uint64(keys[2])^w)|
			(binary.LittleEndian.Uint64(keys[3])^w) == 0 {
			if w != f.word {
				f.learn(keys[0])
			}
			from, start = wordSize, f.after
		}
	}
	if f.xorFirst {
		fnv1aFour(keys, from, n, start, f.prime, &h)
	} else {
		fnv1Four(keys, from, n, start, f.prime, &h)
	}
	if len(keys[0])+len(keys[1])+len(keys[2])+len(keys[3]) > 4*n {
		for i, key := range keys {
			h[i] = f.sum(key[n:], h[i])
		}
	}
	return h
}

// fnv1Four hashes four keys from byte from to byte n. It is a function of its own so
// that everything in the loop stays in registers.
//
//go:noinline
func fnv1Four(keys *[4][]byte, from, n int, start, prime uint32, h *[4]uint32) {
	k0, k1, k2, k3 := keys[0][from:n], keys[1][from:n], keys[2][from:n], keys[3][from:n]
	h0, h1, h2, h3 := start, start, start, start
	for i := range k0 {
		h0 = h0*prime ^ signed(k0[i])
		h1 = h1*prime ^ signed(k1[i])
		h2 = h2*prime ^ signed(k2[i])
		h3 = h3*prime ^ signed(k3[i])
	}
	h[0], h[1], h[2], h[3] = h0, h1, h2, h3
}

// fnv1aFour is fnv1Four for FNV-1a.
//
//go:noinline
func fnv1aFour(keys *[4][]byte, from, n int, start, prime uint32, h *[4]uint32) {
	k0, k1, k2, k3 := keys[0][from:n], keys[1][from:n], keys[2][from:n], keys[3][from:n]
	h0, h1, h2, h3 := start, start, start, start
	for i := range k0 {
		h0 = (h0 ^ signed(k0[i])) * prime
		h1 = (h1 ^ signed(k1[i])) * prime
		h2 = (h2 ^ signed(k2[i])) * prime
		h3 = (h3 ^ signed(k3[i])) * prime
	}
	h[0], h[1], h[2], h[3] = h0, h1, h2, h3
}
