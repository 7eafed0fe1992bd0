package redis

import (
	"math"
	"strconv"

	"nuthatch/internal/acl"
	"nuthatch/internal/msg"
)

// ACL: who the users are, and what they may do. The users are in the configuration, so
// that the commands which change them are refused. In a pool without users any client may
// ask for them, so no hash of its password is shown there: guesses are easily tried on one.

// maxFault is how many bytes of an error show what a client has sent.
const maxFault = 512

// aclShown is how many denials ACL LOG shows without a count.
const aclShown = 10

// An aclAnswer is the answer to an ACL command.
type aclAnswer struct {
	*Protocol
	writer
}

// answer answers the subcommand.
func (a aclAnswer) answer(req *msg.Request, cmd *command, s *msg.Session) {
	if len(req.Args) > 3 && cmd.sub != "dryrun" {
		a.fail("ERR ", manyWords, plain(a.word(req, 1), maxShown), "'. Try ACL HELP.")
		return
	}
	switch cmd.sub {
	case "whoami":
		a.bulkString(a.userOf(s).Name())
	case "cat":
		a.categories(req)
	case "users":
		all := a.users.All()
		a.array(len(all))
		for _, u := range all {
			a.bulkString(u.Name())
		}
	case "list":
		all := a.users.All()
		a.array(len(all))
		for _, u := range all {
			if a.named {
				a.bulkString(u.Line())
			} else {
				a.bulkString(u.LineWithoutPasswords())
			}
		}
	case "getuser":
		a.describe(req)
	case "dryrun":
		text, fault := a.DryRun(req, a.users, a.databases.shown(s.Lane))
		switch {
		case fault:
			a.fail("ERR ", plain([]byte(text), maxFault))
		case text == "OK":
			a.ok()
		default:
			a.bulkString(text)
		}
	case "genpass":
		a.password(req)
	case "log":
		a.denials(req, s)
	}
}

// categories answers ACL CAT.
func (a aclAnswer) categories(req *msg.Request) {
	names := acl.CategoryNames()
	if len(req.Args) == 3 {
		var ok bool
		if names, ok = ACLTable().InCategory(string(a.word(req, 2))); !ok {
			a.fail("ERR Unknown category '", plain(a.word(req, 2), maxShown), "'")
			return
		}
	}
	a.array(len(names))
	for _, name := range names {
		a.bulkString(name)
	}
}

// describe answers ACL GETUSER.
func (a aclAnswer) describe(req *msg.Request) {
	u := a.users.Named(a.word(req, 2))
	if u == nil {
		a.null()
		return
	}
	d := u.Describe()
	if !a.named {
		d.Passwords = nil
	}
	pairs := 6
	if d.Root.Databases != "" {
		pairs++
	}
	a.mapping(pairs)
	a.bulkString("flags")
	a.set(len(d.Flags))
	for _, flag := range d.Flags {
		a.bulkString(flag)
	}
	a.bulkString("passwords")
	a.array(len(d.Passwords))
	for _, hash := range d.Passwords {
		a.bulkString(hash)
	}
	a.selector(&d.Root)
	a.bulkString("selectors")
	a.array(len(d.Selectors))
	for i := range d.Selectors {
		pairs := 3
		if d.Selectors[i].Databases != "" {
			pairs++
		}
		a.mapping(pairs)
		a.selector(&d.Selectors[i])
	}
}

// selector appends the pairs of one set of rights. Those about databases are there only if
// there are such rules.
func (a aclAnswer) selector(s *acl.SelectorDescription) {
	a.pair("commands", s.Commands)
	a.pair("keys", s.Keys)
	a.pair("channels", s.Channels)
	if s.Databases != "" {
		a.pair("databases", s.Databases)
	}
}

// password answers ACL GENPASS.
func (a aclAnswer) password(req *msg.Request) {
	bits := int64(acl.DefaultPasswordBits)
	if len(req.Args) == 3 {
		var ok bool
		if bits, ok = number(req, 2); !ok {
			a.fail("ERR ", notInteger)
			return
		}
	}
	if fault := acl.PasswordFault(bits); fault != "" {
		a.fail("ERR ", fault)
		return
	}
	a.bulkString(acl.GeneratePassword(int(bits)))
}

// denials answers ACL LOG.
func (a aclAnswer) denials(req *msg.Request, s *msg.Session) {
	most := aclShown
	if len(req.Args) == 3 {
		if a.is(req, 2, "reset") {
			if !a.named && !a.mayAdminister(s) { // it tells of failed logins
				a.unsupported(req, noAdmin, a.writer)
				return
			}
			a.aclLog.Reset()
			a.ok()
			return
		}
		n, ok := number(req, 2)
		if !ok {
			a.fail("ERR ", notInteger)
			return
		}
		most = int(max(0, min(n, math.MaxInt32)))
	}
	records := a.aclLog.Records()
	records = records[:min(most, len(records))]
	a.array(len(records))
	for _, r := range records {
		a.mapping(7)
		a.bulkString("count")
		a.integer(r.Count)
		a.pair("reason", r.Reason)
		a.pair("context", r.Context)
		a.pair("object", r.Object)
		a.pair("username", r.User)
		a.pair("age-seconds", seconds(s.WallMicros/1000-r.At))
		a.pair("client-info", r.Client)
	}
}

// seconds are milliseconds as Redis shows them here.
func seconds(millis int64) string {
	return strconv.FormatFloat(float64(max(0, millis))/1000, 'f', -1, 64)
}
