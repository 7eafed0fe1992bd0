package acl

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Why a rule is refused, in Redis's words.
const (
	wrongSyntax = "Syntax error"
	unknownName = "Unknown command or category name in ACL"
	afterKeys   = "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. " +
		"Try 'resetkeys' to start with an empty list of patterns"
	afterChannels = "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. " +
		"Try 'resetchannels' to start with an empty list of channels"
	noSuchPassword = "The password you are trying to remove from the user does not exist"
	wrongHash      = "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
	wrongFirstArg  = "Allowing first-arg of a subcommand is not supported"
	wrongDatabase  = "The provided database ID is out of range"
)

// tooManySelectors is nuthatch's own.
var tooManySelectors = "Too many selectors: a user has at most " + strconv.Itoa(maxSelectors-1)

// maxSelectors is the most selectors of a user, the root included: a Trial has a bit for
// each.
const maxSelectors = 64

// apply carries out a rule of a user, in the form that ACL SETUSER has it, or says why not.
func (u *User) apply(t *Table, rule string) (why string) {
	switch word := strings.ToLower(rule); {
	case rule == "":
	case word == "on":
		u.on = true
	case word == "off":
		u.on = false
	case word == "skip-sanitize-payload":
		u.sanitize = sanitizeSkip
	case word == "sanitize-payload":
		u.sanitize = sanitizeYes
	case word == "nopass":
		u.noPass, u.passwords = true, nil
	case word == "resetpass":
		u.noPass, u.passwords = false, nil
	case rule[0] == '>', rule[0] == '#', rule[0] == '<', rule[0] == '!':
		return u.applyPassword(rule)
	case rule[0] == '(' && rule[len(rule)-1] == ')':
		return u.addSelector(t, rule[1:len(rule)-1])
	case word == "clearselectors":
		u.selectors = u.selectors[:1]
	case word == "reset":
		name, number := u.name, u.number
		*u = *newUser(t, name)
		u.number, u.sanitize = number, sanitizeYes
	default:
		return u.selectors[0].apply(t, rule)
	}
	return ""
}

// applyPassword adds or removes a password, or its hash.
func (u *User) applyPassword(rule string) (why string) {
	var hash [sha256.Size]byte
	if rule[0] == '>' || rule[0] == '<' {
		hash = sha256.Sum256([]byte(rule[1:]))
	} else {
		text := rule[1:]
		if n, err := hex.Decode(hash[:], []byte(text[:min(len(text), hex.EncodedLen(len(hash)))])); err != nil ||
			n != len(hash) || len(text) != hex.EncodedLen(len(hash)) || strings.ToLower(text) != text {
			return wrongHash
		}
	}
	at := slices.Index(u.passwords, hash)
	switch adds := rule[0] == '>' || rule[0] == '#'; {
	case !adds && at < 0:
		return noSuchPassword
	case !adds:
		u.passwords = slices.Delete(u.passwords, at, at+1)
	default:
		u.noPass = false
		if at < 0 {
			u.passwords = append(u.passwords, hash)
		}
	}
	return ""
}

// addSelector adds the selector of these rules.
func (u *User) addSelector(t *Table, rules string) (why string) {
	if len(u.selectors) >= maxSelectors {
		return tooManySelectors
	}
	if strings.ContainsAny(rules, `"'`) {
		return wrongSyntax // Redis reads them as quotes, which no rule in parentheses needs
	}
	s := newSelector(t)
	for rule := range strings.FieldsSeq(rules) {
		if why := s.apply(t, rule); why != "" {
			return why
		}
	}
	u.selectors = append(u.selectors, s)
	return ""
}

// apply carries out a rule of a selector, or says why not. The rule is not empty.
func (s *selector) apply(t *Table, rule string) (why string) {
	switch word := strings.ToLower(rule); {
	case word == "allkeys", word == "~*":
		s.allKeys, s.keys = true, nil
	case word == "resetkeys":
		s.allKeys, s.keys = false, nil
	case word == "allchannels", word == "&*":
		s.allChannels, s.channels = true, nil
	case word == "resetchannels":
		s.allChannels, s.channels = false, nil
	case word == "alldbs":
		s.allDatabases, s.databases = true, nil
	case word == "resetdbs":
		s.allDatabases, s.databases = false, nil
	case strings.HasPrefix(word, "db="):
		return s.applyDatabases(word[len("db="):])
	case word == "allcommands", word == "+@all":
		s.setAll(true)
	case word == "nocommands", word == "-@all":
		s.setAll(false)
	case rule[0] == '~', rule[0] == '%':
		return s.applyKeys(rule)
	case rule[0] == '&':
		return s.applyChannels(rule[1:])
	case len(rule) > 1 && rule[1] == '@' && (rule[0] == '+' || rule[0] == '-'):
		category, ok := CategoryNamed(rule[2:])
		if !ok {
			return unknownName
		}
		s.setCategory(t, category, rule[0] == '+')
		s.others = append(s.others, otherRule{allow: rule[0] == '+', category: category})
	case rule[0] == '+':
		return s.allow(t, rule[1:])
	case rule[0] == '-':
		return s.setNamed(t, rule[1:], false)
	default:
		return wrongSyntax
	}
	return ""
}

