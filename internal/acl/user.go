package acl

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
)

// DefaultName is the name of the user that clients are before they log in, and that they
// log in as with a password alone.
const DefaultName = "default"

// sanitizing is what a user's rules say of payloads of RESTORE. It is only printed: whether
// a server looks at them depends on the server.
type sanitizing uint8

const (
	sanitizeUnsaid sanitizing = iota
	sanitizeYes
	sanitizeSkip
)

// A User is somebody who can log in, and what he may do.
type User struct {
	name      string
	number    uint16
	on        bool
	noPass    bool
	unlimited bool
	sanitize  sanitizing
	passwords [][sha256.Size]byte
	// selectors are at least one: the root comes first.
	selectors []*selector
	table     *Table
	// gateOf has, for each command, what lets its keys through without a Trial, or nil.
	gateOf []*Gate
	// line is what ACL LIST prints.
	line string
}

// newUser returns a user that may do nothing.
func newUser(t *Table, name string) *User {
	return &User{name: name, table: t, selectors: []*selector{newSelector(t)}}
}

// newDefault returns the default user of a server without rules, who may do everything
// without a password.
func newDefault(t *Table) *User {
	u := newUser(t, DefaultName)
	root := u.selectors[0]
	root.setAll(true)
	root.allKeys, root.allChannels = true, true
	u.on, u.noPass = true, true
	return u
}

// finish derives what depends on the rules, after the last of them.
func (u *User) finish() {
	u.makeGates()
	u.unlimited = slices.ContainsFunc(u.selectors, (*selector).isUnlimited)
	u.line = "user " + u.name + " " + u.rules(u.passwords)
}

// Name is the user's name.
func (u *User) Name() string { return u.name }

// Number stands for the user among those of a pool. It stays the same when users are
// replaced, as long as there is a user of this name. The default user's is 0.
func (u *User) Number() uint16 { return u.number }

// IsOn tells whether clients can log in as the user.
func (u *User) IsOn() bool { return u.on }

// NeedsPassword tells whether a client must say a password to be the user. If not, any
// password will do.
func (u *User) NeedsPassword() bool { return !u.noPass }

// IsUnlimited tells whether the user may do everything, so that no request of his needs to
// be judged.
func (u *User) IsUnlimited() bool { return u.unlimited }

// Line is the user's name and rules, as ACL LIST prints them and an aclfile has them.
func (u *User) Line() string { return u.line }

// LineWithoutPasswords is Line without the hashes of passwords.
func (u *User) LineWithoutPasswords() string { return "user " + u.name + " " + u.rules(nil) }

// SameRules tells whether two users may do the same, so that nothing that one was allowed
// needs to be judged again for the other.
func (u *User) SameRules(other *User) bool {
	return slices.EqualFunc(u.selectors, other.selectors, (*selector).equal)
}

// MayListen tells whether the user may listen to a channel, or to a pattern of channels.
// That he may use SUBSCRIBE at all is taken for granted.
func (u *User) MayListen(name []byte, isPattern bool) bool {
	return slices.ContainsFunc(u.selectors, func(s *selector) bool { return s.allowsChannel(name, isPattern) })
}

// Users are all users of a pool.
type Users struct {
	byName   map[string]*User
	byNumber []*User
	sorted   []*User
	// next is the number that the next new user gets.
	next uint16
	// strangers stands for users that there are not: its passwords are as many as the
	// most of any user, and nobody knows them.
	strangers *User
}

// Default is the user that clients are before they log in.
func (us *Users) Default() *User { return us.byNumber[0] }

// Named is the user of that name. It is nil if there is none.
func (us *Users) Named(name []byte) *User { return us.byName[string(name)] }

// Nobody is a user who may do nothing, in place of one who is no more.
func (us *Users) Nobody() *User { return us.strangers }

// Gates are those of each user, by its number, for each command; nil: there is none. The slices must
// not be changed.
func (us *Users) Gates() [][]*Gate {
	all := make([][]*Gate, len(us.byNumber))
	for i, u := range us.byNumber {
		if u != nil {
			all[i] = u.gateOf
		}
	}
	return all
}

// ByNumber is the user of that number. It is nil if there is none any more.
func (us *Users) ByNumber(number uint16) *User {
	if int(number) >= len(us.byNumber) {
		return nil
	}
	return us.byNumber[number]
}

// All are the users, sorted by name. The slice must not be changed.
func (us *Users) All() []*User { return us.sorted }

// Login returns the user who has that name and that password. ok is false if there is none,
// if the password is another, or if the user is off. The time that this takes depends on
// the given password's length, and not on whether there is such a user.
func (us *Users) Login(name, password []byte) (u *User, ok bool) {
	u = us.byName[string(name)]
	asked := u
	if asked == nil {
		asked = us.strangers
	}
	hash := sha256.Sum256(password)
	equal := 0
	for i := range asked.passwords {
		equal |= subtle.ConstantTimeCompare(hash[:], asked.passwords[i][:])
	}
	if u == nil || !u.on || !u.noPass && equal == 0 {
		return nil, false
	}
	return u, true
}

// equal tells whether two selectors allow the same.
func (s *selector) equal(other *selector) bool {
	sameKey := func(a, b keyPattern) bool { return a.text == b.text && a.access == b.access }
	sameChannel := func(a, b pattern) bool { return a.text == b.text }
	return s.allCommands == other.allCommands && s.allKeys == other.allKeys && s.allChannels == other.allChannels &&
		s.allDatabases == other.allDatabases && s.future == other.future && s.commands.equal(other.commands) &&
		slices.EqualFunc(s.keys, other.keys, sameKey) && slices.EqualFunc(s.channels, other.channels, sameChannel) &&
		slices.Equal(s.databases, other.databases) && slices.Equal(s.others, other.others) && equalFirstArgs(s.firstArgs, other.firstArgs)
}

func equalFirstArgs(a, b map[int][]string) bool {
	if len(a) != len(b) {
		return false
	}
	for number, words := range a {
		if !slices.Equal(words, b[number]) {
			return false
		}
	}
	return true
}
