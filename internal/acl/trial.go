package acl

// A Denial is what a user may not do. Of several, the greatest is the one that is told.
type Denial uint8

// The denials, in Redis's order of importance. Those of SORT come after all that concerns
// the words of a request.
const (
	Allowed        Denial = iota
	DeniedDatabase        // a database
	DeniedCommand         // the command
	DeniedKey             // a key
	DeniedChannel         // a channel
	DeniedSortBy          // SORT BY a pattern, which leads to other keys
	DeniedSortGet         // SORT GET a pattern, likewise
)

// A Verdict is what becomes of a request.
type Verdict struct {
	Denial Denial
	// At is the place, among the request's words, of the key, channel or database that
	// is denied.
	At int
}

// IsAllowed tells whether the request may be carried out.
func (v Verdict) IsAllowed() bool { return v.Denial == Allowed }

// An Other is a command that the table lacks, as servers describe it.
type Other struct {
	// Name is in lower case. Sub is the second word of the request, or nil.
	Name       string
	Sub        []byte
	Categories Categories
	Keyed      bool
}

// isNamed tells whether a rule's name is the command's or its subcommand's.
func (o *Other) isNamed(name string) bool {
	n := len(o.Name)
	if len(name) < n || name[:n] != o.Name {
		return false
	}
	return len(name) == n || name[n] == '|' && isWord(name[n+1:], o.Sub)
}

// A Trial judges one request of a user. It is told what the request names: first the
// databases, then the keys in the order of the words, then the channels. It is a value, and
// costs no allocation.
type Trial struct {
	user *User
	// left has a bit for each selector that has allowed everything so far.
	left uint64
	// verdict is the worst denial of the others. Of denials of the same kind it is the
	// last among the request's words.
	verdict Verdict
	// Keys is for the caller: how many keys the trial has been told of. 0: it begins.
	Keys int
}

// Begin begins to judge a request for the command of that number, whose first argument is
// first, or nil, in the database db.
func (u *User) Begin(number int, first []byte, db int) Trial {
	c := &u.table.commands[number]
	t := Trial{user: u, left: 1<<len(u.selectors) - 1}
	if c.Free {
		return t
	}
	inDatabase := c.Keyed || c.Categories&(keyspace|read|write) != 0
	for i, s := range u.selectors {
		switch {
		case inDatabase && !s.allowsDatabase(db), c.EveryDatabase && !s.allDatabases:
			t.deny(i, Verdict{Denial: DeniedDatabase})
		case !s.allowsCommand(number, first):
			t.deny(i, Verdict{Denial: DeniedCommand})
		}
	}
	return t
}

// BeginOther is Begin for a command that the table lacks.
func (u *User) BeginOther(c *Other, db int) Trial {
	t := Trial{user: u, left: 1<<len(u.selectors) - 1}
	inDatabase := c.Keyed || c.Categories&(keyspace|read|write) != 0
	for i, s := range u.selectors {
		switch {
		case inDatabase && !s.allowsDatabase(db):
			t.deny(i, Verdict{Denial: DeniedDatabase})
		case !s.allowsOther(c):
			t.deny(i, Verdict{Denial: DeniedCommand})
		}
	}
	return t
}

// IsOf tells whether the trial is one of the user, by these rules.
func (t *Trial) IsOf(u *User) bool { return t.user == u }

// deny has the i-th selector allow no more, for that reason.
func (t *Trial) deny(i int, why Verdict) {
	t.left &^= 1 << i
	if why.Denial > t.verdict.Denial || why.Denial == t.verdict.Denial && why.At > t.verdict.At {
		t.verdict = why
	}
}

// each asks each selector that is left, and denies where it says no.
func (t *Trial) each(why Verdict, allows func(*selector) bool) {
	for i, s := range t.user.selectors {
		if t.left&(1<<i) != 0 && !allows(s) {
			t.deny(i, why)
		}
	}
}

// LooksAtKeys tells whether it matters which keys the request names.
func (t *Trial) LooksAtKeys() bool {
	for i, s := range t.user.selectors {
		if t.left&(1<<i) != 0 && s.allKeys {
			return false
		}
	}
	return t.left != 0
}

// LooksAtChannels is LooksAtKeys for channels.
func (t *Trial) LooksAtChannels() bool {
	for i, s := range t.user.selectors {
		if t.left&(1<<i) != 0 && s.allChannels {
			return false
		}
	}
	return t.left != 0
}

// Key says that the request accesses a key, the word at that place.
func (t *Trial) Key(key []byte, how Access, at int) {
	for i, s := range t.user.selectors {
		if t.left&(1<<i) != 0 && !s.allowsKey(key, how) {
			t.deny(i, Verdict{DeniedKey, at})
		}
	}
}

// UnknownKeys says that the request names keys, and that it cannot be told which.
func (t *Trial) UnknownKeys(at int) {
	t.each(Verdict{DeniedKey, at}, func(s *selector) bool { return s.allKeys })
}

// UnknownChannels is UnknownKeys for channels.
func (t *Trial) UnknownChannels(at int) {
	t.each(Verdict{DeniedChannel, at}, func(s *selector) bool { return s.allChannels })
}

// Channel says that the request names a channel or, for PSUBSCRIBE, a pattern of channels.
func (t *Trial) Channel(name []byte, isPattern bool, at int) {
	for i, s := range t.user.selectors {
		if t.left&(1<<i) != 0 && !s.allowsChannel(name, isPattern) {
			t.deny(i, Verdict{DeniedChannel, at})
		}
	}
}

// Database says that the request names a database.
func (t *Trial) Database(db, at int) {
	t.each(Verdict{DeniedDatabase, at}, func(s *selector) bool { return s.allowsDatabase(db) })
}

// EveryKey says that the request may read any key. why is told if it may not, if nothing
// else is denied.
func (t *Trial) EveryKey(why Denial, at int) {
	if t.left == 0 {
		return
	}
	t.each(Verdict{why, at}, func(s *selector) bool { return s.allowsEveryKey(Read) })
}

// Verdict is what becomes of the request.
func (t *Trial) Verdict() Verdict {
	if t.left != 0 {
		return Verdict{}
	}
	return t.verdict
}
