package acl

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// maxUsers is the most users of a pool. Their numbers are in sessions, in two bytes.
const maxUsers = 1 << 14

// A RuleError is a mistake in an aclfile, or in a user of the configuration.
type RuleError struct {
	// Where is the file, or the key of the configuration. Line is 0 if there is none.
	Where string
	Line  int
	// User and Rule may be empty. Rule never shows a password.
	User, Rule string
	// Text is what is wrong, in Redis's words where it has any.
	Text string
}

// Error implements error.
func (f *RuleError) Error() string {
	var b strings.Builder
	b.WriteString(f.Where)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	if f.User != "" {
		fmt.Fprintf(&b, ": user '%s'", ShownName(f.User))
	}
	if f.Rule != "" {
		fmt.Fprintf(&b, ": rule '%s'", f.Rule)
	}
	b.WriteString(": " + f.Text)
	return b.String()
}

// A Builder makes Users of rules. All of them are looked at, so that all faults are told.
type Builder struct {
	table    *Table
	users    map[string]*User
	faults   []error
	warnings []string
	// passwords are the default user's, if there is no line for him.
	passwords [][sha256.Size]byte
	// judged are the users of whom each request is judged.
	judged []string
}

// NewBuilder returns a builder without users, for rules about the commands of a table.
func NewBuilder(t *Table) *Builder { return &Builder{table: t, users: make(map[string]*User)} }

// DefaultPassword adds passwords of the default user, by their hashes. They count only if
// there are no rules for him.
func (b *Builder) DefaultPassword(hashes ...[sha256.Size]byte) {
	b.passwords = append(b.passwords, hashes...)
}

// Has tells whether there are rules for a user of that name.
func (b *Builder) Has(name string) bool { return b.users[name] != nil }

// File reads an aclfile: "user NAME rules" in each line. Empty lines and those that begin
// with '#' are no users. A file without users is a fault, other than in Redis: it lets in
// everybody, and is most likely one that is being written.
func (b *Builder) File(where string, text []byte) {
	number, users := 0, 0
	for line := range strings.SplitSeq(string(text), "\n") {
		number++
		line = strings.Trim(line, " \t\r")
		if line == "" || line[0] == '#' {
			continue
		}
		users++
		words := strings.Split(line, " ")
		if words[0] != "user" || len(words) < 2 || words[1] == "" {
			b.AddFault(&RuleError{Where: where, Line: number, Text: "should start with user keyword followed by the username"})
			continue
		}
		b.add(where, number, words[1], words[2:])
	}
	if users == 0 {
		b.AddFault(&RuleError{Where: where, Text: "the file has no users: write some, or leave 'acl_file' out"})
	}
}

// User adds one user, with rules as in an aclfile.
func (b *Builder) User(where, name, rules string) {
	b.add(where, 0, name, strings.FieldsFunc(rules, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) }))
}

// JudgeAlways has each request of a user judged, also if the rules allow everything: something
// else may forbid it.
func (b *Builder) JudgeAlways(name string) { b.judged = append(b.judged, name) }

// AddFault adds a fault that was found elsewhere, so that it is told with the others.
func (b *Builder) AddFault(f *RuleError) { b.faults = append(b.faults, f) }

// add adds a user who has these rules.
func (b *Builder) add(where string, line int, name string, words []string) {
	fault := RuleError{Where: where, Line: line, User: name}
	switch {
	case name == "" || hasSpaces(name):
		fault.Text = "username contains invalid characters"
	case b.users[name] != nil:
		fault.Text = "Duplicate user found. A user can only be defined once in config files"
	case len(b.users) >= maxUsers:
		fault.Text = fmt.Sprintf("there are more than %d users", maxUsers)
	}
	if fault.Text != "" {
		b.AddFault(&fault)
		return
	}
	u := newUser(b.table, name)
	b.users[name] = u
	rules, open := joinSelectors(words)
	if open != "" {
		fault.Rule, fault.Text = shown(open), "Unmatched parenthesis in selector definition"
		b.AddFault(&fault)
		return
	}
	for _, rule := range rules {
		rule = strings.Trim(rule, "\t\r\n")
		if why := u.apply(b.table, rule); why != "" {
			one := fault
			one.Rule, one.Text = shown(rule), why
			b.AddFault(&one)
		}
	}
	if !u.on {
		b.warnings = append(b.warnings, fmt.Sprintf("%s: the user '%s' is disabled (there is no 'on' modifier in the user description)", where, ShownName(name)))
	}
}

