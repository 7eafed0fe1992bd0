package redis

import (
	"encoding/binary"

	"nuthatch/internal/msg"
)

// names finds a command's row by its name: an open hash table, a quarter full.
var names = buildNames()

const nameBits = 10

// An entry of names is a name, or empty: its id is unknown then.
type nameEntry struct {
	nameKey
	id msg.Type
	// exact: a name of an equal key is this name.
	exact bool
}

// A nameKey is the same for a name in any case. A short name of letters alone has it alone;
// with other bytes, or if a name is long, others may have it too.
type nameKey struct {
	word uint64
	len  uint8
}

// maxExact is the length of the longest name that its nameKey holds whole, in bytes.
const maxExact = 8

// keyOfName makes a name's key from a few loads that together cover all of a short name and
// the ends of a long one. The name has from 1 to maxName bytes.
func keyOfName(b []byte) nameKey {
	// Of ASCII letters, this bit alone tells lower case from upper.
	const lower = 0x2020202020202020
	n := len(b)
	var w uint64
	switch {
	case n > maxExact:
		w = (binary.LittleEndian.Uint64(b) | lower) ^ (binary.LittleEndian.Uint64(b[n-8:])|lower)<<3
	case n >= 4:
		w = (uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32) | lower
	default:
		w = (uint64(b[0]) | uint64(b[n/2])<<8 | uint64(b[n-1])<<16) | lower
	}
	return nameKey{w, uint8(n)}
}

// hash is a place in names. The multiplier is that of Fibonacci hashing: 2^64 divided by the
// golden ratio (Knuth, The Art of Computer Programming, 6.4).
func (k nameKey) hash() uint32 {
	return uint32(((k.word + uint64(k.len)) * 0x9E3779B97F4A7C15) >> (64 - nameBits))
}

func buildNames() *[1 << nameBits]nameEntry {
	var t [1 << nameBits]nameEntry
	for i := range commands[1:] {
		c := &commands[i+1]
		if c.sub != "" {
			continue
		}
		k := keyOfName([]byte(c.name))
		h := k.hash()
		for t[h].id != unknown {
			h = (h + 1) % uint32(len(t))
		}
		t[h] = nameEntry{k, c.id, len(c.name) <= maxExact && isLetters(c.name)}
	}
	return &t
}

// isLetters tells whether a name in lower case has no other bytes than letters.
func isLetters(name string) bool {
	for _, c := range []byte(name) {
		if c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

// lookup finds the row of a command by its name, in any case. It never returns nil.
func lookup(name []byte) *command {
	if len(name) == 0 || len(name) > maxName {
		return &commands[unknown]
	}
	k := keyOfName(name)
	for h := k.hash(); ; h++ {
		e := &names[h%uint32(len(names))]
		if e.id == unknown || e.nameKey == k && (e.exact || isNamed(commands[e.id].name, name)) {
			return &commands[e.id]
		}
	}
}

// lookupAcross finds the command whose name lies in more than one chunk.
func (p *requestParser) lookupAcross(name msg.Span) *command {
	if int(name.Len) > maxName {
		return &commands[unknown]
	}
	var buf [maxName]byte
	b, _ := p.req.View.Bytes(int(name.Off), int(name.Len), buf[:0])
	return lookup(b)
}
