package config

import (
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// A User is one of a pool's users, as the file has it. What the rules mean is not looked
// at here.
type User struct {
	Name string
	// Rules are written as in Redis's own file of users. They may have passwords.
	Rules Secret
	// Password is a password besides those of the rules; empty if there is none.
	Password Secret
	// PasswordFrom is where it comes from, if the file does not have it itself.
	PasswordFrom SecretSource
	// Line is where the rules stand in the file.
	Line int
}

// defaultUser is who a client is that has not said a name.
const defaultUser = "default"

// HasUsers reports whether the pool has users beside the one that redis_auth is the
// password of.
func (p *Pool) HasUsers() bool { return p.ACLFile != "" || len(p.Users) > 0 }

// AllRules are the user's rules, its password included, in a form that shows no password.
func (u *User) AllRules() string {
	rules := u.Rules.Reveal()
	if u.Password != "" {
		sum := u.Password.Sum()
		rules += " #" + hex.EncodeToString(sum[:])
	}
	return rules
}

// kindRules are the rules of a user.
var kindRules = kind{form: "rules", text: true, secret: true, parse: parseSecret, schema: secretSchema}

// maxUsers is the most users that a pool may have in the file.
const maxUsers = 10000

// userKeys are the keys of a user.
var userKeys = slices.Concat([]key[User]{
	{
		name: "rules", kind: kindRules, required: true, origin: fromNuthatch,
		help: "What the user may do, in Redis's words, such as `on ~cache:* &news +@read -@dangerous`. A word that begins " +
			"with `>` is a password, and one that begins with `#` is a password's SHA-256. Quote the rules.",
		set: func(u *User, v value) { u.Rules = Secret(v.text) },
	},
	{
		name: "password", kind: kindSecret, defNote: "none", origin: fromNuthatch,
		help: "A password of the user, besides those of `rules`.",
		set:  func(u *User, v value) { u.Password = Secret(v.text) },
	},
}, twins("password", "", func(u *User) *SecretSource { return &u.PasswordFrom }))

// userPath is the path of a key of a user, as messages have it.
func userPath(name, key string) string {
	return "users." + strings.Trim(quoteKey(name), "'") + "." + key
}

// userSecrets are the users' passwords that may have a source.
func (p *Pool) userSecrets() []sourcedSecret {
	all := make([]sourcedSecret, len(p.Users))
	for i := range p.Users {
		u := &p.Users[i]
		all[i] = sourcedSecret{userPath(u.Name, "password"), &u.Password, u.PasswordFrom}
	}
	return all
}

// checkUsers finds users that are given twice, or in the wrong place.
func (r *reader) checkUsers(b *poolBlock) {
	users, given := b.seen["users"]
	if !given || users.name == nil {
		return
	}
	switch file := b.seen["acl_file"]; {
	case users.faulty:
	case b.pool.Protocol != Redis && !b.seen["redis"].faulty:
		r.fault(users.name, &b.block, "users", "only valid in a pool with 'redis: true'")
	case file.name != nil:
		r.fault(users.name, &b.block, "users", "the users are in 'acl_file' already: keep one of the two")
	}
	rest := r.blocks // names that are shown alike are in the order of the users
	for i := range b.pool.Users {
		u := &b.pool.Users[i]
		at := slices.IndexFunc(rest, func(o *block) bool { return o.pool == b.pool.Name && o.prefix == userPath(u.Name, "") })
		r.checkUser(b, rest[at], u)
		rest = rest[at+1:]
	}
}

// checkUser finds faults of one user, whose block is own, and notes where its rules stand.
func (r *reader) checkUser(b *poolBlock, own *block, u *User) {
	rules := own.seen["rules"]
	if rules.name != nil {
		u.Line = rules.name.Line
	}
	if err := checkUserName(u.Name); err != nil && rules.name != nil {
		r.fault(rules.name, own, "rules", err.Error())
	}
	if u.Name == defaultUser && rules.name != nil {
		for _, key := range []string{"redis_auth", "redis_auth_file", "redis_auth_env"} {
			if auth := b.seen[key]; auth.name != nil {
				r.fault(rules.name, own, "rules", "the password of the user 'default' is given by '"+key+"' already, on line "+
					strconv.Itoa(auth.name.Line)+": keep one of the two")
			}
		}
	}
	first := ""
	for _, key := range []string{"password", "password_file", "password_env"} {
		seen := own.seen[key]
		switch {
		case seen.name == nil:
		case first != "":
			r.fault(seen.name, own, key, "the secret is given already: keep one of 'password', 'password_file' and 'password_env'")
		default:
			first = key
		}
	}
}

// checkUserName returns why a user cannot have that name, or nil: Redis takes the same.
func checkUserName(name string) error {
	for _, c := range []byte(name) {
		if c <= ' ' || c == 0x7f {
			return errors.New("the name of a user has no spaces and no control characters")
		}
	}
	return nil
}

// warnOfOpenDefault finds users beside a user default that may do everything without a
// password.
func warnOfOpenDefault(r *reader, b *poolBlock) {
	users := b.seen["users"]
	if users.name == nil || len(b.pool.Users) == 0 || b.hasAuth() {
		return
	}
	if slices.ContainsFunc(b.pool.Users, func(u User) bool { return u.Name == defaultUser }) {
		return
	}
	r.warn(users.name, &b.block, "users", "there is no user 'default' and no 'redis_auth': a client that does not log in may do everything, as with Redis; "+
		"add 'default: {rules: \"off\"}'")
}

// hasAuth reports whether the pool has a password of its own, wherever it comes from.
func (b *poolBlock) hasAuth() bool {
	return b.seen["redis_auth"].name != nil || b.seen["redis_auth_file"].name != nil || b.seen["redis_auth_env"].name != nil
}
