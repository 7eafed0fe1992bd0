package redis

// Key specifications: how COMMAND INFO says which words are keys.

// What a command does with a key, in Redis's words. They are coarser than
// Redis's: a command that writes a key is taken to read it, unless it is a
// destination.
var (
	looked  = []string{"RO", "access"}
	changed = []string{"RW", "access", "update"}
	stored  = []string{"OW", "update"}
)

// use is what c does with keys other than a destination.
func (c *command) use() []string {
	if c.access == read || c.keys.dest {
		return looked
	}
	return changed
}

// A keySpec says where some of a command's keys are: where to begin, at a word's
// index or behind a keyword, and how to go on, over a range or by a number. The
// zero place, 0, is one that cannot be told in these terms.
type keySpec struct {
	use []string
	// at is the index of the first word; with a keyword, where to begin to look
	// for that.
	at      int
	keyword string
	// counted: the first word is the number of keys behind it.
	counted bool
	// last is the index of the last key, counted from the first one, or, if
	// negative, from the end; step the distance of two keys; and limit, if above
	// 1, the part of the words that are keys: 2 for half of them.
	last, step, limit int
}

// keySpecs are c's.
func (c *command) keySpecs() []keySpec {
	k := &c.keys
	use := c.use()
	one := func(use []string, at int) keySpec { return keySpec{use: use, at: at, step: 1} }
	switch k.rule {
	case oneKey:
		return []keySpec{one(use, k.first)}
	case rangeOfKeys:
		if k.dest {
			return []keySpec{one(stored, k.first), {use: use, at: k.first + 1, last: k.last, step: k.step}}
		}
		last := k.last
		if last > 0 {
			last -= k.first
		}
		return []keySpec{{use: use, at: k.first, last: last, step: k.step}}
	case countedKeys, pairedKeys, scriptKeys:
		counted := keySpec{use: use, at: k.first - 1, counted: true, step: k.step}
		if k.dest {
			return []keySpec{one(stored, k.last), counted}
		}
		return []keySpec{counted}
	case sortKeys:
		if k.dest {
			return []keySpec{one(use, k.first), {use: looked}, {use: stored}}
		}
		return []keySpec{one(use, k.first), {use: looked}}
	case storeKey:
		return []keySpec{
			one(use, k.first),
			{use: stored, at: k.last, keyword: "STORE", step: 1},
			{use: stored, at: k.last, keyword: "STOREDIST", step: 1},
		}
	case streamKeys:
		return []keySpec{{use: use, at: k.first, keyword: "STREAMS", last: -1, step: k.step, limit: 2}}
	case noKey:
	}
	return nil
}

// describe appends the specification as COMMAND INFO has it.
func (s *keySpec) describe(w writer) {
	w.mapping(3)
	w.bulkString("flags")
	w.statuses(s.use)
	w.bulkString("begin_search")
	w.mapping(2)
	switch {
	case s.at == 0:
		w.pair("type", "unknown")
		w.bulkString("spec")
		w.mapping(0)
	case s.keyword != "":
		w.pair("type", "keyword")
		w.bulkString("spec")
		w.mapping(2)
		w.pair("keyword", s.keyword)
		w.count("startfrom", s.at)
	default:
		w.pair("type", "index")
		w.bulkString("spec")
		w.mapping(1)
		w.count("index", s.at)
	}
	w.bulkString("find_keys")
	w.mapping(2)
	switch {
	case s.at == 0:
		w.pair("type", "unknown")
		w.bulkString("spec")
		w.mapping(0)
	case s.counted:
		w.pair("type", "keynum")
		w.bulkString("spec")
		w.mapping(3)
		w.count("keynumidx", 0)
		w.count("firstkey", 1)
		w.count("keystep", s.step)
	default:
		w.pair("type", "range")
		w.bulkString("spec")
		w.mapping(3)
		w.count("lastkey", s.last)
		w.count("keystep", s.step)
		w.count("limit", s.limit)
	}
}
