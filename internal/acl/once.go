package acl

import (
	"encoding/binary"
	"math"
)

// Most requests do one thing with all of their keys, and are allowed by a user's rules outside
// parentheses. What these say of them is worked out when the user is made, so that such a request
// takes a look at a table and, for each key, a comparison of its first bytes:
//
//	rules ─► finish ─► gate of a command ─┬─► leads: the first heads that are short, or all keys
//	                                      ├─► heads: each pattern that is a name or "prefix*"
//	                                      └─► globs: the other patterns
//
// The leads are for a request with one key, whose bytes are at hand: they take few cache lines. What
// they do not take is looked at by heads and globs. What a gate does not let through takes a Trial.

// A Gate is for the keys of requests that do the same with each of them. Its rules change only
// while its user is built.
type Gate struct {
	// nleads is how many leads there are. It and the first lead are in one cache line.
	nleads int
	leads  [maxLeads]Lead
	open   bool
	heads  []Head
	globs  []pattern
}

// maxLeads is how many patterns a key is compared with before the others.
const maxLeads = 8

// MaxGateKey is the length of the longest key that a gate looks at.
const MaxGateKey = 64 << 10

// A Lead is how the keys that are taken begin.
type Lead struct {
	// first and second are the first bytes; the masks have their bits.
	first, firstMask, second, secondMask uint64
	// shortest is the length of the shortest key that fits, and others have at most longer bytes
	// more.
	shortest, longer int
}

// A Head is a pattern that is a name or "prefix*".
type Head struct {
	Lead
	// rest are the bytes behind those that the lead has.
	rest, prefix string
}

// everyKey takes each key.
var everyKey = Lead{longer: math.MaxInt}

// HeadSize is how many bytes are compared at once.
const HeadSize = 16

// newHead returns the head of a name or, if it is open, of a prefix. An empty key fits none, as in
// Redis; only an empty pattern fits it, for which it takes a Trial.
func newHead(prefix string, open bool) Head {
	h := Head{Lead: Lead{shortest: len(prefix)}, prefix: prefix}
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

// Begins tells whether a key of n bytes, of which b are the first ones, begins as it must, and may
// fit by its length. What stands behind the key does not matter.
func (l *Lead) Begins(b *[HeadSize]byte, n int) bool {
	return (binary.LittleEndian.Uint64(b[:])^l.first)&l.firstMask|(binary.LittleEndian.Uint64(b[8:])^l.second)&l.secondMask == 0 &&
		uint(n-l.shortest) <= uint(l.longer)
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
		g.findLeads()
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

// findLeads picks the leads, when all patterns are known.
func (g *Gate) findLeads() {
	if g.open {
		g.leads[0], g.nleads = everyKey, 1
		return
	}
	for i := range g.heads {
		if h := &g.heads[i]; h.IsShort() && g.nleads < maxLeads {
			g.leads[g.nleads] = h.Lead
			g.nleads++
		}
	}
}

// LeadsTake tells whether one of the leads takes a key of n bytes, of which b are the first ones. The
// user may send a request that has no other key then.
func (g *Gate) LeadsTake(b *[HeadSize]byte, n int) bool {
	for i := range min(g.nleads, maxLeads) {
		if g.leads[i].Begins(b, n) {
			return true
		}
	}
	return false
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
