package acl

import (
	"slices"
	"strings"
)

// A Command is what rules need to know of a command or a subcommand.
type Command struct {
	// Name is in lower case. A subcommand's name follows that of its container and a
	// bar: "config|get". An empty name is no command.
	Name       string
	Categories Categories
	// Free: everybody may use it: AUTH, HELLO, QUIT, RESET.
	Free bool
	// Keyed: its requests can name keys.
	Keyed bool
	// Uniform: its requests do the same, Access, with all keys that they name, and nothing but
	// them is judged.
	Uniform bool
	Access  Access
	// EveryDatabase: it concerns all databases: FLUSHALL.
	EveryDatabase bool
	// Newer: Redis 7.0 does not have it. What a user's rules are printed as is
	// worked out from the other commands first.
	Newer bool
}

// A Table is all commands that rules can name. A command's number is its place in it.
type Table struct {
	commands []Command
	// byName has the numbers of commands and subcommands. subs has the numbers of the
	// subcommands of a container.
	byName map[string]int
	subs   map[int][]int
}

// NewTable returns the table of these commands, which are kept. A container's
// subcommands may stand anywhere.
func NewTable(commands []Command) *Table {
	t := &Table{commands: commands, byName: make(map[string]int, len(commands)), subs: make(map[int][]int)}
	for i := range commands {
		if name := commands[i].Name; name != "" {
			t.byName[name] = i
		}
	}
	for i := range commands {
		if of, _, isSub := strings.Cut(commands[i].Name, "|"); isSub {
			container := t.byName[of]
			t.subs[container] = append(t.subs[container], i)
		}
	}
	return t
}

// Name is the name of the command of that number.
func (t *Table) Name(number int) string { return t.commands[number].Name }

// InCategory are the names of the commands of the category of that name, in any case, as
// ACL CAT lists them. ok is false if there is no such category.
func (t *Table) InCategory(name string) (names []string, ok bool) {
	category, ok := CategoryNamed(name)
	if !ok {
		return nil, false
	}
	for i := range t.commands {
		if t.commands[i].Categories&category != 0 {
			names = append(names, t.commands[i].Name)
		}
	}
	return names, true
}

// hasSubs tells whether Redis 7.0, too, knows subcommands of the command of that number.
func (t *Table) hasSubs(number int) bool {
	return slices.ContainsFunc(t.subs[number], func(sub int) bool { return !t.commands[sub].Newer })
}

// named is the number of the command of that name, in any case.
func (t *Table) named(name string) (number int, ok bool) {
	number, ok = t.byName[strings.ToLower(name)]
	return number, ok
}

// A bitset is a set of commands by their numbers. It has room for one number more than
// there are commands.
type bitset []uint64

func (t *Table) newBitset() bitset { return make(bitset, (len(t.commands)+64)/64) }

func (b bitset) has(number int) bool { return b[number/64]&(1<<(number%64)) != 0 }

func (b bitset) set(number int, on bool) {
	if on {
		b[number/64] |= 1 << (number % 64)
		return
	}
	b[number/64] &^= 1 << (number % 64)
}

func (b bitset) fill(on bool) {
	var word uint64
	if on {
		word = ^word
	}
	for i := range b {
		b[i] = word
	}
}

func (b bitset) equal(c bitset) bool { return slices.Equal(b, c) }
