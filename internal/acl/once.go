package acl

import "encoding/binary"

// Most requests do one thing with all of their keys, and are allowed by a user's rules outside
// parentheses. What these say of them is worked out when the user is made, so that such a request
// takes a look at a table and, for each key, a comparison of its first bytes:
//
//	rules ─► finish ─► gate of a command ─► heads: each pattern that is a name or "prefix*"
//	                                        globs: the other patterns
//
// What a gate does not let through takes a Trial.

// A Gate is for the keys of requests that do the same with each of them. Its rules change only
// while its user is built.
type Gate struct {
	open  bool
	heads []Head
	globs []pattern
}

// MaxGateKey is the length of the longest key that a gate looks at.
const MaxGateKey = 64 << 10

// A Head is a pattern that is a name or "prefix*".
type Head struct {
	// first and second are the first bytes; the masks have their bits. rest are the bytes behind
	// these.
	first, firstMask, second, secondMask uint64
	rest                                 string
	// shortest is the length of the shortest key that fits, and others have at most longer bytes
	// more.
	shortest, longer int
	prefix           string
}

// HeadSize is how many bytes are compared at once.
const HeadSize = 16

// newHead returns the head of a name or, if it is open, of a prefix. An empty key fits none, as in
// Redis; only an empty pattern fits it, for which it takes a Trial.
func newHead(prefix string, open bool) Head {
	h := Head{shortest: len(prefix), prefix: prefix}
	switch {
	case open:
		h.shortest = max(len(prefix), 1)
		h.longer = MaxGateKey - h.shortest
	case prefix == "":
		h.shortest = MaxGateKey + 1
	}
	var words [HeadSize]byte
	h.rest = prefix[copy(words[:], prefix):]
	const word = HeadSize / 2
	h.first, h.firstMask = binary.LittleEndian.Uint64(words[:]), maskOf(len(prefix))
	h.second, h.secondMask = binary.LittleEndian.Uint64(words[word:]), maskOf(max(len(prefix)-word, 0))
	return h
}

// maskOf has the bits of the first n bytes of a word.
func maskOf(n int) uint64 { return 1<<(8*min(n, 8)) - 1 }

// Begins tells whether a key of n bytes, of which b are the first ones, begins as the pattern does,
// and may fit by its length. What stands behind the key does not matter.
func (h *Head) Begins(b *[HeadSize]byte, n int) bool {
	return (binary.LittleEndian.Uint64(b[:])^h.first)&h.firstMask|(binary.LittleEndian.Uint64(b[8:])^h.second)&h.secondMask == 0 &&
		uint(n-h.shortest) <= uint(h.longer)
}

// IsShort tells whether a key that begins as the pattern does fits. If not, GoesOn tells.
func (h *Head) IsShort() bool { return h.rest == "" }

// GoesOn tells whether a key that begins as the pattern does goes on like it. b begins with the key.
// It is false, too, if b is too short to tell.
func (h *Head) GoesOn(b []byte) bool {
	return len(b) >= len(h.prefix) && string(b[HeadSize:len(h.prefix)]) == h.rest
}

// newGates returns the gates for each access to keys.
func newGates(root *selector) (gates [readWrite + 1]Gate) {
	for how := range gates {
		g := &gates[how]
		g.open = root.allKeys
		for i := range root.keys {
			switch k := &root.keys[i]; {
			case k.access&Access(how) != Access(how):
			case k.literal:
				g.heads = append(g.heads, newHead(k.prefix, k.open))
			default:
				g.globs = append(g.globs, k.pattern)
			}
		}
	}
	return gates
}

// IsOpen tells whether the gate lets every key through.
func (g *Gate) IsOpen() bool { return g.open }

// First is the head to begin with.
func (g *Gate) First() *Head {
	if len(g.heads) == 0 {
		return &noHead
	}
	return &g.heads[0]
}

// noHead takes no key.
var noHead = newHead("", false)

// Lets tells whether a key is let through: the first n bytes of b. What stands behind it does not
// matter. by is the head that took it, and may well take the next one, too.
func (g *Gate) Lets(b []byte, n int) (by *Head, ok bool) {
	if n == 0 || n > MaxGateKey {
		return nil, false
	}
	key := b[:n]
	if len(b) < HeadSize {
		var whole [HeadSize]byte
		copy(whole[:], b)
		b = whole[:]
	}
	first := (*[HeadSize]byte)(b)
	for i := range g.heads {
		if h := &g.heads[i]; h.Begins(first, n) && (h.IsShort() || h.GoesOn(b)) {
			return h, true
		}
	}
	for i := range g.globs {
		if g.globs[i].matches(key) {
			return &noHead, true
		}
	}
	return nil, false
}

// Gate is for the keys of requests for the command of that number. It is nil if it takes a Trial to
// tell whether the user may send them.
func (u *User) Gate(number int) *Gate {
	if number >= len(u.gateOf) {
		return nil
	}
	return u.gateOf[number]
}

// makeGates works out what the selector of the rules outside parentheses allows at once.
func (u *User) makeGates() {
	root := u.selectors[0]
	u.gateOf = make([]*Gate, len(u.table.commands))
	if !root.allDatabases {
		return
	}
	gates := newGates(root)
	for i := range u.table.commands {
		if c := &u.table.commands[i]; c.Uniform && root.commands.has(i) {
			u.gateOf[i] = &gates[c.Access]
		}
	}
}