// applyKeys adds a pattern of keys: "~pattern", or "%RW~pattern" with 'R', 'W' or both.
func (s *selector) applyKeys(rule string) (why string) {
	if s.allKeys {
		return afterKeys
	}
	access, text := readWrite, rule[1:]
	if rule[0] == '%' {
		access = 0
		for ; text != "" && text[0] != '~'; text = text[1:] {
			var one Access
			switch text[0] {
			case 'r', 'R':
				one = Read
			case 'w', 'W':
				one = Write
			}
			if one == 0 || access&one != 0 {
				return wrongSyntax
			}
			access |= one
		}
		if access == 0 {
			return wrongSyntax
		}
		text = strings.TrimPrefix(text, "~")
	}
	if hasSpaces(text) {
		return wrongSyntax
	}
	for i := range s.keys {
		if s.keys[i].text == text {
			s.keys[i].access |= access
			return ""
		}
	}
	s.keys = append(s.keys, keyPattern{newPattern(text), access})
	return ""
}

// applyChannels adds a pattern of channels.
func (s *selector) applyChannels(text string) (why string) {
	switch {
	case s.allChannels:
		return afterChannels
	case hasSpaces(text):
		return wrongSyntax
	case !slices.ContainsFunc(s.channels, func(c pattern) bool { return c.text == text }):
		s.channels = append(s.channels, newPattern(text))
	}
	return ""
}

// applyDatabases sets the databases: numbers with commas between them. This rule is
// Valkey's.
func (s *selector) applyDatabases(list string) (why string) {
	var databases []int
	for one := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseInt(one, 10, 64)
		switch {
		case errors.Is(err, strconv.ErrRange), err == nil && (n < 0 || n > math.MaxInt32):
			return wrongDatabase
		case err != nil:
			return wrongSyntax
		}
		databases = append(databases, int(n))
	}
	slices.Sort(databases)
	s.allDatabases, s.databases = false, slices.Compact(databases)
	return ""
}

// allow allows a command, a subcommand or, behind a bar, a first argument.
func (s *selector) allow(t *Table, name string) (why string) {
	of, word, isSub := cutLast(name)
	if !isSub {
		return s.setNamed(t, name, true)
	}
	number, ok := t.named(of)
	switch {
	case !ok && isOther(of) && word != "":
		s.others = append(s.others, otherRule{allow: true, name: strings.ToLower(name)})
		return ""
	case !ok:
		return unknownName
	case strings.Contains(of, "|"):
		return wrongFirstArg
	case word == "":
		return wrongSyntax
	case t.hasSubs(number):
		return s.setNamed(t, name, true)
	case len(t.subs[number]) > 0: // Redis 7.0 knows it without subcommands
		if sub, ok := t.named(name); ok {
			s.setCommand(t, sub, true)
			return ""
		}
	}
	s.addFirstArg(number, word)
	return ""
}

// setNamed allows or forbids the command or subcommand of that name, in any case.
func (s *selector) setNamed(t *Table, name string, allow bool) (why string) {
	if number, ok := t.named(name); ok {
		s.setCommand(t, number, allow)
		return ""
	}
	if !isOther(name) {
		return unknownName
	}
	s.others = append(s.others, otherRule{allow: allow, name: strings.ToLower(name)})
	return ""
}

// isOther tells whether a name that the table lacks may be that of a module's command, which
// servers may know: such a name has a dot. Any other name is a mistake.
func isOther(name string) bool {
	of, sub, isSub := strings.Cut(name, "|")
	return strings.IndexByte(of, '.') > 0 && (!isSub || sub != "" && !strings.Contains(sub, "|"))
}

// cutLast cuts a name at its last bar.
func cutLast(name string) (of, word string, found bool) {
	at := strings.LastIndexByte(name, '|')
	if at < 0 {
		return name, "", false
	}
	return name[:at], name[at+1:], true
}

// hasSpaces tells whether a text has a byte that must be in no name and no pattern.
func hasSpaces(text string) bool { return strings.ContainsAny(text, " \t\n\v\f\r\x00") }
