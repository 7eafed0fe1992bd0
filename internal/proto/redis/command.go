package redis

import (
	"encoding/binary"
	"slices"

	"nuthatch/internal/invariant"
	"nuthatch/internal/msg"
)

// A command is all that is known of one of Redis's commands: a row of the table.
type command struct {
	// name is the command's name in lower case.
	name string
	// arity is the number of words, the name included: exactly, or at least, if
	// negative.
	arity int
	// writes: the command may change a key.
	writes bool
	keys   keys
	// treatment is what becomes of the request, and answer, for Local and Quit,
	// who answers it.
	treatment msg.Treatment
	answer    answer
	// reason is why the command is not supported, or empty if it is.
	reason string

	// Derived from the above when the table is built.

	id msg.Type
	// minArgs and maxArgs bound the number of words. If a server is to answer,
	// there is no upper bound: it refuses a word too many in Redis's words, and
	// a newer one may know what to do with it.
	minArgs, maxArgs int
	// head is what a fragment's request begins with, behind its count.
	head string
}

// unknown is the row of commands that have none.
const unknown msg.Type = 0

// maxName is the length of the longest name in the table.
const maxName = len("georadiusbymember_ro")

// access says whether a command may change keys.
type access bool

const (
	read  access = false
	write access = true
)

// forward is the row of a command that goes to the one server that owns its
// keys.
func forward(name string, arity int, a access, k keys) command {
	return command{name: name, arity: arity, writes: bool(a), keys: k, treatment: msg.Forward}
}

// fragment is the row of a command that is split by server.
func fragment(name string, arity int, a access, k keys) command {
	return command{name: name, arity: arity, writes: bool(a), keys: k, treatment: msg.Fragment}
}

// local is the row of a command that the proxy answers.
func local(name string, arity int, by answer) command {
	return command{name: name, arity: arity, treatment: msg.Local, answer: by}
}

// refuse are the rows of commands that are not supported, for one reason.
func refuse(reason string, names ...string) []command {
	rows := make([]command, 0, len(names))
	for _, name := range names {
		rows = append(rows, command{name: name, arity: -1, treatment: msg.Local, reason: reason})
	}
	return rows
}

// commands is the table; a command's Type is its index.
var commands = buildCommands()

// slots finds a name's row: an open hash table, a quarter full. A slot of 0 is
// empty.
var slots = buildSlots()

const slotBits = 10

func buildCommands() []command {
	rows := slices.Concat(
		[]command{{treatment: msg.Local, reason: unknownCommand}},
		stringCommands, keyCommands, bitCommands, hashCommands, listCommands, setCommands,
		sortedSetCommands, geoCommands, hyperLogLogCommands, streamCommands, scriptCommands,
		connectionCommands, refusedCommands,
	)
	for i := range rows {
		c := &rows[i]
		c.id = msg.Type(i)
		c.minArgs, c.maxArgs = max(c.arity, -c.arity), maxArgs
		if c.treatment == msg.Local && c.arity > 0 {
			c.maxArgs = c.arity
		}
		if c.treatment == msg.Fragment {
			c.head = "\r\n$" + string(rune('0'+len(c.name))) + "\r\n" + c.name + "\r\n"
		}
		invariant.Check(len(c.name) <= maxName, "redis: a name longer than maxName")
	}
	return rows
}

func buildSlots() *[1 << slotBits]msg.Type {
	var t [1 << slotBits]msg.Type
	for i := range commands[1:] {
		c := &commands[i+1]
		h := hashName([]byte(c.name))
		for t[h] != unknown {
			h = (h + 1) % uint32(len(t))
		}
		t[h] = c.id
	}
	return &t
}

// lookup finds the row of a command by its name, in any case. It never returns
// nil.
func lookup(name []byte) *command {
	if len(name) == 0 || len(name) > maxName {
		return &commands[unknown]
	}
	for h := hashName(name); ; h = (h + 1) % uint32(len(slots)) {
		c := &commands[slots[h%uint32(len(slots))]]
		if c.id == unknown || isNamed(c.name, name) {
			return c
		}
	}
}

// isNamed tells whether b is the lower-case name in any case.
func isNamed(name string, b []byte) bool {
	if len(b) != len(name) {
		return false
	}
	for i, c := range b {
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

// hashName hashes a name of at least one byte, whatever its case, from a few
// loads that together cover the ends of a long name and all of a short one.
func hashName(b []byte) uint32 {
	// Of ASCII letters, this bit alone tells lower case from upper.
	const lower = 0x2020202020202020
	n := len(b)
	var w uint64
	switch {
	case n >= 8:
		w = (binary.LittleEndian.Uint64(b) | lower) ^ (binary.LittleEndian.Uint64(b[n-8:])|lower)<<3
	case n >= 4:
		w = (uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32) | lower
	default:
		w = (uint64(b[0]) | uint64(b[n/2])<<8 | uint64(b[n-1])<<16) | lower
	}
	// The multiplier is that of Fibonacci hashing: 2^64 divided by the golden
	// ratio (Knuth, The Art of Computer Programming, 6.4).
	return uint32(((w + uint64(n)) * 0x9E3779B97F4A7C15) >> (64 - slotBits))
}