// joinSelectors joins the rules inside a pair of parentheses to one. open is the one that
// opens a parenthesis which is never closed.
func joinSelectors(words []string) (rules []string, open string) {
	selector := ""
	for _, word := range words {
		switch {
		case selector != "":
			selector += " " + word
		case strings.HasPrefix(word, "("):
			selector = word
		default:
			rules = append(rules, word)
			continue
		}
		if strings.HasSuffix(word, ")") {
			rules, selector = append(rules, selector), ""
		}
	}
	return rules, selector
}

// hiddenRule stands for a rule that may have a password in it.
const hiddenRule = "(not shown)"

// shown is a rule as a message may show it: without a password. What is not surely a rule
// about commands, keys or channels may be a password, or hold one, by a slip of the writer.
func shown(rule string) string {
	if rule == "" || strings.IndexByte("+-~&%", rule[0]) < 0 || strings.ContainsFunc(rule, besidePassword) {
		return hiddenRule
	}
	return rule
}

// ShownName is a user's name as a message may show it. What begins like a rule about
// passwords may be one, behind a name that was forgotten.
func ShownName(name string) string {
	if name != "" && strings.IndexByte("><#!", name[0]) >= 0 {
		return hiddenRule
	}
	return name
}

// besidePassword tells whether r may stand before a password: it begins one, or ends a rule.
func besidePassword(r rune) bool {
	return strings.ContainsRune("><#!", r) || unicode.IsSpace(r) || unicode.IsControl(r)
}

// Warnings are what may be a mistake.
func (b *Builder) Warnings() []string { return b.warnings }

// Build returns the users, or all faults that were found. Users that previous, which may be
// nil, has by the same name keep their numbers. Without rules for it, the default user may
// do everything, with the password that was set or without any.
func (b *Builder) Build(previous *Users) (*Users, error) {
	if len(b.faults) > 0 {
		return nil, errors.Join(b.faults...)
	}
	us := &Users{byName: make(map[string]*User, len(b.users)+1), strangers: newUser(b.table, "")}
	maps.Copy(us.byName, b.users)
	if us.byName[DefaultName] == nil {
		u := newDefault(b.table)
		u.passwords, u.noPass = b.passwords, len(b.passwords) == 0
		us.byName[DefaultName] = u
	}
	most := 1
	for _, u := range us.byName {
		u.finish()
		us.sorted = append(us.sorted, u)
		most = max(most, len(u.passwords))
	}
	for _, name := range b.judged {
		if u := us.byName[name]; u != nil {
			u.unlimited, u.gateOf = false, nil
		}
	}
	us.strangers.passwords = make([][sha256.Size]byte, most)
	slices.SortFunc(us.sorted, func(x, y *User) int { return strings.Compare(x.name, y.name) })
	us.giveNumbers(previous)
	return us, nil
}

// giveNumbers gives each user a number: the one that it had, or one that no user of
// previous has.
func (us *Users) giveNumbers(previous *Users) {
	taken := map[uint16]bool{0: true}
	us.next = 1
	if previous != nil {
		us.next = previous.next
		for _, u := range previous.sorted {
			taken[u.number] = true
		}
	}
	for _, u := range us.sorted {
		var before *User
		if previous != nil {
			before = previous.byName[u.name]
		}
		switch {
		case u.name == DefaultName:
			u.number = 0
		case before != nil:
			u.number = before.number
		default:
			for taken[us.next] {
				us.next++ // past the last one comes 0, which is taken
			}
			u.number = us.next
			taken[u.number] = true
		}
	}
	for _, u := range us.sorted {
		if need := int(u.number) + 1; len(us.byNumber) < need {
			us.byNumber = append(us.byNumber, make([]*User, need-len(us.byNumber))...)
		}
		us.byNumber[u.number] = u
	}
}
