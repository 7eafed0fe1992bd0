package acl

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
)

// How users are printed, as Redis 7.0 does: their commands are worked out from what they
// may use, and not from the rules that said so.

// A Description is a user, as ACL GETUSER has it.
type Description struct {
	Flags, Passwords []string
	// Root is what the rules outside parentheses say, Selectors what those inside do.
	Root      SelectorDescription
	Selectors []SelectorDescription
}

// A SelectorDescription is one set of permissions. Databases is empty if there are no
// rules on them.
type SelectorDescription struct {
	Commands, Keys, Channels, Databases string
}

// Describe describes the user.
func (u *User) Describe() Description {
	d := Description{Flags: u.flags(), Root: u.selectors[0].describe(u.table)}
	for i := range u.passwords {
		d.Passwords = append(d.Passwords, hex.EncodeToString(u.passwords[i][:]))
	}
	for _, s := range u.selectors[1:] {
		d.Selectors = append(d.Selectors, s.describe(u.table))
	}
	return d
}

func (u *User) flags() []string {
	flags := []string{"off"}
	if u.on {
		flags[0] = "on"
	}
	if u.noPass {
		flags = append(flags, "nopass")
	}
	switch u.sanitize {
	case sanitizeSkip:
		flags = append(flags, "skip-sanitize-payload")
	case sanitizeYes:
		flags = append(flags, "sanitize-payload")
	case sanitizeUnsaid:
	}
	return flags
}

// rules are all that the user's line says behind the name, with these hashes of passwords.
func (u *User) rules(passwords [][sha256.Size]byte) string {
	words := u.flags()
	for i := range passwords {
		words = append(words, "#"+hex.EncodeToString(passwords[i][:]))
	}
	words = append(words, u.selectors[0].rules(u.table))
	for _, s := range u.selectors[1:] {
		words = append(words, "("+s.rules(u.table)+")")
	}
	return strings.Join(words, " ")
}

func (s *selector) describe(t *Table) SelectorDescription {
	d := SelectorDescription{Commands: s.commandRules(t), Keys: "~*", Channels: "&*", Databases: s.databaseRule()}
	if !s.allKeys {
		d.Keys = strings.Join(s.keyRules(), " ")
	}
	if !s.allChannels {
		d.Channels = strings.Join(s.channelRules(), " ")
	}
	return d
}

// rules are all that a line says of the selector.
func (s *selector) rules(t *Table) string {
	var words []string
	if s.allKeys {
		words = append(words, "~*")
	}
	words = append(words, s.keyRules()...)
	if s.allChannels {
		words = append(words, "&*")
	} else {
		words = append(words, "resetchannels")
	}
	words = append(words, s.channelRules()...)
	if rule := s.databaseRule(); rule != "" {
		words = append(words, rule)
	}
	return strings.Join(append(words, s.commandRules(t)), " ")
}

func (s *selector) keyRules() []string {
	var words []string
	for _, k := range s.keys {
		prefix := map[Access]string{Read: "%R~", Write: "%W~", readWrite: "~"}[k.access]
		words = append(words, prefix+k.text)
	}
	return words
}

func (s *selector) channelRules() []string {
	var words []string
	for _, c := range s.channels {
		words = append(words, "&"+c.text)
	}
	return words
}

// databaseRule is the rule on databases, or empty if there is none.
func (s *selector) databaseRule() string {
	if s.allDatabases {
		return ""
	}
	if len(s.databases) == 0 {
		return "resetdbs"
	}
	var numbers []string
	for _, db := range s.databases {
		numbers = append(numbers, strconv.Itoa(db))
	}
	return "db=" + strings.Join(numbers, ",")
}

// commandRules are rules that allow the selector's commands, from nothing or from
// everything: first the categories that fit best, then single commands to make up the
// difference.
func (s *selector) commandRules(t *Table) string {
	d := commandPrinter{t: t, want: s, has: newSelector(t), adds: !s.future}
	d.has.setAll(s.future)
	d.words = []string{"+@all"}
	if d.adds {
		d.words[0] = "-@all"
	}
	d.addCategories()
	d.addCommands()
	for _, r := range s.others {
		if r.name != "" {
			d.words = append(d.words, sign(r.allow)+r.name)
		}
	}
	return strings.Join(d.words, " ")
}

// A commandPrinter works out rules. has is what the words so far allow.
type commandPrinter struct {
	t         *Table
	want, has *selector
	adds      bool
	words     []string
}

// addCategories adds the categories of which more commands are wanted than not, as long as
// there is one: of these, first the one with the fewest commands that are not wanted.
// What a category has settled counts no longer.
func (d *commandPrinter) addCategories() {
	open := newSelector(d.t)
	copy(open.commands, d.want.commands)
	var used Categories
	for {
		best, bestDiff, bestSame := -1, math.MaxInt, 0
		for i := range categoryNames {
			if used&(1<<i) != 0 {
				continue
			}
			same, diff := d.count(open, 1<<i)
			if same > diff && (diff < bestDiff || diff == bestDiff && same > bestSame) {
				best, bestDiff, bestSame = i, diff, same
			}
		}
		if best < 0 {
			return
		}
		used |= 1 << best
		d.has.setCategory(d.t, 1<<best, d.adds)
		open.setCategory(d.t, 1<<best, !d.adds)
		d.words = append(d.words, sign(d.adds)+"@"+categoryNames[best])
	}
}

// count counts the commands of a category that Redis 7.0 has: how many are open, and how
// many are not.
func (d *commandPrinter) count(open *selector, category Categories) (same, diff int) {
	for i := range d.t.commands {
		c := &d.t.commands[i]
		switch {
		case c.Newer || c.Categories&category == 0:
		case open.commands.has(i) == d.adds:
			same++
		default:
			diff++
		}
	}
	return same, diff
}

// addCommands adds the single commands that are still different, and first arguments.
func (d *commandPrinter) addCommands() {
	for i := range d.t.commands {
		name := d.t.commands[i].Name
		if name == "" || strings.Contains(name, "|") {
			continue
		}
		d.addCommand(i)
		for _, sub := range d.t.subs[i] {
			d.addCommand(sub)
		}
	}
}

func (d *commandPrinter) addCommand(i int) {
	name, wanted := d.t.commands[i].Name, d.want.commands.has(i)
	if wanted != d.has.commands.has(i) {
		d.has.setCommand(d.t, i, wanted)
		d.words = append(d.words, sign(wanted)+name)
	}
	if !wanted {
		for _, word := range d.want.firstArgs[i] {
			d.words = append(d.words, "+"+name+"|"+word)
		}
	}
}

func sign(allow bool) string {
	if allow {
		return "+"
	}
	return "-"
}
