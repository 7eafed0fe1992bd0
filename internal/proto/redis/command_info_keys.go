package redis

import (
	"slices"

	"nuthatch/internal/msg"
)

// Key specifications: how COMMAND INFO says which words are keys.

// usesOf is what c does with the keys of a request: with the first, and with all
// others.
func (c *command) usesOf(r *msg.Request) [][]string {
	uses := c.facts.uses()
	first, last := uses[0], uses[len(uses)-1]
	switch {
	case c.keys.rule == storeKey || c.keys.rule == sortKeys:
		// If there are two, the first in the list is the one that is stored.
		if r.Nkeys == 1 {
			return [][]string{first}
		}
		return [][]string{last, first}
	case c.keys.rule == migrateKeys:
		return [][]string{first}
	case slices.Contains(first, "variable_flags"):
		return [][]string{c.varying(r)}
	}
	return [][]string{first, last}
}

// varying is what a command does with its key, if its options decide that: SET reads
// only with GET, and BITFIELD writes unless it has nothing but GET.
func (c *command) varying(r *msg.Request) []string {
	if c.name == "set" {
		for i := 3; i < len(r.Args); i++ {
			if isWord(r, i, "get") {
				return readsAndWrites
			}
		}
		return overwrites
	}
	for i := 2; i < len(r.Args); i++ {
		switch {
		case isWord(r, i, "get"):
			i += 2
		case isWord(r, i, "overflow"):
			i++
		default:
			return readsAndWrites
		}
	}
	return readsOnly
}

// What varying returns.
var (
	readsAndWrites = []string{"RW", "access", "update"}
	overwrites     = []string{"OW", "update"}
	readsOnly      = []string{"RO", "access"}
)

// A keySpec says where some of a command's keys are: where they begin, at a word's
// index or after a keyword, and how they go on, over a range or by a number. Place 0
// means that this cannot be told in these terms.
type keySpec struct {
	// note is a sentence about it, if there is one.
	note string
	use  []string
	// at is the index of the first word; with a keyword, where the search for it
	// begins.
	at      int
	keyword string
	// counted: the first word is the number of keys after it.
	counted bool
	// last is the index of the last key, counted from the first one or, if negative,
	// from the end. step is the distance of two keys. limit, if above 1, says which
	// part of the words are keys: 2 for half of them.
	last, step, limit int
}

// keySpecs are c's.
func (c *command) keySpecs() []keySpec {
	k := &c.keys
	if k.rule == noKey {
		return nil
	}
	uses := c.facts.uses()
	first, last := uses[0], uses[len(uses)-1]
	one := func(use []string, at int) keySpec { return keySpec{use: use, at: at, step: 1} }
	switch k.rule {
	case rangeOfKeys:
		end := k.last
		if end > 0 {
			end -= k.first
		}
		if len(uses) == 1 {
			return []keySpec{{use: first, at: k.first, last: end, step: k.step}}
		}
		return []keySpec{one(first, k.first), {use: last, at: k.first + 1, last: min(end, 0), step: k.step}}
	case countedKeys, pairedKeys, scriptKeys:
		counted := keySpec{use: last, at: k.first - 1, counted: true, step: k.step}
		if k.last > 0 {
			return []keySpec{one(first, k.last), counted}
		}
		return []keySpec{counted}
	case sortKeys:
		specs := []keySpec{one(first, k.first)}
		for _, use := range uses[1:] {
			specs = append(specs, keySpec{use: use})
		}
		return specs
	case storeKey:
		return []keySpec{
			one(first, k.first),
			{use: last, at: k.last, keyword: "STORE", step: 1},
			{use: last, at: k.last, keyword: "STOREDIST", step: 1},
		}
	case migrateKeys:
		return []keySpec{one(first, k.first), {use: last, at: -2, keyword: "KEYS", last: -1, step: 1}}
	case streamKeys:
		return []keySpec{{use: first, at: k.first, keyword: "STREAMS", last: -1, step: k.step, limit: 2}}
	case noKey, oneKey:
	}
	return []keySpec{one(first, k.first)}
}

// spec begins one half of a specification: its type, and a map of that many fields.
func (w writer) spec(kind string, fields int) {
	w.pair("type", kind)
	w.bulkString("spec")
	w.mapping(fields)
}

// describe appends the specification as COMMAND INFO has it.
func (s *keySpec) describe(w writer) {
	if s.note == "" {
		w.mapping(3)
	} else {
		w.mapping(4)
		w.pair("notes", s.note)
	}
	w.bulkString("flags")
	w.statuses(s.use)
	w.bulkString("begin_search")
	w.mapping(2)
	switch {
	case s.at == 0:
		w.spec("unknown", 0)
	case s.keyword != "":
		w.spec("keyword", 2)
		w.pair("keyword", s.keyword)
		w.nameAndNumber("startfrom", s.at)
	default:
		w.spec("index", 1)
		w.nameAndNumber("index", s.at)
	}
	w.bulkString("find_keys")
	w.mapping(2)
	switch {
	case s.at == 0:
		w.spec("unknown", 0)
	case s.counted:
		w.spec("keynum", 3)
		w.nameAndNumber("keynumidx", 0)
		w.nameAndNumber("firstkey", 1)
		w.nameAndNumber("keystep", s.step)
	default:
		w.spec("range", 3)
		w.nameAndNumber("lastkey", s.last)
		w.nameAndNumber("keystep", s.step)
		w.nameAndNumber("limit", s.limit)
	}
}
