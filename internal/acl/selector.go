package acl

import (
	"slices"
	"strings"
)

// Access is what a request does with a key: it reads the value, it changes it, or both. A
// request that does neither only asks about the key, and needs no more than that some
// pattern matches.
type Access uint8

// The kinds of access.
const (
	Read  Access = 1 << iota // tells of the value
	Write                    // changes, adds or removes it
)

// readWrite is the access that a pattern without '%' gives.
const readWrite = Read | Write

// A keyPattern is a pattern of keys, with what may be done with them.
type keyPattern struct {
	pattern
	access Access
}

// A selector is one set of permissions. It changes only while its user is built.
type selector struct {
	// Whether a part of the permissions is unrestricted. allCommands is cleared by
	// any rule that takes a command away.
	allCommands, allKeys, allChannels, allDatabases bool
	// future: commands that the table lacks are allowed, unless others of the rules say
	// otherwise. It is set by +@all only, and decides what the rules are printed
	// upon.
	future    bool
	commands  bitset
	firstArgs map[int][]string
	keys      []keyPattern
	channels  []pattern
	databases []int
	// others are the rules since the last @all, in their order, that say something of
	// commands that the table lacks.
	others []otherRule
}

// An otherRule allows or forbids commands that the table lacks: those of a category, or
// one by name, with a bar and a subcommand if it is about that.
type otherRule struct {
	allow    bool
	category Categories
	name     string
}

func newSelector(t *Table) *selector {
	return &selector{commands: t.newBitset(), allDatabases: true}
}

// isUnlimited tells whether it allows everything.
func (s *selector) isUnlimited() bool {
	return s.allCommands && s.allKeys && s.allChannels && s.allDatabases && len(s.others) == 0
}

// setAll allows or forbids every command.
func (s *selector) setAll(allow bool) {
	s.commands.fill(allow)
	s.allCommands, s.future, s.firstArgs, s.others = allow, allow, nil, nil
}

// setCommand allows or forbids a command and its subcommands.
func (s *selector) setCommand(t *Table, number int, allow bool) {
	s.commands.set(number, allow)
	delete(s.firstArgs, number)
	for _, sub := range t.subs[number] {
		s.commands.set(sub, allow)
	}
	s.allCommands = s.allCommands && allow
}

// setCategory allows or forbids the commands of a category. With a container come all its
// subcommands, as in Redis.
func (s *selector) setCategory(t *Table, category Categories, allow bool) {
	for i := range t.commands {
		if t.commands[i].Categories&category != 0 {
			s.setCommand(t, i, allow)
		}
	}
}

// addFirstArg allows a command whose first argument is this word.
func (s *selector) addFirstArg(number int, word string) {
	if s.firstArgs == nil {
		s.firstArgs = make(map[int][]string)
	}
	isWord := func(known string) bool { return strings.EqualFold(known, word) }
	if !slices.ContainsFunc(s.firstArgs[number], isWord) {
		s.firstArgs[number] = append(s.firstArgs[number], word)
	}
}

// allowsCommand tells whether a request for the command of that number is allowed, which
// has first as its first argument, or nil.
func (s *selector) allowsCommand(number int, first []byte) bool {
	if s.allCommands || s.commands.has(number) {
		return true
	}
	if s.firstArgs == nil || first == nil {
		return false
	}
	for _, word := range s.firstArgs[number] {
		if isWord(word, first) {
			return true
		}
	}
	return false
}

// allowsOther tells whether a request for a command that the table lacks is allowed.
func (s *selector) allowsOther(c *Other) bool {
	allowed := s.future
	for i := range s.others {
		r := &s.others[i]
		if r.category&c.Categories != 0 || r.name != "" && c.isNamed(r.name) {
			allowed = r.allow
		}
	}
	return allowed
}

// allowsKey tells whether a key may be accessed in that way.
func (s *selector) allowsKey(key []byte, how Access) bool {
	if s.allKeys {
		return true
	}
	for i := range s.keys {
		if k := &s.keys[i]; k.access&how == how && k.matches(key) {
			return true
		}
	}
	return false
}

// allowsEveryKey tells whether every key may be accessed in that way.
func (s *selector) allowsEveryKey(how Access) bool {
	if s.allKeys {
		return true
	}
	return slices.ContainsFunc(s.keys, func(k keyPattern) bool { return k.access&how == how && k.text == "*" })
}

// allowsChannel tells whether a channel may be used or, if it is a pattern of channels,
// whether it may be listened to. A pattern must be in the list as it is.
func (s *selector) allowsChannel(name []byte, isPattern bool) bool {
	if s.allChannels {
		return true
	}
	for i := range s.channels {
		c := &s.channels[i]
		if isPattern && c.text == string(name) || !isPattern && c.matches(name) {
			return true
		}
	}
	return false
}

// allowsDatabase tells whether a database may be used.
func (s *selector) allowsDatabase(db int) bool {
	return s.allDatabases || slices.Contains(s.databases, db)
}

// isWord tells whether b is the word in any case.
func isWord(word string, b []byte) bool {
	if len(word) != len(b) {
		return false
	}
	for i, c := range b {
		if lowerByte(c) != lowerByte(word[i]) {
			return false
		}
	}
	return true
}

func lowerByte(c byte) byte {
	if c-'A' < 26 {
		c += 'a' - 'A'
	}
	return c
}
