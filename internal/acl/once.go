package acl

import "encoding/binary"

// Most requests are for one key, and allowed by a user's rules outside parentheses. What these
// say of them is worked out when the user is made, so that such a request takes a look at a table
// and at the key's beginning:
//
//	rules ─► finish ─► once:  for each command, what is done with its key, if the command is allowed
//	                   heads: for each pattern of keys that is a name or "prefix*", how it begins
//	                   globs: the other patterns
//
// What is not allowed there takes a Trial.

// once says whether requests for a command may be allowed at once: atOnce, and the access to
// the key.
type once uint8

// atOnce: the command is allowed, and its requests name one key.
const atOnce once = 1 << 7

// A head is how a pattern begins.
type head struct {
	// first has the prefix's first bytes, at most 8, as a number, and mask its bits.
	first, mask uint64
	prefix      string
	access      Access
	// open: the pattern ends in '*'.
	open bool
}

// An admittance is what a user may do at once.
type admittance struct {
	commands []once
	allKeys  bool
	heads    []head
	globs    []keyPattern
}

// newAdmittance is what the selector of the rules outside parentheses allows at once.
func newAdmittance(t *Table, root *selector) admittance {
	a := admittance{commands: make([]once, len(t.commands)), allKeys: root.allKeys}
	if !root.allDatabases {
		return a
	}
	for i := range t.commands {
		if c := &t.commands[i]; c.OneKey && root.commands.has(i) {
			a.commands[i] = atOnce | once(c.Access)
		}
	}
	for i := range root.keys {
		k := &root.keys[i]
		if !k.literal {
			a.globs = append(a.globs, *k)
			continue
		}
		h := head{prefix: k.prefix, access: k.access, open: k.open}
		var b [8]byte
		n := copy(b[:], k.prefix)
		h.first = binary.LittleEndian.Uint64(b[:])
		h.mask = maskOf(n)
		a.heads = append(a.heads, h)
	}
	return a
}

// maskOf has the bits of the first n bytes of a number, n from 0 to 8.
func maskOf(n int) uint64 { return 1<<(8*n) - 1 }

// AllowsAtOnce tells that the user may send any request for the command of that number that
// names this key. If it is false, it takes a Trial to tell.
func (u *User) AllowsAtOnce(number int, key []byte) bool {
	a := &u.atOnce
	if number >= len(a.commands) {
		return false
	}
	o := a.commands[number]
	if o == 0 {
		return false
	}
	if a.allKeys {
		return true
	}
	how, n := Access(o&^atOnce), len(key)
	if n == 0 {
		return false
	}
	var first uint64
	if cap(key) >= 8 { // bytes behind the key are masked
		first = binary.LittleEndian.Uint64(key[:8])
	} else {
		var b [8]byte
		copy(b[:], key)
		first = binary.LittleEndian.Uint64(b[:])
	}
	for i := range a.heads {
		h := &a.heads[i]
		if (first^h.first)&h.mask != 0 || h.access&how != how || n < len(h.prefix) || !h.open && n > len(h.prefix) {
			continue
		}
		if len(h.prefix) <= 8 || string(key[8:len(h.prefix)]) == h.prefix[8:] {
			return true
		}
	}
	for i := range a.globs {
		if g := &a.globs[i]; g.access&how == how && g.matches(key) {
			return true
		}
	}
	return false
}
