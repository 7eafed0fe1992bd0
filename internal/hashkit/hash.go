// Package hashkit decides which server of a pool owns a key. Its answers are
// nutcracker's, bit for bit: twelve key hashes, the distributions ketama,
// modula and random, weights, server names, hash tags and ejected servers. Besides there
// are the slots of a Redis Cluster.
//
//	key --Tag.Of--> part of the key --Hash.Sum--> uint32 --Continuum.Index--> server
//	     \_______________________ Ring.Server ________________________/
//
// Everything here is a pure function or an immutable value. Nothing on the way
// from key to server allocates, locks or keeps a reference to the key.
package hashkit

import (
	"slices"
	"strconv"
)

// Hash names one of nutcracker's key hash functions.
type Hash uint8

// The key hashes, in the order in which nutcracker lists them.
const (
	OneAtATime Hash = iota // Bob Jenkins's one-at-a-time
	MD5                    // the first four bytes of the MD5 digest, little-endian
	CRC16                  // CRC-16/XMODEM that is never cut to 16 bits
	CRC32                  // bits 16 to 30 of CRC-32, as libmemcached does it: 15 bits in all
	CRC32a                 // CRC-32 (IEEE 802.3)

	// Low 32 bits of the 64-bit FNV-1.
	FNV1_64 //nolint:revive,staticcheck // the name that the field knows it by
	// FNV-1a with the low halves of the 64-bit offset and prime.
	FNV1a_64 //nolint:revive,staticcheck // the name that the field knows it by
	// 32-bit FNV-1.
	FNV1_32 //nolint:revive,staticcheck // the name that the field knows it by
	// 32-bit FNV-1a.
	FNV1a_32 //nolint:revive,staticcheck // the name that the field knows it by

	Hsieh   // Paul Hsieh's SuperFastHash
	Murmur  // MurmurHash2, seeded with the key's length
	Jenkins // Bob Jenkins's lookup3, initval 13

	// SlotHash is what gives a key its slot in a Redis Cluster: CRC-16/XMODEM. nutcracker
	// has no such hash, and it has no name in a configuration.
	SlotHash
)

var hashNames = [...]string{
	OneAtATime: "one_at_a_time",
	MD5:        "md5",
	CRC16:      "crc16",
	CRC32:      "crc32",
	CRC32a:     "crc32a",
	FNV1_64:    "fnv1_64",
	FNV1a_64:   "fnv1a_64",
	FNV1_32:    "fnv1_32",
	FNV1a_32:   "fnv1a_32",
	Hsieh:      "hsieh",
	Murmur:     "murmur",
	Jenkins:    "jenkins",
}

// ParseHash returns the hash that nutcracker's configuration calls name. Names
// are matched exactly, case included; ok is false for any other name.
func ParseHash(name string) (h Hash, ok bool) {
	i := slices.Index(hashNames[:], name)
	return Hash(max(i, 0)), i >= 0
}

// String returns the hash's name in nutcracker's configuration.
func (h Hash) String() string {
	if h == SlotHash {
		return "crc16 of Redis Cluster"
	}
	if int(h) < len(hashNames) {
		return hashNames[h]
	}
	return "Hash(" + strconv.Itoa(int(h)) + ")"
}

// HashNames returns the names that ParseHash knows, in nutcracker's order. The
// slice is the caller's.
func HashNames() []string { return slices.Clone(hashNames[:]) }

// Bits returns how many of the 32 bits the hash uses, the low ones. Of nutcracker's only
// CRC32 leaves some at zero, which crowds its keys at the beginning of a ketama ring.
func (h Hash) Bits() int {
	switch h { //nolint:exhaustive // all others
	case CRC32:
		return 15
	case SlotHash:
		return 16
	}
	return 32
}

// Sum returns nutcracker's value of h for key. nutcracker never hashes an empty
// key (see Ring.KeyHash), so the value for one is merely some fixed number. Sum
// does not allocate and does not keep key. A Hash that is none of this
// package's constants gives 0.
func (h Hash) Sum(key []byte) uint32 {
	switch h {
	case OneAtATime:
		return oneAtATime(key)
	case MD5:
		return md5Sum(key)
	case CRC16:
		return crc16(key)
	case CRC32:
		return crc32Libmemcached(key)
	case CRC32a:
		return crc32IEEE(key)
	case FNV1_64:
		return fnv1(key, fnv64OffsetLow, fnv64PrimeLow)
	case FNV1a_64:
		return fnv1a(key, fnv64OffsetLow, fnv64PrimeLow)
	case FNV1_32:
		return fnv1(key, fnv32Offset, fnv32Prime)
	case FNV1a_32:
		return fnv1a(key, fnv32Offset, fnv32Prime)
	case Hsieh:
		return hsieh(key)
	case Murmur:
		return murmur(key)
	case Jenkins:
		return jenkins(key)
	case SlotHash:
		return slotSum(key)
	}
	return 0
}

// Distribution names one of nutcracker's ways from a hash value to a server.
type Distribution uint8

// The distributions, in the order in which nutcracker lists them.
const (
	Ketama Distribution = iota // consistent hashing, libmemcached's ketama
	Modula                     // hash modulo the sum of the live weights
	Random                     // any live server, weights ignored
	// Slots is that of a Redis Cluster, which says itself which server has which slot.
	// It has no name in a configuration.
	Slots
)

var distributionNames = [...]string{
	Ketama: "ketama",
	Modula: "modula",
	Random: "random",
}

// ParseDistribution returns the distribution that nutcracker's configuration
// calls name. Names are matched exactly; ok is false for any other name.
func ParseDistribution(name string) (d Distribution, ok bool) {
	i := slices.Index(distributionNames[:], name)
	return Distribution(max(i, 0)), i >= 0
}

// String returns the distribution's name in nutcracker's configuration.
func (d Distribution) String() string {
	if d == Slots {
		return "slots"
	}
	if int(d) < len(distributionNames) {
		return distributionNames[d]
	}
	return "Distribution(" + strconv.Itoa(int(d)) + ")"
}

// DistributionNames returns the names that ParseDistribution knows, in
// nutcracker's order. The slice is the caller's.
func DistributionNames() []string { return slices.Clone(distributionNames[:]) }
