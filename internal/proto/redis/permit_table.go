package redis

import (
	"slices"
	"strconv"
	"strings"

	"nuthatch/internal/acl"
	"nuthatch/internal/msg"
)

// ACLTable is the table of commands for the rules of users. A command's number there is its
// msg.Type.
func ACLTable() *acl.Table { return aclTable }

var aclTable = buildACLTable()

func buildACLTable() *acl.Table {
	all := make([]acl.Command, len(commands))
	for i := range commands {
		c := &commands[i]
		if c.id == unknown || c.answer == answerHTTP {
			continue
		}
		all[i] = acl.Command{
			Name: c.name, Categories: acl.CategoriesOf(c.facts.allCategories()...), Keyed: c.isKeyed(), Newer: c.isNewer(),
			Free:          slices.Contains(strings.Fields(c.facts.flags), "no_auth"),
			EveryDatabase: c.name == "flushall",
			Uniform:       c.isUniform(), Access: c.first,
		}
	}
	return acl.NewTable(all)
}

// isKeyed tells whether requests for the command can name keys. Shard channels are none.
func (c *command) isKeyed() bool { return c.keys.rule != noKey && c.facts.use != "not_key" }

// isUniform tells whether requests for the command do the same with all keys that they name, which the
// parser finds, and name nothing else that is judged. If options decide what they do, it is all that
// they may.
func (c *command) isUniform() bool {
	switch c.keys.rule {
	case oneKey, rangeOfKeys, pairedKeys, scriptKeys, streamKeys:
	case countedKeys:
		if c.keys.last > 0 { // it is listed again
			return false
		}
	case noKey, storeKey, sortKeys, migrateKeys:
		return false
	}
	return c.isKeyed() && c.first == c.others && c.database == 0 && !c.publishes && c.treatment != msg.Publish && c.treatment != msg.Subscribe
}

// isNewer tells whether Redis 7.0 lacks the command. It has DEBUG without subcommands.
func (c *command) isNewer() bool {
	if strings.HasPrefix(c.name, "debug|") {
		return true
	}
	major, rest, _ := strings.Cut(c.since, ".")
	minor, _, _ := strings.Cut(rest, ".")
	x, _ := strconv.Atoi(major)
	y, _ := strconv.Atoi(minor)
	return x > 7 || x == 7 && y > 0
}

// deriveAccess sets what the command does with its keys.
func (c *command) deriveAccess() {
	uses := c.facts.uses()
	access := func(use []string) acl.Access {
		return accessOf(func(flag string) bool { return slices.Contains(use, flag) })
	}
	c.first, c.others = access(uses[0]), access(uses[len(uses)-1])
	c.varies = slices.Contains(uses[0], "variable_flags")
	if c.keys.rule == migrateKeys {
		c.others = c.first
	}
}

// accessOf is the access that a key specification's flags tell of. Flags that say only that
// a key is looked at, or only that it is overwritten, are no access: Redis has others for
// that.
func accessOf(has func(flag string) bool) (a acl.Access) {
	if has("access") {
		a = acl.Read
	}
	if has("insert") || has("update") || has("delete") {
		a |= acl.Write
	}
	return a
}
