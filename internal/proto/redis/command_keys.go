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
	case countedKeys:
		counted := keySpec{use: use, at: k.first - 1, counted: true, step: k.step}
		if k.dest {
			return []keySpec{one(stored, k.last), counted}
		}
		return []keySpec{counted}
	case storeKey:
		if k.last == storeFrom2.last {
			return []keySpec{one(use, k.first), {use: stored}}
		}
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
func (s *keySpec) describe(d describer) {
	d.mapping(3)
	d.bulkString("flags")
	d.statuses(s.use)
	d.bulkString("begin_search")
	d.mapping(2)
	switch {
	case s.at == 0:
		d.pair("type", "unknown")
		d.bulkString("spec")
		d.mapping(0)
	case s.keyword != "":
		d.pair("type", "keyword")
		d.bulkString("spec")
		d.mapping(2)
		d.pair("keyword", s.keyword)
		d.count("startfrom", s.at)
	default:
		d.pair("type", "index")
		d.bulkString("spec")
		d.mapping(1)
		d.count("index", s.at)
	}
	d.bulkString("find_keys")
	d.mapping(2)
	switch {
	case s.at == 0:
		d.pair("type", "unknown")
		d.bulkString("spec")
		d.mapping(0)
	case s.counted:
		d.pair("type", "keynum")
		d.bulkString("spec")
		d.mapping(3)
		d.count("keynumidx", 0)
		d.count("firstkey", 1)
		d.count("keystep", s.step)
	default:
		d.pair("type", "range")
		d.bulkString("spec")
		d.mapping(3)
		d.count("lastkey", s.last)
		d.count("keystep", s.step)
		d.count("limit", s.limit)
	}
}
